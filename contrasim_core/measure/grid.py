"""All layers of A against all layers of B: layers prepared once, pairs multiplied once, for any set of measures."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from contrasim_core.activations.layer import Activations, Matrix, as_matrix, check_paired
from contrasim_core.errors import FewSamplesWarning, RepresentationError, ShapeError, SpecError, UnseenModelWarning
from contrasim_core.measure.base import Bulk, Family, MeasureSpec
from contrasim_core.measure.bulk import Reader, streamed_pairs
from contrasim_core.measure.result import SimilarityGrid
from contrasim_core.progress import Progress, silent
from contrasim_core.refs import LayerRef

MEMORY_BUDGET = 4 * 2**30
"""Bytes of float64 factors above which layers are streamed in blocks of rows."""


@dataclass(frozen=True, eq=False)
class Layer:
    """One input of a grid: a matrix read by rows, its name, and the same layer on the anchor samples if needed."""

    ref: LayerRef
    n: int
    width: int
    read: Reader
    anchors: Float[Tensor, "k d"] | None = None
    activations: Activations | None = None

    @property
    def values(self) -> Float[Tensor, "n d"]:
        """All rows."""
        return self.read(0, self.n)

    def keep(self, index: Tensor) -> Layer:
        """The layer with only the rows in `index`."""
        values = self.values[index]
        return Layer(self.ref, len(index), self.width, lambda start, stop: values[start:stop], self.anchors)


LayerLike = Matrix | Activations | Layer


def as_layer(item: LayerLike, index: int, side: str, anchors: Matrix | None = None) -> Layer:
    """Wrap a matrix or activations as an input of a grid."""
    if isinstance(item, Layer):
        return item
    reference = None if anchors is None else as_matrix(anchors, f"anchors of {side}[{index}]")
    if isinstance(item, Activations):
        width = item.read(0, 1).shape[1]
        return Layer(item.layer, len(item.samples), width, item.read, reference, item)
    matrix = as_matrix(item, f"{side}[{index}]")
    ref = LayerRef(side, index, f"{side}[{index}]")
    return Layer(ref, len(matrix), matrix.shape[1], lambda start, stop: matrix[start:stop], reference)


def similarity_grids(
    xs: Sequence[LayerLike],
    ys: Sequence[LayerLike],
    measures: Sequence[MeasureSpec],
    *,
    symmetrise: bool = False,
    on_undefined: Literal["raise", "nan"] = "raise",
    memory_budget: int = MEMORY_BUDGET,
    progress: Progress = silent,
) -> dict[str, SimilarityGrid]:
    """One grid per measure, sharing all factors.

    Args:
        xs: layers of A, [n, d] each; widths may differ where the measure allows.
        ys: layers of B, on the same samples. Layers that are the same objects as in `xs` are prepared once.
        measures: what to compute.
        symmetrise: for asymmetric measures, the mean of f(x, y) and f(y, x), as for layer matching.
        on_undefined: `raise` the first layer's error, or give NaN cells and the reasons.
        memory_budget: bytes above which layers are streamed in blocks of rows.
        progress: told after each row of the grid.

    Raises:
        PairingError: if two activations are of different samples.
        ShapeError: if the matrices have different numbers of rows.
        RepresentationError: if a measure is undefined for a layer and `on_undefined` is `raise`.
        SpecError: if a measure is asked for twice.
    """
    known: dict[int, Layer] = {}
    rows = [known.setdefault(id(item), as_layer(item, i, "x")) for i, item in enumerate(xs)]
    columns = [known.setdefault(id(item), as_layer(item, j, "y")) for j, item in enumerate(ys)]
    _check_rows(rows, columns)
    if len({spec.id for spec in measures}) < len(measures):
        raise SpecError(f"A measure is asked for twice: {', '.join(spec.id for spec in measures)}.")
    job = _GridJob(rows, columns, measures, symmetrise=symmetrise, lenient=on_undefined == "nan")
    layers = {id(layer): layer for layer in (*rows, *columns)}.values()
    if sum(2 * 8 * layer.n * layer.width for layer in layers) > memory_budget:
        streamed = [spec for spec in measures if spec.streams]
        if streamed:
            job.fill_streamed(streamed, progress)
        measures = [spec for spec in measures if not spec.streams]
    for family in _families(measures):
        job.fill(family, [spec for spec in job.measures if spec in measures and spec.family is family], progress)
    return job.grids()


def _families(measures: Sequence[MeasureSpec]) -> list[Family]:
    return list({id(spec.family): spec.family for spec in measures}.values())


def _check_rows(rows: Sequence[Layer], columns: Sequence[Layer]) -> None:
    if not rows or not columns:
        raise ShapeError("A grid needs at least one layer on each side.")
    first = rows[0]
    for layer in (*rows, *columns):
        if first.activations is not None and layer.activations is not None:
            check_paired(first.activations, layer.activations)
        if layer.n != first.n:
            raise ShapeError(
                f"{layer.ref} has {layer.n} rows and {first.ref} has {first.n}. "
                "Row i of every layer must be sample i: give all layers the same samples."
            )


class _GridJob:
    """The grids of one request while they are being filled."""

    def __init__(
        self,
        rows: Sequence[Layer],
        columns: Sequence[Layer],
        measures: Sequence[MeasureSpec],
        *,
        symmetrise: bool,
        lenient: bool,
    ) -> None:
        self.rows, self.columns, self.measures = rows, columns, measures
        self.symmetrise, self.lenient = symmetrise, lenient
        self.same_sides = len(rows) == len(columns) and all(a is b for a, b in zip(rows, columns, strict=True))
        shape = (len(rows), len(columns))
        self.values = {spec.id: np.full(shape, np.nan) for spec in measures}
        self.nulls = {spec.id: np.full(shape, np.nan) for spec in measures if spec.null is not None}
        self.undefined: dict[str, dict[str, None]] = {spec.id: {} for spec in measures}

    def fill(self, family: Family, specs: Sequence[MeasureSpec], progress: Progress) -> None:
        """Compute the grids of one family from layers held in memory."""
        prepared: dict[int, Any] = {}
        for layer in (*self.rows, *self.columns):
            if id(layer) not in prepared:
                prepared[id(layer)] = self._prepare(family, layer)
        left, right = ([prepared[id(layer)] for layer in side] for side in (self.rows, self.columns))

        def pair_of(i: int, j: int) -> Any:
            for item in (left[i], right[j]):
                if isinstance(item, RepresentationError):
                    raise item
            return family.pair(left[i], right[j])

        slow = self._fill_bulk(family, specs, left, right, pair_of)
        if slow:
            self._fill_pairs(slow, pair_of, progress)

    def _prepare(self, family: Family, layer: Layer) -> Any:
        """The prepared layer or, if errors become NaN cells, the error that its cells will note."""
        try:
            return family.prepare(layer.values, str(layer.ref), layer.anchors)
        except RepresentationError as error:
            if not self.lenient:
                raise
            return error

    def fill_streamed(self, specs: Sequence[MeasureSpec], progress: Progress) -> None:
        """Compute grids of linear measures from covariances gathered over blocks of rows."""
        readers = [[(str(layer.ref), layer.read) for layer in side] for side in (self.rows, self.columns)]
        pairs = streamed_pairs(readers[0], readers[1], self.rows[0].n, progress)
        self._fill_pairs(specs, lambda i, j: pairs[i][j], progress)

    def _fill_bulk(
        self,
        family: Family,
        specs: Sequence[MeasureSpec],
        left: Sequence[Any],
        right: Sequence[Any],
        pair_of: Callable[[int, int], Any],
    ) -> list[MeasureSpec]:
        """Fill what the family can do at once; returns the measures that are still to do, pair by pair."""
        rows, columns = list(range(len(left))), list(range(len(right)))
        quick = _bulk(family, specs, left, right)
        if quick is None and self.lenient:  # one undefined layer must not make the others slow
            unique = {id(item): item for item in (*left, *right)}
            fine = {key for key, item in unique.items() if _bulk(family, specs, [item], [item]) is not None}
            rows, columns = ([k for k, item in enumerate(side) if id(item) in fine] for side in (left, right))
            quick = _bulk(family, specs, [left[i] for i in rows], [right[j] for j in columns])
        if not quick:
            return list(specs)
        for name, (values, null) in quick.items():
            self.values[name][np.ix_(rows, columns)] = values
            if null is not None:
                self.nulls[name][np.ix_(rows, columns)] = null
        for i, j in product(range(len(left)), range(len(right))):
            if i not in rows or j not in columns:
                for spec in specs:
                    if spec.id in quick:
                        self._fill_cell(spec, partial(pair_of, i, j), i, j)
        return [spec for spec in specs if spec.id not in quick]

    def _fill_pairs(self, specs: Sequence[MeasureSpec], pair_of: Callable[[int, int], Any], progress: Progress) -> None:
        mirrored = [spec for spec in specs if self.same_sides and (spec.symmetric or self.symmetrise)]
        for i in range(len(self.rows)):
            for j in range(len(self.columns)):
                if j < i and len(mirrored) == len(specs):
                    continue  # copied from above the diagonal below
                pair = lru_cache(maxsize=1)(partial(pair_of, i, j))
                for spec in specs:
                    self._fill_cell(spec, pair, i, j)
            progress(i + 1, len(self.rows), "Comparing layers")
        if len(mirrored) == len(specs):
            for spec in specs:
                lower = np.tril_indices(len(self.rows), -1)
                for grid in (self.values[spec.id], self.nulls.get(spec.id)):
                    if grid is not None:
                        grid[lower] = grid.T[lower]

    def _fill_cell(self, spec: MeasureSpec, pair_of: Callable[[], Any], i: int, j: int) -> None:
        try:
            spec.check_shape(self.rows[i].n, self.rows[i].width, self.columns[j].width)
            pair = pair_of()
            value = spec.value(pair)
            if self.symmetrise and not spec.symmetric:
                value = (value + spec.value(pair.swapped)) / 2
            self.values[spec.id][i, j] = value
            if spec.null is not None:
                self.nulls[spec.id][i, j] = spec.null(pair, **spec.options)
        except RepresentationError as error:
            if not self.lenient:
                raise
            self.undefined[spec.id][str(error)] = None

    def grids(self) -> dict[str, SimilarityGrid]:
        """The finished grids, in the order asked for."""
        return {spec.id: self._grid(spec) for spec in self.measures}

    def _grid(self, spec: MeasureSpec) -> SimilarityGrid:
        first = self.rows[0]
        layers = (*self.rows, *self.columns)
        few = few_samples_note(spec, first.n, max(layer.width for layer in layers))
        unseen = unseen_note(spec, [layer.ref.model for layer in layers if layer.activations])
        for note, category in ((few, FewSamplesWarning), (unseen, UnseenModelWarning)):
            if note:
                warnings.warn(note, category, stacklevel=4)
        return SimilarityGrid(
            values=self.values[spec.id],
            rows=tuple(layer.ref for layer in self.rows),
            columns=tuple(layer.ref for layer in self.columns),
            measure=spec.id,
            label=spec.label,
            direction=spec.direction,
            bounds=spec.bounds,
            n=first.n,
            null=self.nulls.get(spec.id),
            undefined=tuple(self.undefined[spec.id]),
            notes=tuple(note for note in (few, unseen) if note),
            recipe=first.activations.recipe if first.activations else {},
        )


def _bulk(
    family: Family, specs: Sequence[MeasureSpec], left: Sequence[Any], right: Sequence[Any]
) -> dict[str, Bulk] | None:
    """What the family can do at once; None if a layer, or what was prepared of it, is undefined."""
    if not left or not right or any(isinstance(item, RepresentationError) for item in (*left, *right)):
        return None
    try:
        return family.bulk(specs, left, right)
    except RepresentationError:
        return None


def few_samples_note(spec: MeasureSpec, n: int, width: int) -> str:
    """Why a CCA-like value says little at this n; empty if it is fine."""
    if not spec.saturates or n > width + 1:
        return ""
    return (
        f"{spec.id} with n = {n} samples and up to {width} features: with n <= d + 1 it is close to its maximum "
        "whatever the data. Use more samples (5 to 10 per feature), or a measure such as CKA."
    )


def unseen_note(spec: MeasureSpec, models: Sequence[str]) -> str:
    """Why a learned value says little about these models; empty if it is fine."""
    if spec.trained_on is None:
        return ""
    strangers = [model for model in dict.fromkeys(models) if model not in spec.trained_on]
    if not strangers:
        return ""
    return (
        f"{spec.id} was not trained on {', '.join(strangers[:3])}{', ...' if len(strangers) > 3 else ''}. A plain "
        "encoder knows the bases of the networks it saw and falls towards chance on others: use contrasim.relative, "
        "or train on these models."
    )


def subset(layers: Sequence[Layer], index: Tensor) -> list[Layer]:
    """Every layer with only the rows in `index`; a layer that appears twice is cut once."""
    cut = {key: layer.keep(index) for key, layer in {id(layer): layer for layer in layers}.items()}
    return [cut[id(layer)] for layer in layers]


def group_complement(n: int, groups: int, group: int) -> Tensor:
    """Row numbers without those of one of `groups` contiguous groups: neighbours, which may be alike, go together."""
    bounds = torch.linspace(0, n, groups + 1).round().long()
    rows = torch.arange(n)
    return rows[(rows < bounds[group]) | (rows >= bounds[group + 1])]
