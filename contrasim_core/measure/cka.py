"""Centred kernel alignment (Kornblith et al. 2019, arXiv:1905.00414) and linear HSIC.

For centred X and Y with Gram matrices K = XX' and L = YY':  CKA = <K, L> / (|K| |L|), and <K, L> = |Y'X|_F^2.

The formulas are written once, for numbers (a pair of layers), arrays (a grid) and tensors (a stack of batches). What
differs is how the sums come about, and so their last digits: a pair multiplies the norms |K| and |L|; grids and stacks
take the root of <K, K> <L, L>, and give it as one number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from contrasim_core.errors import ConstantLayerError, OutOfMemoryError, SpecError
from contrasim_core.measure.base import Array, Bulk, Formulas
from contrasim_core.measure.batched import Grams, Scores, Stack, defined, gram, inner, trace
from contrasim_core.measure.bulk import CrossSums, Own, cross_sums
from contrasim_core.measure.factors import LayerFactors, PairFactors
from contrasim_core.measure.linalg import row_blocks, squared_distances

KERNEL_ROWS = 20_000
"""More rows than this and an n x n kernel does not belong in memory (3.2 GB each in float64)."""
Number = TypeVar("Number", float, Array, Tensor)


def cka(cross: Number, own_a: Number, own_b: Number | float = 1.0) -> Number:
    """<K, L> / (|K| |L|).

    Args:
        cross: <K, L>.
        own_a: |K|, or |K| |L| as one number.
        own_b: |L|, or 1.
    """
    return cross / (own_a * own_b)


def shuffled_cka(n: int, traces: Number, own_a: Number, own_b: Number | float = 1.0) -> Number:
    """Expected CKA when the rows of Y are shuffled: tr(K) tr(L) / ((n - 1) |K| |L|), exactly.

    A shuffle meets the diagonal of L with weight 1/n and its off-diagonal with 1/(n(n-1)); both sum to -+tr(L)
    because the rows of a centred Gram matrix sum to zero.
    """
    return cka(traces, (n - 1) * own_a, own_b)


def hsic(n: int, cross: Number) -> Number:
    """<K, L> / (n - 1)^2."""
    return cross / (n - 1) ** 2


def debiased_hsic(n: int, cross: Number, rows: Number, traces: Number) -> Number:
    """N (n - 3) times the unbiased HSIC of Song et al. 2012, eq. 5, in feature form for centred X and Y.

    Args:
        n: samples.
        cross: <K, L>.
        rows: sum over i of |x_i|^2 |y_i|^2.
        traces: tr(K) tr(L) = |X|_F^2 |Y|_F^2.
    """
    return cross - n / (n - 2) * rows + traces / ((n - 1) * (n - 2))


# ---- linear CKA and HSIC


def linear(pair: PairFactors) -> float:
    """|Y'X|_F^2 / (|X'X|_F |Y'Y|_F)."""
    return cka(pair.sq_frobenius, pair.a.gram_norm, pair.b.gram_norm)


def linear_null(pair: PairFactors) -> float:
    """`shuffled_cka` of a pair."""
    return shuffled_cka(pair.a.n, pair.a.sq_norm * pair.b.sq_norm, pair.a.gram_norm, pair.b.gram_norm)


def linear_sums(sums: CrossSums) -> Bulk:
    """`linear` and its null for all pairs."""
    own = np.sqrt(np.outer(sums.a.gram, sums.b.gram))
    return cka(sums.gram, own), shuffled_cka(sums.n, np.outer(sums.a.norm, sums.b.norm), own)


def linear_stacked(x: Stack, y: Stack) -> Scores:
    """`linear` of each batch."""
    return _stacked(gram(x), gram(y))


def _stacked(k: Grams, l: Grams) -> Scores:  # noqa: E741 - K and L as in the paper
    own = (inner(k, k) * inner(l, l)).sqrt()
    return defined(cka(inner(k, l), own), own)


def linear_hsic(pair: PairFactors) -> float:
    """|Y'X|_F^2 / (n - 1)^2."""
    return hsic(pair.a.n, pair.sq_frobenius)


def hsic_sums(sums: CrossSums) -> Bulk:
    """`linear_hsic` for all pairs."""
    return hsic(sums.n, sums.gram), None


def hsic_stacked(x: Stack, y: Stack) -> Scores:
    """`linear_hsic` of each batch."""
    return hsic(x.shape[-2], inner(gram(x), gram(y)))


# ---- debiased CKA


def debiased(pair: PairFactors) -> float:
    """HSIC1(X, Y) / sqrt(HSIC1(X, X) HSIC1(Y, Y)); may be negative, and is never clamped."""
    n, a, b = pair.a.n, pair.a, pair.b
    cross = debiased_hsic(n, pair.sq_frobenius, float(a.row_sq_norms @ b.row_sq_norms), a.sq_norm * b.sq_norm)
    return cka(cross, math.sqrt(_self_debiased(a) * _self_debiased(b)))


