"""The grid of linear CKA: ours, pytorch-cka, torch-cka, and the formula pair by pair."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from bench.measuring import Contestant, interleave, measured_in_child, peak_over, report
from contrasim_core import similarity_grid

Layers = list[Tensor]


@dataclass(frozen=True)
class Size:
    """Samples, width and depth (on each side)."""

    n: int = 5000
    d: int = 768
    layers: int = 12


def make_layers(size: Size, seed: int = 0) -> tuple[Layers, Layers]:
    """Make layers of two networks: views of common latents with a decaying spectrum, drifting with depth; float32."""
    generator = torch.Generator().manual_seed(seed)
    rank = size.d // 4
    latent = torch.randn(size.n, rank, generator=generator) * torch.arange(1, rank + 1) ** -0.7
    sides: tuple[Layers, Layers] = ([], [])
    for depth in range(size.layers):
        latent = latent + 0.2 * torch.randn(size.n, rank, generator=generator) * torch.arange(1, rank + 1) ** -0.7
        for side in sides:
            noise = 0.05 * torch.randn(size.n, size.d, generator=generator)
            side.append(latent @ torch.randn(rank, size.d, generator=generator) / rank**0.5 + noise + 0.1 * depth)
    return sides


def ours(xs: Layers, ys: Layers, measure: str) -> np.ndarray:
    """Run this package."""
    return similarity_grid(xs, ys, measure).values


def pytorch_cka(xs: Layers, ys: Layers) -> np.ndarray:
    """Run pytorch-cka on centred features, because it loses precision on uncentred ones."""
    from cka import cka_from_features

    return cka_from_features([x - x.mean(0) for x in xs], [y - y.mean(0) for y in ys]).double().numpy()


class Ready(nn.Module):
    """A network with given layers, because torch-cka accepts only modules to hook, not features."""

    def __init__(self, layers: Layers) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Identity() for _ in layers)
        self.values = layers

    def forward(self, _index: Tensor) -> None:
        """Make every layer return its features."""
        for layer, values in zip(self.layers, self.values, strict=True):
            layer(values)


def torch_cka(xs: Layers, ys: Layers) -> np.ndarray:
    """Run torch-cka's own `compare`, with all samples in one batch and centred features."""
    from torch_cka import CKA

    names = [[f"layers.{index}" for index in range(len(side))] for side in (xs, ys)]
    models = [Ready([layer - layer.mean(0) for layer in side]) for side in (xs, ys)]
    batch = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.zeros(1, 1)), batch_size=1)
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        found = CKA(*models, "a", "b", names[0], names[1])
        found.compare(batch, batch)
    return found.export()["CKA"].double().numpy()


def by_pairs(xs: Layers, ys: Layers) -> np.ndarray:
    """Compute the formula as written in papers, for each pair: centre, three products, three norms."""
    grid = np.zeros((len(xs), len(ys)))
    for i, x in enumerate(xs):
        for j, y in enumerate(ys):
            a, b = x - x.mean(0), y - y.mean(0)
            grid[i, j] = float((b.T @ a).norm() ** 2 / ((a.T @ a).norm() * (b.T @ b).norm()))
    return grid


def exact(xs: Layers, ys: Layers) -> dict[str, np.ndarray]:
    """Compute both estimators in float64, from the textbook formulas."""
    left, right = ([layer.double() - layer.double().mean(0) for layer in side] for side in (xs, ys))
    n = len(left[0])

    def hsic(a: Tensor, b: Tensor) -> tuple[float, float]:
        biased = float((a.T @ b).square().sum())
        lengths = float(a.square().sum(1) @ b.square().sum(1))
        sizes = float(a.square().sum() * b.square().sum())
        return biased, biased - n / (n - 2) * lengths + sizes / ((n - 1) * (n - 2))

    cross = np.array([[hsic(a, b) for b in right] for a in left])
    own = [np.array([hsic(layer, layer) for layer in side]) for side in (left, right)]
    grids = [cross[..., k] / np.sqrt(np.outer(own[0][:, k], own[1][:, k])) for k in (0, 1)]
    return {"cka.linear": grids[0], "cka.debiased": grids[1]}


def torch_cka_share(layers: int) -> float:
    """Return a pair's share: torch-cka needs (1 + 2 L) L products of n x n matrices for L x L layers, and 3 for one."""
    return 3 / ((1 + 2 * layers) * layers)


RUNS: dict[str, tuple[Callable[[Layers, Layers], np.ndarray], str]] = {
    "contrasim cka.debiased": (lambda xs, ys: ours(xs, ys, "cka.debiased"), "cka.debiased"),
    "contrasim cka.linear": (lambda xs, ys: ours(xs, ys, "cka.linear"), "cka.linear"),
    "pytorch-cka": (pytorch_cka, "cka.debiased"),
    "torch-cka": (lambda xs, ys: torch_cka(xs[:1], ys[:1]), "cka.debiased"),
    "formula, pair by pair": (lambda xs, ys: by_pairs(xs[:1], ys), "cka.linear"),
}


def child(name: str, n: str, d: str, layers: str) -> None:
    """Run one contestant once and print how much memory it uses."""
    run, _ = RUNS[name]
    run(*make_layers(Size(50, 8, 2)))  # exclude imports
    xs, ys = make_layers(Size(int(n), int(d), int(layers)))
    print(peak_over(lambda: run(xs, ys)))


def main(size: Size, repeats: int) -> None:
    """Report time, memory and error of every contestant."""
    # Memory first: on Linux a child starts with the peak of its parent, which has no data yet.
    arguments = (str(size.n), str(size.d), str(size.layers))
    peaks = {name: measured_in_child("cka", name, *arguments) for name in RUNS}
    small = make_layers(Size(50, 8, 2))
    for run, _ in RUNS.values():
        run(*small)  # exclude imports
    xs, ys = make_layers(size)
    truth = exact(xs, ys)
    contestants = {name: Contestant(lambda run=run: run(xs, ys)) for name, (run, _) in RUNS.items()}
    contestants["torch-cka"].share = torch_cka_share(size.layers)
    contestants["formula, pair by pair"].share = 1 / size.layers
    for name in ("torch-cka", "formula, pair by pair"):
        contestants[name].once = True
    interleave(contestants, repeats)
    errors, memory = {}, {}
    for name, (_, measure) in RUNS.items():
        found = np.asarray(contestants[name].result)
        rows, columns = found.shape
        errors[name] = f"{np.abs(found - truth[measure][:rows, :columns]).max():.1e}"
        memory[name] = f"{peaks[name]:.0f}"
    report(
        f"(a) Linear CKA, {size.layers} x {size.layers} layers, n = {size.n}, d = {size.d}, float32, "
        f"{torch.get_num_threads()} thread(s)",
        contestants,
        "contrasim cka.debiased",
        {"max error": errors, "MB over data": memory},
        "pytorch-cka and torch-cka compute the debiased estimator; both get centred features. A run of torch-cka\n"
        "is one pair in its own compare(); the grid is extrapolated by the number of n x n products. A run of the\n"
        "formula is one row of the grid.",
    )
