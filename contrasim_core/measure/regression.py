"""Linear regression: how much of X a linear map of Y explains (Kornblith et al. 2019, arXiv:1905.00414, eq. 5)."""

from __future__ import annotations

from contrasim_core.measure.base import LINEAR, RIGID, MeasureSpec
from contrasim_core.measure.closed_form import CLOSED_FORM
from contrasim_core.measure.factors import PairFactors


def r2(pair: PairFactors) -> float:
    """|Q_y' X|_F^2 / |X|_F^2, fitted and scored on the same rows."""
    scaled = pair.a.spectrum.s[:, None] * pair.coupling
    return float(scaled.square().sum()) / pair.a.sq_norm


REGRESSION_R2 = MeasureSpec(
    id="regression.r2",
    label="Linear regression R²",
    score=r2,
    family=CLOSED_FORM,
    source="arXiv:1905.00414, eq. 5: X explained by Y",
    formula=r"\lVert Q_Y^\top X\rVert_F^2/\lVert X\rVert_F^2",
    symmetric=False,
    invariant_to=RIGID,
    invariant_to_y=LINEAR,
    saturates=True,
)
