"""Measures that compare row i with row i and nothing else, without centring (arXiv:2303.16992, appendix A.4)."""

from __future__ import annotations

from contrasim_core.measure.base import MeasureSpec
from contrasim_core.measure.closed_form import CLOSED_FORM
from contrasim_core.measure.factors import PairFactors


def dot(pair: PairFactors) -> float:
    """Mean over rows of x_i . y_i."""
    return float((pair.a.finite * pair.b.finite).sum()) / len(pair.a.values)


def norm(pair: PairFactors) -> float:
    """Mean over rows of 1 - | x_i/|x_i| - y_i/|y_i| |; from -1 (opposite) to 1 (same direction)."""
    return float((1 - (pair.a.unit_rows - pair.b.unit_rows).norm(dim=1)).mean())


DOT = MeasureSpec(
    id="dot",
    label="Dot product",
    score=dot,
    family=CLOSED_FORM,
    source="arXiv:2303.16992, section 6, divided by n as in eq. 2",
    formula=r"\tfrac1n\textstyle\sum_i x_i\cdot y_i",
    bounds=(None, None),
    invariant_to=frozenset({"joint orthogonal"}),
    min_samples=1,
    same_width=True,
    streams=False,
)
NORM = MeasureSpec(
    id="norm",
    label="Norm",
    score=norm,
    family=CLOSED_FORM,
    source="arXiv:2303.16992, eqs. 9 and 10",
    formula=r"\tfrac1n\textstyle\sum_i 1-\lVert x_i/\lVert x_i\rVert-y_i/\lVert y_i\rVert\rVert",
    bounds=(-1.0, 1.0),
    invariant_to=frozenset({"scale", "joint orthogonal"}),
    min_samples=1,
    same_width=True,
    streams=False,
)
