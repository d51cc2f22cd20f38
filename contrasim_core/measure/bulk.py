"""Whole grids at once: the sums every linear measure needs, for all pairs of layers, by large matrix products.

Two routes to <K_a, K_b> = |X_a'X_b|_F^2, chosen by arithmetic:

* Gram route, for few samples or many wide layers: n x n Gram matrices in square blocks of rows, symmetric halves only,
  every layer's block flattened to a row of one matrix whose product with itself holds all pairs. Memory independent
  of n.
* feature route, otherwise: cross-covariances accumulated over blocks of rows. Memory independent of n.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from contrasim_core.errors import RepresentationError
from contrasim_core.measure.base import Array
from contrasim_core.measure.factors import LayerFactors, PairFactors
from contrasim_core.measure.linalg import RANK_TOLERANCE, Spectrum, check_spread, row_blocks
from contrasim_core.progress import Progress, silent

Pairs = set[tuple[int, int]]
GRAM_BLOCK = 512  # rows: large enough for fast products, small enough for the cache
FLOAT32_TERMS = 65536  # products are summed in float32 this many at a time, then in float64
STREAM_BLOCK = 4096


@dataclass(frozen=True)
class Own:
    """Sums of each layer with itself, all [L]: |X'X|_F^2, sum of |x_i|^4, |X|_F^2, and the layers' names."""

    gram: Array
    rows: Array
    norm: Array
    names: tuple[str, ...]


@dataclass(frozen=True)
class CrossSums:
    """Sums over samples for all pairs (a, b) of layers of two lists.

    Attributes:
        n: samples.
        gram: |X_a'X_b|_F^2, [A, B].
        rows: sum over i of |a_i|^2 |b_i|^2, [A, B].
        a: the layers of the first list, each with itself.
        b: those of the second.
    """

    n: int
    gram: Array
    rows: Array
    a: Own
    b: Own


def cross_sums(rows: Sequence[LayerFactors], columns: Sequence[LayerFactors]) -> CrossSums:
    """The sums of two lists of layers held in memory, by the cheaper route."""
    unique = {id(layer): layer for layer in (*rows, *columns)}
    layers, places = list(unique.values()), {key: place for place, key in enumerate(unique)}
    first, second = (np.array([places[id(layer)] for layer in side]) for side in (rows, columns))
    pairs = {(min(a, b), max(a, b)) for a in first for b in second} | {(a, a) for a in range(len(layers))}
    products = _gram_route(layers) if _gram_is_cheaper(layers, pairs) else _feature_route(layers, pairs)
    lengths = torch.stack([layer.row_sq_norms for layer in layers])
    row_products = (lengths @ lengths.T).cpu().numpy()
    norms = np.array([layer.sq_norm for layer in layers])

    def own(part: NDArray[np.int64]) -> Own:
        names = tuple(layers[i].name for i in part)
        return Own(products.diagonal()[part], row_products.diagonal()[part], norms[part], names)

    picked = np.ix_(first, second)
    return CrossSums(n=layers[0].n, gram=products[picked], rows=row_products[picked], a=own(first), b=own(second))


def _gram_is_cheaper(layers: Sequence[LayerFactors], pairs: Pairs) -> bool:
    """Multiplications of both routes, per sample."""
    n, widths = layers[0].n, [layer.values.shape[1] for layer in layers]
    return n * (sum(widths) + len(layers) ** 2) / 2 < sum(widths[a] * widths[b] for a, b in pairs)


def _rescale(products: Float[Tensor, "l l"], layers: Sequence[LayerFactors]) -> Array:
    norms = np.array([layer.sq_norm for layer in layers])
    values: Array = products.cpu().numpy() * np.outer(norms, norms)
    return values


def _gram_route(layers: Sequence[LayerFactors]) -> Array:
    """<K_a, K_b> for all pairs from blocks of Gram matrices; about n^2 (sum(d) + L^2) / 2 multiplications."""
    matrices = [layer.unit_centred() for layer in layers]
    n, count = layers[0].n, len(layers)
    total = torch.zeros(count, count, dtype=torch.float64, device=matrices[0].device)
    buffer = torch.empty(count, GRAM_BLOCK * GRAM_BLOCK, dtype=matrices[0].dtype, device=matrices[0].device)
    blocks = row_blocks(n, GRAM_BLOCK)
    for i, first in enumerate(blocks):
        for second in blocks[i:]:
            height, breadth = first.stop - first.start, second.stop - second.start
            block = buffer[:, : height * breadth]
            for k, matrix in enumerate(matrices):
                torch.mm(matrix[first], matrix[second].T, out=block[k].view(height, breadth))
            weight = 1.0 if first == second else 2.0
            for part in block.split(FLOAT32_TERMS, dim=1):
                total += weight * (part @ part.T).double()
    return _rescale(total, layers)


def _feature_route(layers: Sequence[LayerFactors], pairs: Pairs) -> Array:
    """|X_a'X_b|_F^2 from cross-covariances, for the pairs asked for; zero for the others."""
    matrices = [layer.unit_centred() for layer in layers]
    total = torch.zeros(len(layers), len(layers), dtype=torch.float64)
    for a, b in pairs:
        total[a, b] = total[b, a] = cross_product(matrices[a], matrices[b]).square().sum().cpu()
    return _rescale(total, layers)


