"""Training many encoders at once against one after another, and FAISS against brute force; same data, same run.

    python -m bench.paired [--threads 1]

"One after another" is our own code with a single encoder at a time; the plain loop is a straightforward implementation
without our code. Published code trains both orders of a pair, though their loss is the same; we train one. Batched
training should equal the other within a tolerance, which is measured too. Brute force is one matrix of all distances
and a sort of each row.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from bench.measuring import CONSOLE
from contrasim_core.encoder.loop import Split
from contrasim_core.encoder.losses import supcon
from contrasim_core.encoder.paired import Sides, train_pairs
from contrasim_core.encoder.spec import EncoderSpec
from contrasim_core.neighbours.search import nearest
from contrasim_core.runs.retrieval.presets import QUICK_MULTILINGUAL

LANGUAGES, LAYERS = 5, 6
ROUNDS = 3


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Return wall and CPU seconds, and the result."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    return time.perf_counter() - wall, time.process_time() - cpu, found


def plain(sides: Sides, spec: EncoderSpec, pairs: Sequence[tuple[int, int]], seeds: int) -> None:
    """Train with a straightforward loop, as in published code: one module, loss and optimiser per encoder."""
    for (a, b), seed in itertools.product(pairs, range(seeds)):
        torch.manual_seed(seed)
        widths = [sides.width(a), *spec.hidden, spec.out_dim]
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(widths):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        net = nn.Sequential(*layers[:-1])
        optimiser = torch.optim.Adam(net.parameters(), lr=spec.learning_rate)
        count = len(Split.of(sides.rows, spec).train)
        for _ in range(spec.epochs):
            order = torch.randperm(count)
            for first in range(0, count, spec.batch_rows):
                rows = order[first : first + spec.batch_rows]
                for layer in torch.randperm(LAYERS).tolist():
                    x = torch.cat([sides.matrices[a][layer][rows], sides.matrices[b][layer][rows]])
                    z = nn.functional.normalize(net(x), dim=1)
                    partners = torch.eye(len(x), dtype=torch.bool).roll(len(rows), 0)
                    loss = supcon((z @ z.T)[None], partners, spec.temperature).sum()
                    optimiser.zero_grad()
                    loss.backward()
                    optimiser.step()


def training(rows: int, width: int, spec: EncoderSpec, seeds: int) -> None:
    """Train all pairs of languages and seeds: together, one after another, and with the plain loop."""
    random = torch.Generator().manual_seed(0)
    matrices = tuple(tuple(torch.randn(rows, width, generator=random) for _ in range(LAYERS)) for _ in range(LANGUAGES))
    sides = Sides(matrices, tuple("abcde"[:LANGUAGES]))
    pairs = list(itertools.combinations(range(LANGUAGES), 2))
    worst = 0.0
    times: dict[str, list[float]] = {"together": [], "one after another": [], "plain loop": []}
    for _ in range(ROUNDS):
        wall, _cpu, batched = timed(lambda: train_pairs(sides, spec, pairs, range(seeds)))
        times["together"].append(wall)
        wall, _cpu, alone = timed(
            lambda: [train_pairs(sides, spec, [pair], (seed,))[0] for pair in pairs for seed in range(seeds)]
        )
        times["one after another"].append(wall)
        times["plain loop"].append(timed(lambda: plain(sides, spec, pairs, seeds))[0])
        for a, b in zip(batched, alone, strict=True):
            worst = max(worst, *(float((a.weights[name] - b.weights[name]).abs().max()) for name in a.weights))
    ratios = {
        name: float(np.median([b / a for a, b in zip(times["together"], walls, strict=True)]))
        for name, walls in times.items()
    }
    CONSOLE.print(
        f"{len(pairs) * seeds:3} encoders, hidden {spec.hidden}, {rows} rows, batch {spec.batch_rows:4}, d = {width}: "
        f"together {np.median(times['together']):6.2f} s; one after another {ratios['one after another']:.2f}x, plain "
        f"loop {ratios['plain loop']:.2f}x, plain loop over ordered pairs, as in published code, "
        f"{2 * ratios['plain loop']:.2f}x; weights differ by {worst:.1e} at most"
    )


def neighbours(rows: int, width: int, k: int) -> None:
    """Find the nearest rows of each row, with FAISS and by sorting all distances."""
    values = torch.randn(rows, width, generator=torch.Generator().manual_seed(0))

    def brute() -> np.ndarray:
        distances = torch.cdist(values, values).fill_diagonal_(float("inf"))
        return distances.argsort(1)[:, :k].numpy()

    fast, slow = [], []
    for _ in range(ROUNDS):
        wall, _, found = timed(lambda: nearest(values, k))
        fast.append(wall)
        wall, _, expected = timed(brute)
        slow.append(wall)
    same = float((found == expected).mean())
    ratio = np.median([b / a for a, b in zip(fast, slow, strict=True)])
    CONSOLE.print(
        f"{rows:6} rows, d = {width}, k = {k}: FAISS {np.median(fast):6.2f} s, brute force {np.median(slow):6.2f} s, "
        f"ratio {ratio:.2f}; equal neighbours {same:.4%}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    CONSOLE.print(f"{options.threads} thread(s), median of {ROUNDS} rounds")
    training(1024, 64, QUICK_MULTILINGUAL.replace(epochs=1), 1)
    training(1024, 64, QUICK_MULTILINGUAL.replace(epochs=1), 5)
    training(256, 64, EncoderSpec(epochs=1, batch_rows=24), 2)
    training(256, 64, EncoderSpec(epochs=2, batch_rows=16, hidden=(64,), out_dim=32), 2)
    training(2200, 768, EncoderSpec(epochs=1), 1)
    neighbours(5000, 768, 11)
    neighbours(5000, 64, 11)


if __name__ == "__main__":
    main()
