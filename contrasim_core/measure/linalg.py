"""Centring, Gram matrices and singular values, and the dtype policy.

Dtype policy. Means are taken and subtracted in float64 whatever the input is: real [CLS] states have a mean hundreds
of times their spread, and a float32 mean leaves nothing of the spread. After centring, large matrix products run in
the precision of the input (float32 in, float32 products) and their results are added up in float64. Factorisations
and everything small run in float64. Half-precision input is taken as float32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from contrasim_core.errors import ConstantLayerError, NotFiniteError

RANK_TOLERANCE = 1e-6
"""Singular values below this share of the largest are taken as zero: float32 activations carry no more."""


CACHED_ROWS = 256
"""Rows that are taken from float32 to float64 and back at a time, so that they stay in the processor's cache."""


CONSTANT_TOLERANCE = 1e-7
"""A layer whose spread is below this share of its size has no variance that float32 could hold."""


def centre(x: Float[Tensor, "n d"], name: str = "x") -> Float[Tensor, "n d"]:
    """The columns with their means taken off, in float64.

    Raises:
        NotFiniteError: if there is a NaN or an infinity.
        ConstantLayerError: if every row is the same up to float32 rounding.
    """
    wide = x.double()
    if not bool(torch.isfinite(wide).all()):
        bad = int((~torch.isfinite(wide)).any(1).sum())
        raise NotFiniteError(f"{name} has NaN or infinity in {bad} of {len(x)} rows. Mend or drop those rows first.")
    centred = wide - wide.mean(0, keepdim=True)
    check_spread(name, len(x), float(centred.norm()), float(wide.norm()))
    return centred


def row_spread(x: Float[Tensor, "n d"], name: str = "x") -> tuple[Float[Tensor, " d"], Float[Tensor, " n"]]:
    """Means of the columns and squared lengths of the centred rows, in float64, with no copy of the whole matrix.

    Raises:
        NotFiniteError: as `centre`.
        ConstantLayerError: as `centre`.
    """
    mean = x.mean(0, dtype=torch.float64)
    lengths, size = [], 0.0
    for block in row_blocks(len(x), CACHED_ROWS):
        wide = x[block].double()
        size += float(wide.square().sum())
        lengths.append((wide - mean).square().sum(1))
    found = torch.cat(lengths)
    if not math.isfinite(size):
        centre(x, name)  # says how many rows
    check_spread(name, len(x), math.sqrt(float(found.sum())), math.sqrt(size))
    return mean, found


def centred_rows(x: Float[Tensor, "n d"], mean: Float[Tensor, " d"], scale: float) -> Float[Tensor, "n d"]:
    """(x - mean) / scale, computed in float64 and kept in the precision of x."""
    rows = torch.empty_like(x)
    for block in row_blocks(len(x), CACHED_ROWS):
        rows[block] = (x[block].double() - mean) / scale
    return rows


def check_spread(name: str, n: int, spread: float, size: float) -> None:
    """Refuse a layer without variance.

    Args:
        name: the layer, for the message.
        n: its rows.
        spread: Frobenius norm after centring.
        size: Frobenius norm before.

    Raises:
        NotFiniteError: if a norm is NaN or infinite, because a value is.
        ConstantLayerError: if every row is the same up to float32 rounding.
    """
    if not math.isfinite(size):
        raise NotFiniteError(f"{name} has NaN or infinity in some of its {n} rows. Mend or drop those rows first.")
    if spread <= CONSTANT_TOLERANCE * size:
        raise ConstantLayerError(
            f"{name} has no variance: all {n} rows are the same. No similarity is defined for it. "
            "(The embedding layer of a [CLS] token is such a layer; leave it out or use another pooling.)"
        )


@dataclass(frozen=True)
class Spectrum:
    """Thin singular value decomposition X = U diag(s) V' of a centred matrix, cut to its numerical rank k.

    Attributes:
        u: [n, k], orthonormal columns, float64.
        s: [k], descending, float64.
        vt: [k, d], orthonormal rows, float64.
        width: d, the width before the cut.
    """

    u: Float[Tensor, "n k"]
    s: Float[Tensor, " k"]
    vt: Float[Tensor, "k d"]
    width: int

    def components(self, threshold: float) -> int:
        """How many leading components explain `threshold` of the variance (squared singular values)."""
        share = self.s.square().cumsum(0) / self.s.square().sum()
        return min(int((share < threshold).sum()) + 1, len(self.s))


def spectrum(centred: Float[Tensor, "n d"], tolerance: float = RANK_TOLERANCE) -> Spectrum:
    """The decomposition of a centred float64 matrix; by QR first, which keeps small singular values exact.

    Args:
        centred: [n, d].
        tolerance: singular values below `tolerance` times the largest are cut.
    """
    n, d = centred.shape
    if n > d:
        _, s, vt = torch.linalg.svd(torch.linalg.qr(centred, mode="r").R, full_matrices=False)
        rank = int((s > tolerance * s[0]).sum())
        return Spectrum(centred @ (vt[:rank].T / s[:rank]), s[:rank], vt[:rank], d)  # orthonormal to 1e-16 s[0] / s[-1]
    u, s, vt = torch.linalg.svd(centred, full_matrices=False)
    rank = int((s > tolerance * s[0]).sum())
    return Spectrum(u[:, :rank], s[:rank], vt[:rank], d)


def row_blocks(n: int, size: int) -> list[slice]:
    """Consecutive slices of at most `size` rows that cover `n` rows."""
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def squared_distances(x: Float[Tensor, "a d"], y: Float[Tensor, "b d"]) -> Float[Tensor, "a b"]:
    """Squared Euclidean distances between all rows, never below zero."""
    products = x @ y.T
    return (x.square().sum(1)[:, None] + y.square().sum(1)[None, :] - 2 * products).clamp_(min=0)
