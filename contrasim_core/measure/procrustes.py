"""Orthogonal Procrustes similarity (Ding et al. 2021, arXiv:2108.01661; Williams et al. 2021, arXiv:2110.14739)."""

from __future__ import annotations

import torch

from contrasim_core.measure.base import MeasureSpec
from contrasim_core.measure.closed_form import CLOSED_FORM
from contrasim_core.measure.factors import PairFactors


def similarity(pair: PairFactors) -> float:
    """|X'Y|_* / (|X|_F |Y|_F): 1 when the two are equal up to a rotation, a reflection, a shift and a scale."""
    scaled = pair.a.spectrum.s[:, None] * pair.coupling * pair.b.spectrum.s
    return float(torch.linalg.svdvals(scaled).sum()) / float(pair.a.spectrum.s.norm() * pair.b.spectrum.s.norm())


PROCRUSTES = MeasureSpec(
    id="procrustes",
    label="Procrustes",
    score=similarity,
    family=CLOSED_FORM,
    source="arXiv:2108.01661, section 2; cosine of the angular distance of arXiv:2110.14739",
    formula=r"\lVert X^\top Y\rVert_*/(\lVert X\rVert_F\,\lVert Y\rVert_F)",
)
