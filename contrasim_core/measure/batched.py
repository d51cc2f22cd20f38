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
from contrasim_core.measure.linalg import RANK_TOLERANCE

Stack = Float[Tensor, "*batch n d"]
Scores = Float[Tensor, "*batch"]
TRUNCATING = ("svcca",)
"""Measures that keep leading directions only, so that few rows need not fill the space."""
Batched = Callable[[Tensor, Tensor], Tensor]
"""From x [..., n, dx] and y [..., n, dy], whose leading axes broadcast, to scores [...]; NaN where undefined."""


def batched(spec: MeasureSpec) -> Batched:
    """The measure as a function of stacks of batches."""
    base = spec.id.partition(":")[0]
    form = _FORMS.get(base)
    if form is None:
        return lambda x, y: _one_by_one(spec, x, y)
    return lambda x, y: form(x.double(), y.double(), **spec.options)


def why_undefined(spec: MeasureSpec, n: int, dx: int, dy: int) -> str:
    """Why a measure cannot tell batches of n rows apart; empty if it can."""
    if n < spec.min_samples:
        return f"{spec.id} needs at least {spec.min_samples} samples; a batch has {n}"
    if spec.same_width and dx != dy:
        return f"{spec.id} needs equal widths; the sides have {dx} and {dy}"
    if spec.saturates and spec.id not in TRUNCATING and n <= _deciding(spec, dx, dy) + 1:
        features = _deciding(spec, dx, dy)
        return f"with batches of {n} rows and {features} features {spec.id} is at its maximum for any data"
    return ""


def _deciding(spec: MeasureSpec, dx: int, dy: int) -> int:
    """The width that makes a measure reach its maximum: of what explains, in a regression; else of either side."""
    return dy if spec.id.startswith("regression") else max(dx, dy)


def _gram(x: Tensor) -> Tensor:
    """Gram matrices of the centred rows; rows of a constant batch become exactly zero."""
    mean = x.mean(-2, keepdim=True)
    centred = x - mean
    scale = x.abs().amax((-2, -1), keepdim=True)
    centred = torch.where(centred.abs() <= 1e-12 * scale, 0.0, centred)
    return centred @ centred.transpose(-1, -2)


def _whole(gram: Tensor) -> Tensor:
    """Zero for a batch with NaN or infinity, of which nothing is defined and on which decompositions fail."""
    return torch.where(torch.isfinite(gram).all(-1, keepdim=True).all(-2, keepdim=True), gram, 0.0)


def _inner(k: Tensor, l: Tensor) -> Tensor:  # noqa: E741 - K and L as in the paper
    return (k * l).sum((-2, -1))


def _trace(k: Tensor) -> Tensor:
    return k.diagonal(dim1=-2, dim2=-1).sum(-1)


def _ratio(top: Tensor, bottom: Tensor) -> Tensor:
    """NaN where there is nothing to divide by."""
    return torch.where(bottom > 0, top / bottom, torch.nan)


def cka(x: Stack, y: Stack) -> Scores:
    """Linear CKA."""
    k, l = _gram(x), _gram(y)  # noqa: E741
    return _ratio(_inner(k, l), (_inner(k, k) * _inner(l, l)).sqrt())


def debiased_cka(x: Stack, y: Stack) -> Scores:
    """Debiased linear CKA."""
    k, l = _gram(x), _gram(y)  # noqa: E741
    own = _hsic1(k, k) * _hsic1(l, l)
    positive = (_hsic1(k, k) > 0) & (_hsic1(l, l) > 0)
    return torch.where(positive, _hsic1(k, l) / own.clamp(min=0).sqrt(), torch.nan)


def _hsic1(k: Tensor, l: Tensor) -> Tensor:  # noqa: E741
    """N (n - 3) times the unbiased HSIC, as in `cka.debiased_hsic`."""
    n = k.shape[-1]
    rows = (k.diagonal(dim1=-2, dim2=-1) * l.diagonal(dim1=-2, dim2=-1)).sum(-1)
    return _inner(k, l) - n / (n - 2) * rows + _trace(k) * _trace(l) / ((n - 1) * (n - 2))


