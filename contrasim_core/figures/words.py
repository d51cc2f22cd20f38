"""Words that accompany pictures, and what titles and sentences of several kinds of run share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from contrasim_core.measure.facts import label_of
from contrasim_core.refs import POOLING_NAMES


@dataclass(frozen=True)
class Insight:
    """One sentence about a result.

    Attributes:
        text: the sentence.
        measures: measures that the supporting figure must show.
        negatives: kinds of distractors that it must show; empty for layer prediction.
        pair_group: group of pairs that it must show.
        protocols: protocols that it must show; empty for the paired benchmarks.
    """

    text: str
    measures: tuple[str, ...]
    negatives: tuple[str, ...] = ()
    pair_group: str = "all"
    protocols: tuple[str, ...] = ()


@dataclass(frozen=True)
class Share:
    """An accuracy with its interval, in percent."""

    value: float
    low: float
    high: float

    def above(self, other: Share) -> bool:
        """Return whether it is clearly higher: the intervals do not overlap."""
        return self.low > other.high


NAMED = 3
"""Most measures that a title names when they are tied."""


@dataclass(frozen=True)
class Words:
    """The words that accompany one picture.

    Attributes:
        title: the finding.
        caption: how the numbers were made.
        alt: description for people who cannot see the picture.
    """

    title: str
    caption: str
    alt: str


def percent(accuracy: float) -> str:
    """Format an accuracy for people."""
    return "not defined" if np.isnan(accuracy) else f"{accuracy:.0%}"


def leaders(table: pd.DataFrame, what: str) -> str:
    """Say who leads, if the intervals support it: `ContraSim finds 90% of layers`, `no measure is clearly ahead`.

    Args:
        table: one row per measure with `measure`, `accuracy`, `low` and `high`; none of them NaN.
        what: what the measures find.
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


def recipe_words(recipe: Mapping[str, str]) -> list[str]:
    """How the representations were made, part by part: `pooling [CLS] token`, `data digits (test)`."""
    return [f"{name} {_spelled(name, value)}" for name, value in recipe.items() if value]


def _spelled(name: str, value: str) -> str:
    if name != "pooling":
        return value
    return " / ".join(POOLING_NAMES.get(part, part) for part in value.split(" / "))