def _self_debiased(layer: LayerFactors) -> float:
    gram_square, rows = layer.gram_norm**2, float(layer.row_sq_norms.square().sum())
    value = debiased_hsic(layer.n, gram_square, rows, layer.sq_norm**2)
    check_debiased(layer.name, layer.n, value, gram_square)
    return value


def check_debiased(name: str, n: int, value: float, biased: float) -> None:
    """Refuse a layer of whose self-similarity nothing is left once the bias is taken off.

    Raises:
        ConstantLayerError: with what to do.
    """
    if value <= 1e-12 * biased:
        raise ConstantLayerError(
            f"{name}: its debiased self-similarity is not positive at n = {n}, so debiased CKA is undefined. "
            "Use more samples."
        )


def debiased_sums(sums: CrossSums) -> Bulk:
    """`debiased` for all pairs."""
    cross = debiased_hsic(sums.n, sums.gram, sums.rows, np.outer(sums.a.norm, sums.b.norm))
    return cka(cross, np.sqrt(np.outer(_own_debiased(sums.n, sums.a), _own_debiased(sums.n, sums.b)))), None


def _own_debiased(n: int, own: Own) -> Array:
    values = debiased_hsic(n, own.gram, own.rows, own.norm**2)
    for name, value, biased in zip(own.names, values, own.gram, strict=True):
        check_debiased(name, n, value, biased)
    return values


def debiased_stacked(x: Stack, y: Stack) -> Scores:
    """`debiased` of each batch."""
    k, l = gram(x), gram(y)  # noqa: E741
    own_k, own_l = _stacked_hsic1(k, k), _stacked_hsic1(l, l)
    values = cka(_stacked_hsic1(k, l), (own_k * own_l).clamp(min=0).sqrt())
    return defined(values, torch.minimum(own_k, own_l))


def _stacked_hsic1(k: Grams, l: Grams) -> Scores:  # noqa: E741
    rows = (k.diagonal(dim1=-2, dim2=-1) * l.diagonal(dim1=-2, dim2=-1)).sum(-1)
    return debiased_hsic(k.shape[-1], inner(k, l), rows, trace(k) * trace(l))


# ---- CKA of Gaussian kernels


def gaussian(distances: Tensor, variance: Tensor | float) -> Tensor:
    """exp(-|x_i - x_j|^2 / (2 sigma^2))."""
    return torch.exp(-distances / (2 * variance))


def rbf(pair: PairFactors, t: float = 0.8) -> float:
    """CKA of Gaussian kernels with sigma = t times the median distance.

    Raises:
        OutOfMemoryError: if the kernels would not fit in memory.
        ConstantLayerError: if more than half of the rows coincide.
    """
    check_kernel_rows(pair.a.n)
    k, l = kernel(pair.a, t), kernel(pair.b, t)  # noqa: E741
    return float(cka((k * l).sum(), k.norm(), l.norm()))


def rbf_null(pair: PairFactors, t: float = 0.8) -> float:
    """`shuffled_cka` of a pair's kernels."""
    k, l = kernel(pair.a, t), kernel(pair.b, t)  # noqa: E741
    return float(shuffled_cka(len(k), k.trace() * l.trace(), k.norm(), l.norm()))


def check_kernel_rows(n: int) -> None:
    """Refuse kernels that would not fit in memory.

    Raises:
        OutOfMemoryError: with what to do instead.
    """
    if n > KERNEL_ROWS:
        raise OutOfMemoryError(
            f"cka.rbf needs {n} x {n} kernels. Use at most {KERNEL_ROWS} samples, or cka.linear, which needs none."
        )


def kernel(layer: LayerFactors, t: float) -> Float[Tensor, "n n"]:
    """The centred Gaussian kernel of a layer, columns first."""
    distances = _distances(layer)
    found = gaussian(distances, bandwidth(layer.name, distances, t))
    found -= found.mean(0, keepdim=True)
    return found - found.mean(1, keepdim=True)


def _distances(layer: LayerFactors) -> Float[Tensor, "n n"]:
    return squared_distances(layer.centred, layer.centred).fill_diagonal_(0)


def bandwidth(name: str, distances: Float[Tensor, "n n"], t: float) -> float:
    """sigma^2 = (t * median distance)^2.

    The median is that of the squared distances over the whole n x n matrix, its zero diagonal included, as in the
    notebook of CKA's authors.

    Raises:
        SpecError: if t is not above 0.
        ConstantLayerError: if more than half of the rows coincide, so that the median distance is 0.
    """
    check_t(t)
    median = float(np.median(distances.cpu().numpy()))
    if median == 0:
        raise ConstantLayerError(
            f"{name}: more than half of the rows coincide, so the median distance, the bandwidth of RBF CKA, "
            "is 0. Drop repeated samples, or use cka.linear."
        )
    return t * t * median


