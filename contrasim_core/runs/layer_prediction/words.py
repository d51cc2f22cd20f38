"""Words for layer prediction."""

from __future__ import annotations

import pandas as pd

from contrasim_core.figures.words import Words, leaders, percent, recipe_words
from contrasim_core.measure.facts import label_of
from contrasim_core.runs.layer_prediction.result import BenchmarkResult


def words_of_benchmark(result: BenchmarkResult, shown: pd.DataFrame | None = None) -> Words:
    """Return the words for the bars of a benchmark.

    Args:
        result: the whole result.
        shown: the part of its summary that is drawn; defaults to all.
    """
    table = result.summary() if shown is None else shown
    recipe = "; ".join(recipe_words(result.recipe))
    first = table.iloc[0]
    seeds = int(table["seeds"].max())
    caption = (
        f"{recipe}; {len(result.pairs[first['protocol']])} pairs of models, {first['trials']} trials "
        f"({first['protocol']}). A tie is a miss. Bars are 95 % intervals over models"
        + (f"; learned measures are means over {seeds} seeds." if seeds else ".")
    )
    parts = [
        f"{label_of(str(row['measure']))} {percent(row['accuracy'])} ({row['protocol']})"
        for row in table.to_dict("records")
    ]
    alt = f"Bars of layer-prediction accuracy, chance {first['chance']:.0%}: " + ", ".join(parts) + "."
    return Words(_finding(table), caption, alt)


def _finding(table: pd.DataFrame) -> str:
    """Describe the best measure of each protocol."""
    names = {"seen": "on seen models", "unseen": "on unseen models", "transfer": "on a second data set"}
    parts = []
    for protocol, where in names.items():
        part = table[(table["protocol"] == protocol) & table["accuracy"].notna()]
        if len(part):
            parts.append(f"{where} {leaders(part, 'layers')}")
    text = "; ".join(parts)
    return text[:1].upper() + text[1:] if text else "No measure is defined on these data"
