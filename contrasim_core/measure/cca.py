"""Canonical correlations and their summaries: mean CCA, mean squared CCA, SVCCA and PWCCA.

All follow from M = U_x' U_y, the product of the layers' left singular vectors: its singular values are the canonical
correlations. Ranks are decided by a relative tolerance (`linalg.RANK_TOLERANCE`). Means are taken over p1, the smaller
*width*, as Kornblith et al. do, so that dead columns lower the value; the option `over="rank"` divides by the smaller
rank instead.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from contrasim_core.errors import SpecError
from contrasim_core.measure.base import Formulas
from contrasim_core.measure.batched import Scores, Stack, defined, gram, whole
from contrasim_core.measure.factors import PairFactors
from contrasim_core.measure.linalg import RANK_TOLERANCE


def _denominator(pair: PairFactors, over: str) -> int:
    if over == "width":
        return min(pair.a.spectrum.width, pair.b.spectrum.width)
    if over == "rank":
        return min(len(pair.a.spectrum.s), len(pair.b.spectrum.s))
    raise SpecError(f"over is {over!r}. It can be: 'width', 'rank'.")


def mean(pair: PairFactors, over: str = "width") -> float:
    """Sum of the canonical correlations over p1."""
    return float(pair.correlations.sum()) / _denominator(pair, over)


def mean_squared(pair: PairFactors, over: str = "width") -> float:
    """Sum of the squared canonical correlations over p1: |U_y' U_x|_F^2 / p1, Yanai's GCD."""
    return float(pair.coupling.square().sum()) / _denominator(pair, over)


def svcca(pair: PairFactors, threshold: float = 0.99, summary: str = "rho") -> float:
    """CCA of the leading singular directions of each side, averaged over min(kx, ky).

    Args:
        pair: the layers.
        threshold: share of the variance (*squared* singular values) that the kept directions explain, per side.
        summary: `rho` for the mean correlation, `r2` for the mean squared correlation.

    Raises:
        SpecError: if an option has a value it cannot have.
    """
    _check(threshold, summary)
    ka, kb = pair.a.spectrum.components(threshold), pair.b.spectrum.components(threshold)
    block = pair.coupling[:ka, :kb]
    total = _correlations(block).sum() if summary == "rho" else block.square().sum()
    return float(total) / min(ka, kb)


def stacked_svcca(x: Stack, y: Stack, threshold: float, summary: str) -> Scores:
    """`svcca` of each batch: the left singular vectors are the eigenvectors of the Gram matrices."""
    _check(threshold, summary)
    u, ku = _leading(x, threshold)
    v, kv = _leading(y, threshold)
    rho = _correlations(u.transpose(-1, -2) @ v)
    total = rho.sum(-1) if summary == "rho" else rho.square().sum(-1)
    count = torch.minimum(ku, kv)
    return defined(total / count, count)


def _check(threshold: float, summary: str) -> None:
    if not 0 < threshold <= 1:
        raise SpecError(f"threshold is {threshold:g}. It must be above 0 and at most 1.")
    if summary not in ("rho", "r2"):
        raise SpecError(f"summary is {summary!r}. It can be: 'rho', 'r2'.")


def _correlations(block: Float[Tensor, "... a b"]) -> Float[Tensor, "... k"]:
    """Canonical correlations of two orthonormal bases from their products."""
    rho: Tensor = torch.linalg.svdvals(block).clamp(max=1.0)
    return rho


def _leading(x: Stack, threshold: float) -> tuple[Tensor, Tensor]:
    """Left singular vectors that explain `threshold` of the variance, the others zero; and how many."""
    values, vectors = torch.linalg.eigh(whole(gram(x)))
    values, vectors = values.flip(-1).clamp(min=0), vectors.flip(-1)
    values = torch.where(values > RANK_TOLERANCE**2 * values[..., :1], values, 0.0)
    total = values.sum(-1, keepdim=True)
    kept = (values.cumsum(-1) - values < threshold * total) & (values > 0)
    return vectors * kept[..., None, :], kept.sum(-1)


def pwcca(pair: PairFactors) -> float:
    """Canonical correlations weighted by alpha_i = sum_j |<h_i, x_j>|: how much of X each direction accounts for.

    The weights come from the first argument. <h_i, x_j> = (P' S V')_ij with M = P rho Q', so the n-dimensional
    canonical variables h_i are never formed.
    """
    directions, correlations = pair.canonical
    weights = (directions.T @ (pair.a.spectrum.s[:, None] * pair.a.spectrum.vt)).abs().sum(1)
    return float((weights * correlations).sum() / weights.sum())


def _all_features(dx: int, dy: int, **_options: str) -> int:
    return max(dx, dy)


def _untruncated_features(dx: int, dy: int, threshold: float, **_options: str) -> int | None:
    """Where the leading directions alone are kept, few rows need not fill the space."""
    return None if threshold < 1 else max(dx, dy)


MEAN = Formulas(pair=mean, filled_by=_all_features)
MEAN_SQUARED = Formulas(pair=mean_squared, filled_by=_all_features)
SVCCA = Formulas(pair=svcca, stacked=stacked_svcca, filled_by=_untruncated_features)
PWCCA = Formulas(pair=pwcca, filled_by=_all_features)