def check_t(t: float) -> None:
    """Refuse a bandwidth that is not above 0.

    Raises:
        SpecError: with what was given.
    """
    if not t > 0:
        raise SpecError(f"t is {t:g}. It must be above 0.")


def rbf_grid(rows: Sequence[LayerFactors], columns: Sequence[LayerFactors], t: float) -> Bulk:
    """RBF CKA of all pairs and its expectation under shuffled rows, by blocks of rows.

    The kernels are centred by algebra on their row sums, so no n x n kernel of more than one layer is ever held.
    """
    same = len(rows) == len(columns) and all(a is b for a, b in zip(rows, columns, strict=True))
    layers = list(rows) if same else [*rows, *columns]
    n, count = layers[0].n, len(layers)
    variances = [bandwidth(layer.name, _distances(layer), t) for layer in layers]
    products = torch.zeros(count, count, dtype=torch.float64)
    sums = torch.zeros(count, n, dtype=torch.float64)
    for block in row_blocks(n, max(1, 2**22 // n)):
        kernels = torch.stack([_kernel_rows(layer, block, v) for layer, v in zip(layers, variances, strict=True)])
        sums[:, block] = kernels.sum(2).cpu()
        flat = kernels.flatten(1)
        products += (flat @ flat.T).cpu()
    totals = sums.sum(1)
    inners = (products - 2 / n * sums @ sums.T + torch.outer(totals, totals) / n**2).numpy()
    traces = (n - totals / n).numpy()
    first = np.arange(len(rows))
    second = first if same else np.arange(len(rows), count)
    own = np.sqrt(np.outer(inners.diagonal()[first], inners.diagonal()[second]))
    return cka(inners[np.ix_(first, second)], own), shuffled_cka(n, np.outer(traces[first], traces[second]), own)


def _kernel_rows(layer: LayerFactors, block: slice, variance: float) -> Float[Tensor, "b n"]:
    distances = squared_distances(layer.centred[block], layer.centred)
    index = torch.arange(block.start, block.stop)
    distances[index - block.start, index] = 0
    return gaussian(distances, variance)


def rbf_stacked(x: Stack, y: Stack, t: float) -> Scores:
    """`rbf` of each batch, with a bandwidth for each."""
    check_t(t)
    return _stacked(_stacked_kernels(x, t), _stacked_kernels(y, t))


def _stacked_kernels(x: Stack, t: float) -> Grams:
    grams = gram(x)
    rows = grams.diagonal(dim1=-2, dim2=-1)
    distances = (rows[..., :, None] + rows[..., None, :] - 2 * grams).clamp(min=0)
    median = distances.flatten(-2).quantile(0.5, dim=-1)[..., None, None]
    kernels = gaussian(distances, t**2 * median)
    kernels = kernels - kernels.mean(-1, keepdim=True)
    return kernels - kernels.mean(-2, keepdim=True)


# ---- linear CKA of encodings


def encoded(pair: tuple[Float[Tensor, "n k"], Float[Tensor, "n k"]]) -> float:
    """Linear CKA of two encodings: the one cell of their grid."""
    x, y = LayerFactors(pair[0], "the encoding of x"), LayerFactors(pair[1], "the encoding of y")
    return float(linear_sums(cross_sums([x], [y]))[0][0, 0])


def encoded_grid(rows: Sequence[Float[Tensor, "n k"]], columns: Sequence[Float[Tensor, "n k"]]) -> Bulk:
    """Linear CKA of all pairs of encodings."""
    layers = {id(z): LayerFactors(z, "an encoding") for z in (*rows, *columns)}
    return linear_sums(cross_sums([layers[id(z)] for z in rows], [layers[id(z)] for z in columns]))[0], None


def trained(z: Float[Tensor, "e b n k"]) -> Float[Tensor, "e b b"]:
    """Linear CKA of all pairs of batches of encodings, to train on: `cka` of Gram matrices that are scaled to length 1.

    Their norms are divided off before the product, not after it, so that float32 and its gradients stay in range.
    """
    centred = z - z.mean(2, keepdim=True)
    unit = normalize((centred @ centred.transpose(2, 3)).flatten(2), dim=2)
    return unit @ unit.transpose(1, 2)


LINEAR = Formulas(pair=linear, null=linear_null, sums=linear_sums, stacked=linear_stacked)
RBF = Formulas(pair=rbf, null=rbf_null, grid=rbf_grid, stacked=rbf_stacked)
DEBIASED = Formulas(pair=debiased, sums=debiased_sums, stacked=debiased_stacked)
HSIC = Formulas(pair=linear_hsic, sums=hsic_sums, stacked=hsic_stacked)
ENCODED = Formulas(pair=encoded, grid=encoded_grid, stacked=linear_stacked, all_pairs=trained)
