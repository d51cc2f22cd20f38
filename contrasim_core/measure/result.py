"""A grid: the layers of one model against the layers of another under one measure. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contrasim_core.refs import LayerRef
from contrasim_core.result import plain

TIE = 1e-9  # relative


Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class SimilarityGrid:
    """The layers of A (rows) against the layers of B (columns) under one measure.

    Attributes:
        values: [A, B]; NaN where the measure is undefined, with the reason in `undefined`.
        rows: layers of A.
        columns: layers of B.
        measure: measure id, with options.
        label: the measure's name in figures.
        direction: `similarity` or `distance`.
        bounds: the measure's range; None where it has no bound.
        n: samples.
        low: [A, B] lower end of the 95 % delete-a-group jackknife interval, or None.
        high: [A, B] upper end, or None.
        groups: jackknife groups behind the interval.
        null: [A, B] expected value under shuffled rows, or None where that is 0 or unknown.
        undefined: reasons why cells are NaN.
        notes: warnings that belong under the figure.
        recipe: how the representations were made, for captions.
    """

    values: Array
    rows: tuple[LayerRef, ...]
    columns: tuple[LayerRef, ...]
    measure: str
    label: str
    direction: str
    bounds: tuple[float | None, float | None]
    n: int
    low: Array | None = None
    high: Array | None = None
    groups: int = 0
    null: Array | None = None
    undefined: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    recipe: dict[str, str] = field(default_factory=dict)

    def to_numpy(self) -> Array:
        """The values, [A, B]."""
        return self.values

    def to_pandas(self) -> pd.DataFrame:
        """The values with layer names on both axes."""
        frame = pd.DataFrame(
            self.values, index=[layer.label for layer in self.rows], columns=[layer.label for layer in self.columns]
        )
        frame.index.name, frame.columns.name = self.rows[0].model, self.columns[0].model
        return frame

    def row_best(self) -> list[int | None]:
        """Per row, the column that is most alike; None where the row is undefined or the best value is shared."""
        return [best_match(row, self.direction) for row in self.values]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {item.name: plain(getattr(self, item.name)) for item in fields(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SimilarityGrid:
        """The grid that `to_dict` described."""
        values = dict(data)
        for name in ("values", "low", "high", "null"):
            values[name] = None if values[name] is None else np.array(values[name], dtype=float)
        for name in ("rows", "columns"):
            values[name] = tuple(LayerRef(**layer) for layer in values[name])
        low, high = values["bounds"]
        return cls(
            **{
                **values,
                "bounds": (low, high),
                "notes": tuple(values["notes"]),
                "undefined": tuple(values["undefined"]),
            }
        )


def best_match(row: Array, direction: str = "similarity") -> int | None:
    """The position of the best value of a row; None if it is shared by two, or if a value is undefined.

    Ties are nobody's win: an argmax that takes the first would let a constant measure succeed. Values that differ by
    no more than rounding are tied: where a measure saturates at 1, noise in the last digit must not choose.
    """
    if not np.isfinite(row).all():
        return None
    best = row.max() if direction == "similarity" else row.min()
    winners = np.flatnonzero(np.abs(row - best) <= TIE * abs(best))
    return int(winners[0]) if len(winners) == 1 else None
