"""Scores of very many small batches at once, for benchmarks that ask which of several batches is most alike.

The formulas are those of the measures, on stacks of matrices [..., n, d], by way of n x n Gram matrices: n is small
here. A measure that has no such form is scored pair by pair.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from contrasim_core.errors import RepresentationError
from contrasim_core.measure.base import MeasureSpec

Stack = Float[Tensor, "... n _d"]
Grams = Float[Tensor, "... n n"]
Scores = Float[Tensor, "..."]
Batched = Callable[[Tensor, Tensor], Tensor]
"""From x [..., n, dx] and y [..., n, dy], whose leading axes broadcast, to scores [...]; NaN where undefined."""


def batched(spec: MeasureSpec) -> Batched:
    """The measure as a function of stacks of batches."""
    form = spec.forms.stacked
    if form is None:
        return lambda x, y: _one_by_one(spec, x, y)
    return lambda x, y: form(x.double(), y.double(), **spec.options)


def why_undefined(spec: MeasureSpec, n: int, dx: int, dy: int) -> str:
    """Why a measure cannot tell batches of n rows apart; empty if it can."""
    if n < spec.min_samples:
        return f"{spec.id} needs at least {spec.min_samples} samples; a batch has {n}"
    if spec.same_width and dx != dy:
        return f"{spec.id} needs equal widths; the sides have {dx} and {dy}"
    features = spec.forms.filled_by(dx, dy, **spec.options)
    if features is not None and n <= features + 1:
        return f"with batches of {n} rows and {features} features {spec.id} is at its maximum for any data"
    return ""


def _one_by_one(spec: MeasureSpec, x: Tensor, y: Tensor) -> Tensor:
    shape = torch.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    left = x.expand(*shape, *x.shape[-2:]).reshape(-1, *x.shape[-2:])
    right = y.expand(*shape, *y.shape[-2:]).reshape(-1, *y.shape[-2:])
    values = torch.full((len(left),), torch.nan, dtype=torch.float64)
    for place, (a, b) in enumerate(zip(left, right, strict=True)):
        try:
            values[place] = spec(a, b)
        except RepresentationError:
            continue
    return values.reshape(shape)


def gram(x: Stack) -> Grams:
    """Gram matrices of the centred rows; rows of a constant batch become exactly zero."""
    mean = x.mean(-2, keepdim=True)
    centred = x - mean
    scale = x.abs().amax((-2, -1), keepdim=True)
    centred = torch.where(centred.abs() <= 1e-12 * scale, 0.0, centred)
    return centred @ centred.transpose(-1, -2)


def whole(grams: Grams) -> Grams:
    """Zero for a batch with NaN or infinity, of which nothing is defined and on which decompositions fail."""
    return torch.where(torch.isfinite(grams).all(-1, keepdim=True).all(-2, keepdim=True), grams, 0.0)


def inner(k: Grams, l: Grams) -> Scores:  # noqa: E741 - K and L as in the paper
    """<K, L>."""
    return (k * l).sum((-2, -1))


def trace(k: Grams) -> Scores:
    """Sum of the diagonal."""
    return k.diagonal(dim1=-2, dim2=-1).sum(-1)


def defined(scores: Scores, divisor: Scores) -> Scores:
    """The scores; NaN where there was nothing to divide by."""
    return torch.where(divisor > 0, scores, torch.nan)
