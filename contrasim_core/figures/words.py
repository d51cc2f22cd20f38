"""What a picture shows, in words: its title, its caption with the recipe, and its text alternative."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from contrasim_core.glossary import label_of
from contrasim_core.results import BenchmarkResult, SimilarityGrid, TrainingCurve

NAMED = 3
"""Measures that a title names when they are equal."""


@dataclass(frozen=True)
class Words:
    """The words that go with one picture.

    Attributes:
        title: the finding.
        caption: how the numbers were made.
        alt: for those who do not see the picture.
    """

    title: str
    caption: str
    alt: str


def matched(grid: SimilarityGrid) -> tuple[int, int] | None:
    """How many layers of A have their best match at the same depth of B, and of how many; None if depths differ."""
    if [layer.index for layer in grid.rows] != [layer.index for layer in grid.columns]:
        return None
    best = grid.row_best()
    return sum(column == row for row, column in enumerate(best)), len(best)


def words_of_grid(grid: SimilarityGrid, more: str = "") -> Words:
    """Words for one heatmap.

    Args:
        grid: what the heatmap shows.
        more: further facts for the caption, such as the encoder.
    """
    found = matched(grid)
    finite = grid.values[np.isfinite(grid.values)]
    title = grid.label if found is None else f"{grid.label}: {found[0]} of {found[1]} layers find their counterpart"
    recipe = [f"n = {grid.n}", *(f"{name} {value}" for name, value in grid.recipe.items())]
    if grid.groups:
        recipe.append(f"95 % intervals by jackknife over {grid.groups} groups of samples")
    caption = ". ".join(part.rstrip(".") for part in ("; ".join(recipe), more, *grid.notes) if part)
    values = f"values from {finite.min():.2f} to {finite.max():.2f}" if len(finite) else "no defined values"
    alt = (
        f"Heatmap of {grid.label} between {len(grid.rows)} layers of {grid.rows[0].model} and {len(grid.columns)} "
        f"layers of {grid.columns[0].model}; {values}."
        + ("" if found is None else f" {found[0]} of {found[1]} rows are largest on the diagonal.")
    )
    return Words(title, caption + ".", alt)


def words_of_benchmark(result: BenchmarkResult, shown: pd.DataFrame | None = None) -> Words:
    """Words for the bars of a benchmark.

    Args:
        result: all of it.
        shown: the part of its summary that is drawn; all, if left out.
    """
    table = result.summary() if shown is None else shown
    recipe = "; ".join(f"{name} {value}" for name, value in result.recipe.items() if value)
    first = table.iloc[0]
    seeds = int(table["seeds"].max())
    caption = (
        f"{recipe}; {len(result.pairs[first['protocol']])} pairs of models, {first['trials']} trials "
        f"({first['protocol']}). A tie is a miss. Bars are 95 % intervals over models"
        + (f"; learned measures are means over {seeds} seeds." if seeds else ".")
    )
    parts = [
        f"{label_of(str(row['measure']))} {_percent(row['accuracy'])} ({row['protocol']})"
        for row in table.to_dict("records")
    ]
    alt = f"Bars of layer-prediction accuracy, chance {first['chance']:.0%}: " + ", ".join(parts) + "."
    return Words(_finding(table), caption, alt)


def _percent(accuracy: float) -> str:
    return "not defined" if np.isnan(accuracy) else f"{accuracy:.0%}"


def _finding(table: pd.DataFrame) -> str:
    """The best measure of each protocol, in words."""
    names = {"seen": "on seen models", "unseen": "on unseen models", "transfer": "on a second data set"}
    parts = []
    for protocol, where in names.items():
        part = table[(table["protocol"] == protocol) & table["accuracy"].notna()]
        if len(part):
            parts.append(f"{where} {leaders(part, 'layers')}")
    text = "; ".join(parts)
    return text[:1].upper() + text[1:] if text else "No measure is defined on these data"


def leaders(table: pd.DataFrame, what: str) -> str:
    """Who is ahead, as far as the intervals bear it: `ContraSim finds 90% of layers`, `no measure is clearly ahead`.

    Args:
        table: a row per measure with `measure`, `accuracy`, `low` and `high`; none of them NaN.
        what: is found.
    """
    order = table.sort_values("accuracy", ascending=False, kind="stable")
    best = order.iloc[0]
    level = order["accuracy"].map(lambda value: f"{value:.0%}") == f"{best['accuracy']:.0%}"
    names = [label_of(str(name)) for name in order[level]["measure"]]
    near = int(((order["high"] >= best["low"]) & ~level).sum())
    if len(order) > 1 and near > NAMED:
        return f"no measure is clearly ahead ({best['accuracy']:.0%} at most)"
    who = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
    if len(names) > NAMED:
        who = f"{len(names)} measures"
    close = f", {near} other{'s' * (near > 1)} within the interval" if near else ""
    return f"{who} {'find' if len(names) > 1 else 'finds'} {best['accuracy']:.0%} of {what}{close}"


def words_of_curves(curves: Sequence[TrainingCurve]) -> Words:
    """Words for training curves."""
    kinds = list(dict.fromkeys(label_of(curve.encoder) for curve in curves))
    last = [curve.accuracy[-1] for curve in curves if curve.accuracy]
    epochs = max(len(curve.loss) for curve in curves)
    title = f"{' and '.join(kinds)}: trained for {epochs} epochs"
    if last:
        low, high = min(last), max(last)
        span = f"{low:.0%}" if round(low, 2) == round(high, 2) else f"{low:.0%} to {high:.0%}"
        verb = "names" if len(kinds) == 1 else "name"
        title = f"{' and '.join(kinds)} {verb} the right layer in {span} of held-out cases after {epochs} epochs"
    seeds = len({curve.seed for curve in curves})
    caption = (
        f"Mean loss of each epoch; accuracy on samples kept out of training. {seeds} seed(s); chance is "
        f"{curves[0].chance:.0%}; {curves[0].seconds:.0f} s for all seeds together."
    )
    return Words(
        title,
        caption,
        f"Training curves. {title}. Loss falls from {curves[0].loss[0]:.2f} to {curves[0].loss[-1]:.2f}.",
    )
