"""Centred kernel alignment (Kornblith et al. 2019, arXiv:1905.00414) and linear HSIC.

For centred X and Y with Gram matrices K = XX' and L = YY':  CKA = <K, L> / (|K| |L|), and <K, L> = |Y'X|_F^2.
"""

from __future__ import annotations

import math

from contrasim_core.errors import ConstantLayerError, OutOfMemoryError
from contrasim_core.measure.base import MeasureSpec
from contrasim_core.measure.closed_form import CLOSED_FORM
from contrasim_core.measure.factors import KERNEL_ROWS, LayerFactors, PairFactors


def linear(pair: PairFactors) -> float:
    """|Y'X|_F^2 / (|X'X|_F |Y'Y|_F)."""
    return pair.sq_frobenius / (pair.a.gram_norm * pair.b.gram_norm)


def linear_null(pair: PairFactors) -> float:
    """Expected linear CKA when the rows of Y are shuffled: tr(K) tr(L) / ((n - 1) |K| |L|), exactly.

    A shuffle meets the diagonal of L with weight 1/n and its off-diagonal with 1/(n(n-1)); both sum to -+tr(L)
    because the rows of a centred Gram matrix sum to zero.
    """
    n = pair.a.n
    return pair.a.sq_norm * pair.b.sq_norm / ((n - 1) * pair.a.gram_norm * pair.b.gram_norm)


def debiased_hsic(n: int, sq_frobenius: float, row_product: float, norm_product: float) -> float:
    """N (n - 3) times the unbiased HSIC of Song et al. 2012, eq. 5, in feature form for centred X and Y.

    Args:
        n: samples.
        sq_frobenius: |Y'X|_F^2.
        row_product: sum over i of |x_i|^2 |y_i|^2.
        norm_product: |X|_F^2 |Y|_F^2.
    """
    return sq_frobenius - n / (n - 2) * row_product + norm_product / ((n - 1) * (n - 2))


def self_debiased_hsic(layer: LayerFactors) -> float:
    """`debiased_hsic` of a layer with itself.

    Raises:
        ConstantLayerError: if it is not positive: nothing is left once the bias is taken off.
    """
    n = layer.n
    value = debiased_hsic(n, layer.gram_norm**2, float(layer.row_sq_norms.square().sum()), layer.sq_norm**2)
    if value <= 1e-12 * layer.gram_norm**2:
        raise ConstantLayerError(
            f"{layer.name}: its debiased self-similarity is not positive at n = {n}, so debiased CKA is undefined. "
            "Use more samples."
        )
    return value


def debiased(pair: PairFactors) -> float:
    """HSIC1(X, Y) / sqrt(HSIC1(X, X) HSIC1(Y, Y)); may be negative, and is never clamped."""
    n = pair.a.n
    rows = float(pair.a.row_sq_norms @ pair.b.row_sq_norms)
    cross = debiased_hsic(n, pair.sq_frobenius, rows, pair.a.sq_norm * pair.b.sq_norm)
    return cross / math.sqrt(self_debiased_hsic(pair.a) * self_debiased_hsic(pair.b))


def rbf(pair: PairFactors, t: float = 0.8) -> float:
    """CKA of Gaussian kernels with sigma = t times the median distance.

    Raises:
        OutOfMemoryError: if the kernels would not fit in memory.
        ConstantLayerError: if more than half of the rows coincide.
    """
    check_kernel_rows(pair.a.n)
    k, l = pair.a.rbf(t), pair.b.rbf(t)  # noqa: E741 - K and L as in the paper
    return float((k * l).sum() / (k.norm() * l.norm()))


def check_kernel_rows(n: int) -> None:
    """Refuse kernels that would not fit in memory.

    Raises:
        OutOfMemoryError: with what to do instead.
    """
    if n > KERNEL_ROWS:
        raise OutOfMemoryError(
            f"cka.rbf needs {n} x {n} kernels. Use at most {KERNEL_ROWS} samples, or cka.linear, which needs none."
        )


def rbf_null(pair: PairFactors, t: float = 0.8) -> float:
    """Expected RBF CKA when the rows of Y are shuffled; as `linear_null`, with the kernels' traces."""
    k, l = pair.a.rbf(t), pair.b.rbf(t)  # noqa: E741
    return float(k.trace() * l.trace() / ((len(k) - 1) * k.norm() * l.norm()))


def hsic(pair: PairFactors) -> float:
    """|Y'X|_F^2 / (n - 1)^2."""
    return pair.sq_frobenius / (pair.a.n - 1) ** 2


CKA_LINEAR = MeasureSpec(
    id="cka.linear",
    label="Linear CKA",
    score=linear,
    null=linear_null,
    family=CLOSED_FORM,
    source="arXiv:1905.00414, section 3, eq. 4 with a linear kernel",
    formula=r"\frac{\lVert Y^\top X\rVert_F^2}{\lVert X^\top X\rVert_F\,\lVert Y^\top Y\rVert_F}",
)
CKA_RBF = MeasureSpec(
    id="cka.rbf",
    label="RBF CKA",
    score=rbf,
    null=rbf_null,
    family=CLOSED_FORM,
    source="arXiv:1905.00414, section 3; bandwidth as in the authors' notebook",
    formula=r"\mathrm{CKA}(K,L),\; K_{ij}=e^{-\lVert x_i-x_j\rVert^2/2\sigma^2},\; \sigma = t\,\mathrm{median}",
    options={"t": 0.8},
    streams=False,
)
CKA_DEBIASED = MeasureSpec(
    id="cka.debiased",
    label="Debiased CKA",
    score=debiased,
    family=CLOSED_FORM,
    source="Song et al. 2012, eq. 5 (jmlr.org/papers/v13/song12a.html); arXiv:2010.15327, section 2",
    formula=r"\frac{\mathrm{HSIC}_1(X,Y)}{\sqrt{\mathrm{HSIC}_1(X,X)\,\mathrm{HSIC}_1(Y,Y)}}",
    bounds=(None, None),
    min_samples=4,
)
HSIC_LINEAR = MeasureSpec(
    id="hsic.linear",
    label="Linear HSIC",
    score=hsic,
    family=CLOSED_FORM,
    source="arXiv:1905.00414, section 3, eq. 3",
    formula=r"\lVert Y^\top X\rVert_F^2/(n-1)^2",
    bounds=(0.0, None),
    invariant_to=frozenset({"translation", "permutation", "orthogonal", "joint orthogonal"}),
)