def cross_product(x: Float[Tensor, "n dx"], y: Float[Tensor, "n dy"]) -> Float[Tensor, "dx dy"]:
    """X'Y in float64, from products in the precision of x over blocks of rows."""
    if x.dtype == torch.float64:
        return x.T @ y
    total = torch.zeros(x.shape[1], y.shape[1], dtype=torch.float64, device=x.device)
    for block in row_blocks(len(x), STREAM_BLOCK):
        total += (x[block].T @ y[block]).double()
    return total


class StreamedFactors(LayerFactors):
    """Factors of a layer that was only ever seen in blocks of rows: what a covariance knows, and row lengths."""

    def __init__(self, name: str, sums: _OwnSums) -> None:
        self._refusal = sums.refusal(name)
        known = None if self._refusal else _streamed_spectrum(sums)
        super().__init__(torch.empty(0, len(sums.mean)), name, known)
        self.n = sums.n
        if known is not None:
            self.sq_norm = float(sums.covariance.trace())
            self.row_sq_norms = sums.lengths
            self.whitening = known.vt.T / known.s

    @property
    def centred(self) -> Float[Tensor, "n d"]:
        """Not held in memory: asked for only where the layer is undefined, which it then says."""
        raise self._refusal or AssertionError("measures that stream need no more than a streamed layer's factors")

    @property
    def _row_spread(self) -> tuple[Float[Tensor, " d"], Float[Tensor, " n"]]:
        """As `centred`."""
        raise self._refusal or AssertionError("a streamed layer has its row lengths")


def _streamed_spectrum(sums: _OwnSums) -> Spectrum:
    """Without left singular vectors, which have n rows."""
    values, vectors = torch.linalg.eigh(sums.covariance)
    singular = values.clamp(min=0).sqrt().flip(0)
    rank = int((singular > RANK_TOLERANCE * singular[0]).sum())
    return Spectrum(torch.empty(0, rank), singular[:rank], vectors.flip(1).T[:rank], len(sums.covariance))


class _OwnSums:
    """One layer's covariance, row lengths and size, gathered block by block."""

    def __init__(self, mean: Float[Tensor, " d"]) -> None:
        self.mean = mean
        self.covariance = torch.zeros(len(mean), len(mean), dtype=torch.float64)
        self.size = 0.0
        self._lengths: list[Tensor] = []

    def add(self, block: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
        """Take a block of raw rows; returns it centred."""
        wide = block.double()
        self.size += float(wide.square().sum())
        centred = wide - self.mean
        self.covariance += centred.T @ centred
        self._lengths.append(centred.square().sum(1))
        return centred

    @property
    def lengths(self) -> Float[Tensor, " n"]:
        """Squared length of every centred row."""
        return torch.cat(self._lengths)

    def refusal(self, name: str) -> RepresentationError | None:
        """Why no measure is defined for this layer; None if it is fine."""
        try:
            check_spread(name, self.n, float(self.covariance.trace()) ** 0.5, self.size**0.5)
        except RepresentationError as error:
            return error
        return None

    @property
    def n(self) -> int:
        """Rows seen so far."""
        return sum(len(part) for part in self._lengths)


Reader = Callable[[int, int], Tensor]


def streamed_pairs(
    rows: Sequence[tuple[str, Reader]], columns: Sequence[tuple[str, Reader]], n: int, progress: Progress = silent
) -> list[list[PairFactors]]:
    """Factors of all pairs in two passes over blocks of rows, with memory independent of n.

    The first pass takes the means, the second the centred cross-covariances. Singular values come from eigenvalues
    of the covariance, so that those below about 1e-7 of the largest are lost.

    Args:
        rows: name and reader (start, stop) -> [stop - start, d] of each layer of the first list.
        columns: of the second list.
        n: samples.
        progress: called after each block.
    """
    sides = (list(rows), list(columns))
    own = [[_OwnSums(_streamed_mean(read, n)) for _, read in side] for side in sides]
    cross = [[torch.zeros(len(a.mean), len(b.mean), dtype=torch.float64) for b in own[1]] for a in own[0]]
    for block in row_blocks(n, STREAM_BLOCK):
        left, right = (
            [sums.add(read(block.start, block.stop)) for (_, read), sums in zip(side, side_sums, strict=True)]
            for side, side_sums in zip(sides, own, strict=True)
        )
        for i, x in enumerate(left):
            for j, y in enumerate(right):
                cross[i][j] += x.T @ y
        progress(block.stop, n, "Streaming rows")
    first, second = (
        [StreamedFactors(name, sums) for (name, _), sums in zip(side, side_sums, strict=True)]
        for side, side_sums in zip(sides, own, strict=True)
    )
    return [[_streamed_pair(a, b, cross[i][j]) for j, b in enumerate(second)] for i, a in enumerate(first)]


def _streamed_mean(read: Reader, n: int) -> Float[Tensor, " d"]:
    total = torch.zeros((), dtype=torch.float64)
    for block in row_blocks(n, STREAM_BLOCK):
        total = total + read(block.start, block.stop).double().sum(0)
    return total / n


def _streamed_pair(a: StreamedFactors, b: StreamedFactors, cross: Float[Tensor, "da db"]) -> PairFactors:
    if a.is_factored and b.is_factored:
        return PairFactors(a, b, a.whitening.T @ cross @ b.whitening)
    return PairFactors(a, b)
