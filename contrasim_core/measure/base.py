"""What a measure is: the facts of its row in the table, and the formulas of its family in every form they have."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from contrasim_core.activations.layer import Matrix, as_matrix
from contrasim_core.errors import ShapeError, SpecError, TooFewSamplesError
from contrasim_core.measure.table import MeasureFacts

Array = NDArray[np.float64]
Bulk = tuple[Array, Array | None]
"""Values and, where the measure has them, expected values under shuffled rows; both [A, B]."""


@dataclass(frozen=True, kw_only=True)
class Formulas:
    """One measure in every form it has. Options of the measure are keywords of all forms but `sums` and `all_pairs`.

    Attributes:
        pair: value of a prepared pair.
        null: expected value of a prepared pair when the rows of y are shuffled; None where that is 0 or unknown.
        sums: whole grids (and nulls) from `bulk.CrossSums`: for measures that need no factorisation.
        grid: whole grids (and nulls) from the prepared layers of both sides.
        stacked: scores [...] of stacks x [..., n, dx] and y [..., n, dy] in float64, whose leading axes broadcast; NaN
            where undefined. Measures without this form are scored batch by batch.
        all_pairs: of encodings [e, b, n, k], the scores [e, b, b] of all pairs of batches, to train on.
        filled_by: of widths dx and dy, how many features n rows must outnumber by 2 for the value to depend on the
            data; None if no number of features is too many.
    """

    pair: Callable[..., float]
    null: Callable[..., float] | None = None
    sums: Callable[[Any], Bulk] | None = None
    grid: Callable[..., Bulk] | None = None
    stacked: Callable[..., Tensor] | None = None
    all_pairs: Callable[[Tensor], Tensor] | None = None
    filled_by: Callable[..., int | None] = lambda _dx, _dy, **_options: None


@cache
def formulas_of(name: str) -> Formulas:
    """What a row of the table names: `cka.LINEAR` is LINEAR in the file cka of this folder."""
    file, _, constant = name.partition(".")
    formulas: Formulas = getattr(importlib.import_module(f"{__package__}.{file}"), constant)
    return formulas


@runtime_checkable
class Family(Protocol):
    """How a group of measures turns layers into something it can compare; layers are prepared once for all of them."""

    @property
    def name(self) -> str:
        """Measures of one family have the same name here."""

    def prepare(self, values: Float[Tensor, "n d"], name: str, anchors: Float[Tensor, "k d"] | None) -> Any:
        """The prepared layer, shared by all pairs it is part of."""

    def pair(self, a: Any, b: Any) -> Any:
        """What the scores of one pair of prepared layers share."""

    def bulk(self, specs: Sequence[MeasureSpec], rows: Sequence[Any], columns: Sequence[Any]) -> dict[str, Bulk]:
        """Grids (and nulls) of those measures that have a faster way than pair by pair; may be empty."""


@dataclass(frozen=True, kw_only=True)
class MeasureSpec(MeasureFacts):
    """A similarity measure: its facts, and what computes it.

    Attributes:
        family: prepares layers and pairs.
        trained_on: models a learned measure was trained on, where others deserve a warning; else None.
    """

    family: Family
    trained_on: frozenset[str] | None = None

    @classmethod
    def of(cls, row: MeasureFacts, family: Family) -> Self:
        """The measure of one row of the table."""
        return cls(**{item.name: getattr(row, item.name) for item in fields(MeasureFacts)}, family=family)

    @property
    def forms(self) -> Formulas:
        """Its formulas, imported when first used."""
        return formulas_of(self.formulas)

    @property
    def score(self) -> Callable[..., float]:
        """Value of a prepared pair; takes the options as keywords."""
        return self.forms.pair

    @property
    def null(self) -> Callable[..., float] | None:
        """Expected value of a prepared pair when the rows of y are shuffled; None where that is 0 or unknown."""
        return self.forms.null

    def __call__(self, x: Matrix, y: Matrix) -> float:
        """The value for two representations of the same samples.

        Args:
            x: [n, dx], a tensor, an array, or nested lists.
            y: [n, dy].

        Raises:
            RepresentationError: if a matrix cannot be taken; the message says why.
        """
        left, right = as_matrix(x, "x"), as_matrix(y, "y")
        if len(left) != len(right):
            raise ShapeError(
                f"x has {len(left)} rows and y has {len(right)}. "
                "Row i of both must be sample i: give both the same samples."
            )
        self.check_shape(len(left), left.shape[1], right.shape[1])
        pair = self.family.pair(self.family.prepare(left, "x", None), self.family.prepare(right, "y", None))
        return self.value(pair)

    def value(self, pair: Any) -> float:
        """The value of a prepared pair, under this spec's options."""
        return float(self.score(pair, **self.options))

    def with_options(self, **options: float | str) -> MeasureSpec:
        """The same measure with some options changed; the id says so.

        Raises:
            SpecError: if the measure has no such option, or a number is given for a word or the reverse.
        """
        unknown = sorted(set(options) - set(self.options))
        if unknown:
            known = ", ".join(f"{name}={value}" for name, value in self.options.items()) or "none"
            raise SpecError(f"{self.id} has no option {', '.join(unknown)}. Its options: {known}.")
        for name, value in options.items():
            if isinstance(value, str) != isinstance(self.options[name], str):
                wanted = "a word" if isinstance(self.options[name], str) else "a number"
                raise SpecError(f"{self.id}: {name} is {value!r}. It must be {wanted}, such as {self.options[name]!r}.")
        changed = {name: value for name, value in options.items() if value != self.options[name]}
        if not changed:
            return self
        suffix = ",".join(
            f"{name}={value:g}" if not isinstance(value, str) else f"{name}={value}" for name, value in changed.items()
        )
        return replace(
            self,
            id=f"{self.id}:{suffix}",
            label=f"{self.label} ({suffix.replace('=', ' ')})",
            options={**self.options, **changed},
        )

    def check_shape(self, n: int, dx: int, dy: int) -> None:
        """Refuse shapes this measure cannot take.

        Raises:
            TooFewSamplesError: fewer rows than `min_samples`.
            ShapeError: unequal widths where equal ones are needed.
        """
        self.check_rows(n)
        if self.same_width and dx != dy:
            raise ShapeError(
                f"{self.id} needs equal widths; x has {dx} columns and y has {dy}. "
                "CKA, CCA, Procrustes, regression and contrasim.relative take unequal widths."
            )

    def check_rows(self, n: int) -> None:
        """Refuse fewer rows than `min_samples`.

        Raises:
            TooFewSamplesError: with both numbers.
        """
        if n < self.min_samples:
            raise TooFewSamplesError(f"{self.id} needs at least {self.min_samples} samples; there are {n}.")
