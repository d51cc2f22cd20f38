"""Linear regression: how much of X a linear map of Y explains (Kornblith et al. 2019, arXiv:1905.00414, eq. 5)."""

from __future__ import annotations

from contrasim_core.measure.base import Formulas
from contrasim_core.measure.factors import PairFactors


def r2(pair: PairFactors) -> float:
    """|Q_y' X|_F^2 / |X|_F^2, fitted and scored on the same rows."""
    scaled = pair.a.spectrum.s[:, None] * pair.coupling
    return float(scaled.square().sum()) / pair.a.sq_norm


R2 = Formulas(pair=r2, filled_by=lambda _dx, dy: dy)  # what is explained may be wide
