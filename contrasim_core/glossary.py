"""What is known about each measure, for pages and figures that must not load torch.

`glossary.json` is what `python -m contrasim_core measures --json` prints; a test holds the two together.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("glossary.json")


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
