"""Encoders of many pairs at once against one after another, and FAISS against brute force; same data, same run.

    python -m bench.paired [--threads 1]

The batched training is said to equal the other within a tolerance, which is measured too. Brute force is one matrix of
all distances and a sort of each row.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from bench.measuring import CONSOLE
from contrasim_core.encoder.paired import Sides, train_pairs
from contrasim_core.neighbours import nearest
from contrasim_core.specs import EncoderSpec

LANGUAGES, LAYERS = 5, 6
ROUNDS = 3


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Wall and CPU seconds, and what came of it."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    return time.perf_counter() - wall, time.process_time() - cpu, found


def training(rows: int, width: int, spec: EncoderSpec, seeds: int) -> None:
    """All pairs of languages and seeds: together, and each by itself."""
    random = torch.Generator().manual_seed(0)
    matrices = tuple(tuple(torch.randn(rows, width, generator=random) for _ in range(LAYERS)) for _ in range(LANGUAGES))
    sides = Sides(matrices, tuple("abcde"[:LANGUAGES]))
    pairs = list(itertools.combinations(range(LANGUAGES), 2))
    together, single = [], []
    worst = 0.0
    for _ in range(ROUNDS):
        wall, cpu, batched = timed(lambda: train_pairs(sides, spec, pairs, range(seeds)))
        together.append((wall, cpu))
        wall, cpu, alone = timed(
            lambda: [train_pairs(sides, spec, [pair], (seed,))[0] for pair in pairs for seed in range(seeds)]
        )
        single.append((wall, cpu))
        for a, b in zip(batched, alone, strict=True):
            worst = max(worst, *(float((a.weights[name] - b.weights[name]).abs().max()) for name in a.weights))
    ratio = np.median([b[0] / a[0] for a, b in zip(together, single, strict=True)])
    CONSOLE.print(
        f"{len(pairs) * seeds:3} encoders, hidden {spec.hidden}, batch {spec.batch_rows:4}, d = {width}: together "
        f"{np.median([item[0] for item in together]):6.2f} s, one after another "
        f"{np.median([item[0] for item in single]):6.2f} s, ratio {ratio:.2f}; weights differ by {worst:.1e} at most"
    )


def neighbours(rows: int, width: int, k: int) -> None:
    """The nearest rows of each row, by FAISS and by sorting all distances."""
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
    training(256, 64, EncoderSpec(epochs=1, batch_rows=128), 1)
    training(256, 64, EncoderSpec(epochs=1, batch_rows=128), 2)
    training(256, 64, EncoderSpec(epochs=2, batch_rows=16, hidden=(64,), out_dim=32), 2)
    training(256, 768, EncoderSpec(epochs=1, batch_rows=128), 1)
    neighbours(5000, 768, 11)
    neighbours(5000, 64, 11)


if __name__ == "__main__":
    main()
