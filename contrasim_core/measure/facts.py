"""Ready-made requests: what a bundled family is judged on, and which measures words such as `all` stand for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from contrasim_core.errors import SpecError

CLOSED_FORM_IDS = (
    "cka.linear",
    "cka.rbf",
    "cka.debiased",
    "cca.mean",
    "cca.r2",
    "svcca",
    "pwcca",
    "regression.r2",
    "hsic.linear",
    "procrustes",
    "dot",
    "norm",
)


KORNBLITH_IDS = (
    "cca.mean",
    "cca.r2",
    "svcca",
    "svcca:summary=r2",
    "pwcca",
    "regression.r2",
    "hsic.linear",
    "cka.linear",
    "cka.rbf:t=0.2",
    "cka.rbf:t=0.4",
    "cka.rbf",
)
"""The indexes of Table 2 of arXiv:1905.00414, in its order."""


def expand_measures(text: str) -> tuple[str, ...]:
    """Measure ids from a comma-separated list; `all`, `closed-form`, `learned` and `kornblith` stand for several.

    Options of a measure are written after a colon, several of them separated by `;`: `svcca:threshold=0.9;summary=r2`.
    """
    groups = {
        "all": (*CLOSED_FORM_IDS, *LEARNED_IDS),
        "closed-form": CLOSED_FORM_IDS,
        "learned": LEARNED_IDS,
        "kornblith": KORNBLITH_IDS,
    }
    found: dict[str, None] = {}
    for part in (item.strip() for item in text.split(",")):
        found.update(dict.fromkeys(groups.get(part, (part.replace(";", ","),) if part else ())))
    if not found:
        raise SpecError("No measure is named. Give ids separated by commas, or 'all'.")
    return tuple(found)


FILE = Path(__file__).with_name("facts.json")


@dataclass(frozen=True, kw_only=True)
class MeasureFacts:
    """The facts of one measure; see `measure.base.MeasureSpec` for what each means."""

    id: str
    label: str
    source: str
    formula: str
    bounds: tuple[float | None, float | None]
    direction: str
    symmetric: bool
    invariant_to: tuple[str, ...]
    min_samples: int
    same_width: bool
    saturates: bool
    needs_anchors: bool
    options: dict[str, float | str]


@cache
def measure_facts() -> dict[str, MeasureFacts]:
    """All measures by id, closed-form first."""
    found = {}
    for item in json.loads(FILE.read_text(encoding="utf-8")):
        low, high = item["bounds"]
        facts = {**item, "bounds": (low, high), "invariant_to": tuple(item["invariant_to"])}
        found[item["id"]] = MeasureFacts(**facts)
    return found


def label_of(measure: str) -> str:
    """The measure's name in figures; options written after the id are kept."""
    name, _, options = measure.partition(":")
    facts = measure_facts().get(name)
    label = facts.label if facts else name
    return f"{label} ({options})" if options else label


LEARNED_IDS = ("contrasim", "contrasim.norm", "contrasim.relative", "deepdot", "deepcka")


def needs_anchors(measures: Sequence[str]) -> bool:
    """Whether one of these measures reads rows through anchor samples."""
    return any(measure_facts()[name.partition(":")[0]].needs_anchors for name in measures)
