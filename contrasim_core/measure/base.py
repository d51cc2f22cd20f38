"""What a measure is: a pure function, and the facts about it that tables, checks and tests read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from contrasim_core.activations.layer import Matrix, as_matrix
from contrasim_core.errors import ShapeError, SpecError, TooFewSamplesError

Direction = Literal["similarity", "distance"]
Invariance = Literal["translation", "scale", "permutation", "orthogonal", "linear", "joint orthogonal"]
"""Maps of one side's features that leave the value alone. `joint orthogonal`: one rotation of both sides."""

RIGID: frozenset[Invariance] = frozenset({"translation", "scale", "permutation", "orthogonal", "joint orthogonal"})
LINEAR: frozenset[Invariance] = RIGID | {"linear"}


Bulk = tuple[NDArray[np.float64], NDArray[np.float64] | None]
"""Values and, where the measure has them, expected values under shuffled rows; both [A, B]."""


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
class MeasureSpec:
    """A similarity measure and what is claimed of it. The claims are tested in both directions.

    Attributes:
        id: as in commands, files and tables.
        label: as in figures.
        score: value of a prepared pair; takes the options as keywords.
        family: prepares layers and pairs.
        source: paper, section or equation.
        formula: LaTeX, for the About page.
        bounds: least and greatest value; None where there is none.
        direction: whether high means alike or different.
        symmetric: whether f(x, y) = f(y, x).
        invariant_to: maps of x that leave the value alone.
        invariant_to_y: the same for y, where it differs.
        min_samples: fewer rows raise `TooFewSamplesError`.
        same_width: whether x and y need equally many columns.
        saturates: whether the value nears its maximum for any data once n <= d.
        null: expected value of a prepared pair when the rows of y are shuffled; None where that is 0 or unknown.
        options: keyword options of the score and their defaults.
        streams: whether covariances and row lengths are all it needs, so that n may exceed memory.
        trained_on: models a learned measure was trained on, where others deserve a warning; else None.
        needs_anchors: whether layers must come with representations of the anchor samples.
    """

    id: str
    label: str
    score: Callable[..., float]
    family: Family
    source: str
    formula: str
    bounds: tuple[float | None, float | None] = (0.0, 1.0)
    direction: Direction = "similarity"
    symmetric: bool = True
    invariant_to: frozenset[Invariance] = RIGID
    invariant_to_y: frozenset[Invariance] | None = None
    min_samples: int = 2
    same_width: bool = False
    saturates: bool = False
    null: Callable[..., float] | None = None
    options: Mapping[str, float | str] = field(default_factory=dict)
    streams: bool = True
    trained_on: frozenset[str] | None = None
    needs_anchors: bool = False

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
        if n < self.min_samples:
            raise TooFewSamplesError(f"{self.id} needs at least {self.min_samples} samples; there are {n}.")
        if self.same_width and dx != dy:
            raise ShapeError(
                f"{self.id} needs equal widths; x has {dx} columns and y has {dy}. "
                "CKA, CCA, Procrustes, regression and contrasim.relative take unequal widths."
            )