def rbf_cka(x: Stack, y: Stack, t: float) -> Scores:
    """CKA of Gaussian kernels, a bandwidth for each batch."""
    k, l = _rbf(x, t), _rbf(y, t)  # noqa: E741
    return _ratio(_inner(k, l), (_inner(k, k) * _inner(l, l)).sqrt())


def _rbf(x: Tensor, t: float) -> Tensor:
    gram = _gram(x)
    rows = gram.diagonal(dim1=-2, dim2=-1)
    distances = (rows[..., :, None] + rows[..., None, :] - 2 * gram).clamp(min=0)
    median = distances.flatten(-2).quantile(0.5, dim=-1)[..., None, None]
    kernel = torch.exp(-distances / (2 * t**2 * median))
    kernel = kernel - kernel.mean(-1, keepdim=True)
    return kernel - kernel.mean(-2, keepdim=True)


def hsic(x: Stack, y: Stack) -> Scores:
    """Linear HSIC."""
    return _inner(_gram(x), _gram(y)) / (x.shape[-2] - 1) ** 2


def procrustes(x: Stack, y: Stack) -> Scores:
    """Orthogonal Procrustes: the singular values of X'Y are those of the product of the Gram matrices' square roots."""
    k, l = _whole(_gram(x)), _whole(_gram(y))  # noqa: E741
    nuclear = torch.linalg.svdvals(_root(k) @ _root(l)).sum(-1)
    return _ratio(nuclear, (_trace(k) * _trace(l)).sqrt())


def _root(gram: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(gram)
    root: Tensor = (vectors * values.clamp(min=0).sqrt()[..., None, :]) @ vectors.transpose(-1, -2)
    return root


def svcca(x: Stack, y: Stack, threshold: float, summary: str) -> Scores:
    """SVCCA: the left singular vectors are the eigenvectors of the Gram matrices."""
    u, ku = _leading(x, threshold)
    v, kv = _leading(y, threshold)
    block = u.transpose(-1, -2) @ v
    rho = torch.linalg.svdvals(block).clamp(max=1.0)
    total = rho.sum(-1) if summary == "rho" else rho.square().sum(-1)
    return _ratio(total, torch.minimum(ku, kv))


def _leading(x: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Left singular vectors that explain `threshold` of the variance, the others zero; and how many."""
    values, vectors = torch.linalg.eigh(_whole(_gram(x)))
    values, vectors = values.flip(-1).clamp(min=0), vectors.flip(-1)
    values = torch.where(values > RANK_TOLERANCE**2 * values[..., :1], values, 0.0)
    total = values.sum(-1, keepdim=True)
    kept = (values.cumsum(-1) - values < threshold * total) & (values > 0)
    return vectors * kept[..., None, :], kept.sum(-1)


def mean_dot(x: Stack, y: Stack) -> Scores:
    """Mean over rows of x_i . y_i."""
    return (x * y).sum(-1).mean(-1)


def mean_norm(x: Stack, y: Stack) -> Scores:
    """Mean over rows of 1 - | x_i/|x_i| - y_i/|y_i| |."""
    unit = torch.nn.functional.normalize
    scores: Tensor = (1 - (unit(x, dim=-1) - unit(y, dim=-1)).norm(dim=-1)).mean(-1)
    return scores


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


_FORMS: dict[str, Callable[..., Tensor]] = {
    "cka.linear": cka,
    "cka.debiased": debiased_cka,
    "cka.rbf": rbf_cka,
    "hsic.linear": hsic,
    "procrustes": procrustes,
    "svcca": svcca,
    "dot": mean_dot,
    "norm": mean_norm,
    "contrasim": mean_dot,
    "contrasim.norm": mean_norm,
    "contrasim.relative": mean_dot,
    "deepdot": mean_dot,
    "deepcka": cka,
}
"""Learned measures: of encodings."""
