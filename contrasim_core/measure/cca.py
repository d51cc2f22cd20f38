"""Canonical correlations and their summaries: mean CCA, mean squared CCA, SVCCA and PWCCA.

All follow from M = U_x' U_y, the product of the layers' left singular vectors: its singular values are the canonical
correlations. Ranks are decided by a relative tolerance (`linalg.RANK_TOLERANCE`). Means are taken over p1, the smaller
*width*, as Kornblith et al. do, so that dead columns lower the value; the option `over="rank"` divides by the smaller
rank instead.
"""

from __future__ import annotations

import torch

from contrasim_core.errors import SpecError
from contrasim_core.measure.base import LINEAR, RIGID, MeasureSpec
from contrasim_core.measure.closed_form import CLOSED_FORM
from contrasim_core.measure.factors import PairFactors


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
    if not 0 < threshold <= 1:
        raise SpecError(f"threshold is {threshold:g}. It must be above 0 and at most 1.")
    ka, kb = pair.a.spectrum.components(threshold), pair.b.spectrum.components(threshold)
    block = pair.coupling[:ka, :kb]
    if summary == "rho":
        return float(torch.linalg.svdvals(block).clamp(max=1.0).sum()) / min(ka, kb)
    if summary == "r2":
        return float(block.square().sum()) / min(ka, kb)
    raise SpecError(f"summary is {summary!r}. It can be: 'rho', 'r2'.")


def pwcca(pair: PairFactors) -> float:
    """Canonical correlations weighted by alpha_i = sum_j |<h_i, x_j>|: how much of X each direction accounts for.

    The weights come from the first argument. <h_i, x_j> = (P' S V')_ij with M = P rho Q', so the n-dimensional
    canonical variables h_i are never formed.
    """
    directions, correlations = pair.canonical
    weights = (directions.T @ (pair.a.spectrum.s[:, None] * pair.a.spectrum.vt)).abs().sum(1)
    return float((weights * correlations).sum() / weights.sum())


CCA_MEAN = MeasureSpec(
    id="cca.mean",
    label="Mean CCA",
    score=mean,
    family=CLOSED_FORM,
    source="arXiv:1905.00414, eq. 8; arXiv:2303.16992, eq. 6",
    formula=r"\lVert Q_Y^\top Q_X\rVert_*/p_1 = \textstyle\sum_i \rho_i/p_1",
    invariant_to=LINEAR,
    saturates=True,
    options={"over": "width"},
)
CCA_R2 = MeasureSpec(
    id="cca.r2",
    label="Mean squared CCA",
    score=mean_squared,
    family=CLOSED_FORM,
    source="arXiv:1905.00414, eq. 7",
    formula=r"\lVert Q_Y^\top Q_X\rVert_F^2/p_1 = \textstyle\sum_i \rho_i^2/p_1",
    invariant_to=LINEAR,
    saturates=True,
    options={"over": "width"},
)
SVCCA = MeasureSpec(
    id="svcca",
    label="SVCCA",
    score=svcca,
    family=CLOSED_FORM,
    source="arXiv:1706.05806; arXiv:1905.00414, Table 1",
    formula=r"\lVert (U_Y T_Y)^\top U_X T_X\rVert_*/\min(k_x,k_y)",
    invariant_to=RIGID,
    saturates=True,
    options={"threshold": 0.99, "summary": "rho"},
)
PWCCA = MeasureSpec(
    id="pwcca",
    label="PWCCA",
    score=pwcca,
    family=CLOSED_FORM,
    source="arXiv:1806.05759; arXiv:2303.16992, eq. 7",
    formula=r"\frac{\sum_i \alpha_i\rho_i}{\sum_i \alpha_i},\quad \alpha_i=\textstyle\sum_j|\langle h_i,x_j\rangle|",
    symmetric=False,
    invariant_to=frozenset({"translation", "scale", "permutation"}),
    invariant_to_y=LINEAR,
    saturates=True,
)
