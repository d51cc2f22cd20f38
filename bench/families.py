"""CCA, R2-CCA, SVCCA, PWCCA, Procrustes, regression and CKA together, against mean CCA alone as peers compute it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from bench.cka import Layers, Size, make_layers
from bench.measuring import Contestant, interleave, report
from contrasim_core.measure.closed_form import closed_form
from contrasim_core.measure.grid import similarity_grids

SEVEN = ("cca.mean", "cca.r2", "svcca", "pwcca", "procrustes", "regression.r2", "cka.linear")


def ours(xs: Layers, ys: Layers, measures: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Run this package."""
    return {name: grid.values for name, grid in similarity_grids(xs, ys, [closed_form(m) for m in measures]).items()}


def svd_per_pair(x: Tensor, y: Tensor) -> float:
    """Compute like anatome: two thin SVDs of the layers and one of their product, for every pair."""
    u = torch.linalg.svd(x - x.mean(0), full_matrices=False)[0]
    v = torch.linalg.svd(y - y.mean(0), full_matrices=False)[0]
    return float(torch.linalg.svdvals(u.T @ v).mean())


def qr_per_pair(x: Tensor, y: Tensor) -> float:
    """Compute the cheapest way pair by pair: two QR decompositions and the singular values of Qx'Qy."""
    u, v = torch.linalg.qr(x - x.mean(0))[0], torch.linalg.qr(y - y.mean(0))[0]
    return float(torch.linalg.svdvals(u.T @ v).mean())


def whiten(x: Tensor) -> Tensor:
    """Whiten like netrep with caching: every layer once, by an eigendecomposition of its covariance."""
    centred = x - x.mean(0)
    values, vectors = torch.linalg.eigh(centred.T @ centred)
    return centred @ (vectors / values.sqrt()) @ vectors.T


def netrep_pair(x: Tensor, y: Tensor) -> float:
    """Compute like netrep's fit and score on whitened layers: a full SVD, then both sides rotated and compared."""
    u, _, vt = torch.linalg.svd(x.T @ y)
    return float(((x @ u) * (y @ vt.T)).sum() / x.shape[1])


def main(size: Size, repeats: int) -> None:
    """Report the CPU time of all seven measures against CCA alone."""
    xs, ys = make_layers(size)
    wide = [[layer.double() for layer in side] for side in (xs, ys)]
    pairs, layers = size.layers**2, 2 * size.layers
    white = {key: whiten(wide[key][0]) for key in (0, 1)}
    contestants = {
        "contrasim, all seven": Contestant(lambda: ours(xs, ys, SEVEN)),
        "contrasim, CCA alone": Contestant(lambda: ours(xs, ys, ("cca.mean",))),
        "SVD per pair, CCA alone": Contestant(lambda: svd_per_pair(wide[0][0], wide[1][0]), 1 / pairs),
        "QR per pair, CCA alone": Contestant(lambda: qr_per_pair(wide[0][0], wide[1][0]), 1 / pairs),
        "netrep's way, whitening": Contestant(lambda: whiten(wide[0][0]), 1 / layers),
        "netrep's way, pairs": Contestant(lambda: netrep_pair(white[0], white[1]), 1 / pairs),
    }
    interleave(contestants, repeats)
    netrep = contestants.pop("netrep's way, pairs"), contestants.pop("netrep's way, whitening")
    together = Contestant(lambda: None, 1 / pairs)
    together.seconds = [
        (pair[0] + once[0], pair[1] + once[1]) for pair, once in zip(*(c.seconds for c in netrep), strict=True)
    ]
    together.result = netrep[0].result
    contestants["netrep's way, CCA alone"] = together
    grids = contestants["contrasim, all seven"].result
    assert isinstance(grids, dict)
    value = float(grids["cca.mean"][0, 0])
    peers = [name for name in contestants if not name.startswith("contrasim")]
    report(
        f"(b) Seven measures, {size.layers} x {size.layers} layers, n = {size.n}, d = {size.d}, float64 factors, "
        f"{torch.get_num_threads()} thread(s)",
        contestants,
        "contrasim, all seven",
        {"difference": {name: f"{abs(contestants[name].result - value):.1e}" for name in peers}},  # type: ignore[operator]
        "netrep's way: each layer whitened once, then a full SVD and two rotations per pair.\n"
        "Times of peers are extrapolated from one pair, or one layer.",
    )
