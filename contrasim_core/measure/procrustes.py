"""Orthogonal Procrustes similarity (Ding et al. 2021, arXiv:2108.01661; Williams et al. 2021, arXiv:2110.14739)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from contrasim_core.measure.base import Formulas
from contrasim_core.measure.batched import Grams, Scores, Stack, defined, gram, trace, whole
from contrasim_core.measure.factors import PairFactors


def overlap(product: Float[Tensor, "... a b"], sizes: Scores) -> Scores:
    """|X'Y|_* / (|X|_F |Y|_F): 1 when the two are equal up to a rotation, a reflection, a shift and a scale.

    Args:
        product: any matrix with the singular values of X'Y.
        sizes: |X|_F |Y|_F.
    """
    nuclear: Tensor = torch.linalg.svdvals(product).sum(-1)
    return nuclear / sizes


def similarity(pair: PairFactors) -> float:
    """`overlap` of X'Y in the bases of both layers' right singular vectors."""
    a, b = pair.a.spectrum.s, pair.b.spectrum.s
    return float(overlap(a[:, None] * pair.coupling * b, a.norm() * b.norm()))


def stacked(x: Stack, y: Stack) -> Scores:
    """`overlap` of each batch: the product of the Gram matrices' square roots has the singular values of X'Y."""
    k, l = whole(gram(x)), whole(gram(y))  # noqa: E741 - K and L as in the paper
    sizes = (trace(k) * trace(l)).sqrt()
    return defined(overlap(_root(k) @ _root(l), sizes), sizes)


def _root(k: Grams) -> Grams:
    values, vectors = torch.linalg.eigh(k)
    root: Tensor = (vectors * values.clamp(min=0).sqrt()[..., None, :]) @ vectors.transpose(-1, -2)
    return root


PROCRUSTES = Formulas(pair=similarity, stacked=stacked)
