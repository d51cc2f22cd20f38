"""How far a grid would move with other samples: delete-a-group jackknife intervals."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from scipy.special import stdtrit

from contrasim_core.errors import FewSamplesWarning
from contrasim_core.measure.base import MeasureSpec
from contrasim_core.measure.grid import Layer, LayerLike, as_layer, group_complement, similarity_grids, subset
from contrasim_core.measure.result import SimilarityGrid
from contrasim_core.progress import Progress, share, silent


def with_intervals(
    grids: dict[str, SimilarityGrid],
    xs: Sequence[LayerLike],
    ys: Sequence[LayerLike],
    measures: Sequence[MeasureSpec],
    *,
    groups: int = 10,
    on_undefined: Literal["raise", "nan"] = "raise",
    progress: Progress = silent,
) -> dict[str, SimilarityGrid]:
    """The grids with 95 % intervals: value -+ t(groups - 1) * SE, cut at the measure's bounds; NaN for NaN cells.

    SE^2 = (G - 1) / G * sum over groups of (value without the group - mean of those)^2 (Tukey's jackknife with
    groups; Efron & Tibshirani 1993, chapter 11). A bootstrap would repeat rows, which biases CKA and CCA upwards.

    Args:
        grids: from `similarity_grids` on the same arguments.
        xs: layers of A.
        ys: layers of B.
        measures: as in `grids`.
        groups: G, contiguous groups of samples, each left out once; 2 or more.
        on_undefined: as in `similarity_grids`.
        progress: told after each group.
    """
    known: dict[int, Layer] = {}
    rows = [known.setdefault(id(item), as_layer(item, i, "x")) for i, item in enumerate(xs)]
    columns = [known.setdefault(id(item), as_layer(item, j, "y")) for j, item in enumerate(ys)]
    parts: dict[str, list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]]] = {name: [] for name in grids}
    for group in range(groups):
        kept = subset([*rows, *columns], group_complement(rows[0].n, groups, group))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FewSamplesWarning)  # already given for the full grid
            found = similarity_grids(
                kept[: len(rows)],
                kept[len(rows) :],
                measures,
                on_undefined=on_undefined,
                progress=share(progress, group, groups, "Intervals: "),
            )
        for name in grids:
            parts[name].append(found[name].values)
    return {name: _with_interval(grid, np.stack(parts[name]), groups) for name, grid in grids.items()}


def _with_interval(
    grid: SimilarityGrid, parts: np.ndarray[tuple[int, ...], np.dtype[np.float64]], groups: int
) -> SimilarityGrid:
    deviations = parts - parts.mean(0)
    error = np.sqrt((groups - 1) / groups * np.square(deviations).sum(0))
    margin = float(stdtrit(groups - 1, 0.975)) * error
    low, high = grid.bounds
    return replace(
        grid,
        low=np.maximum(grid.values - margin, -np.inf if low is None else low),
        high=np.minimum(grid.values + margin, np.inf if high is None else high),
        groups=groups,
    )
