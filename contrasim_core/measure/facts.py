"""Questions asked of the table of measures: lists of ids, labels, and what words such as `all` stand for. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from contrasim_core.errors import SpecError
from contrasim_core.measure.table import TABLE, MeasureFacts

CLOSED_FORM_IDS = tuple(row.id for row in TABLE if not row.learned)
LEARNED_IDS = tuple(row.id for row in TABLE if row.learned)

_TABLE_2 = {
    place: f"{row.id}:{options}" if options else row.id for row in TABLE for place, options in row.kornblith.items()
}
KORNBLITH_IDS = tuple(_TABLE_2[place] for place in sorted(_TABLE_2))
"""The indexes of Table 2 of arXiv:1905.00414, in its order."""

GROUPS = {
    "all": (*CLOSED_FORM_IDS, *LEARNED_IDS),
    "closed-form": CLOSED_FORM_IDS,
    "learned": LEARNED_IDS,
    "kornblith": KORNBLITH_IDS,
}
"""Words that stand for several measures."""


def expand_measures(text: str) -> tuple[str, ...]:
    """Measure ids from a comma-separated list; `all`, `closed-form`, `learned` and `kornblith` stand for several.

    Options of a measure are written after a colon, several of them separated by `;`: `svcca:threshold=0.9;summary=r2`.
    """
    ids: dict[str, None] = {}
    for part in (item.strip() for item in text.split(",")):
        ids.update(dict.fromkeys(GROUPS.get(part, (part.replace(";", ","),) if part else ())))
    if not ids:
        raise SpecError("No measure is named. Give ids separated by commas, or 'all'.")
    return tuple(ids)


@cache
def measure_facts() -> dict[str, MeasureFacts]:
    """All measures by id, closed-form first."""
    return {row.id: row for row in TABLE}


def label_of(measure: str) -> str:
    """The measure's name in figures; options written after the id are kept."""
    name, _, options = measure.partition(":")
    facts = measure_facts().get(name)
    label = facts.label if facts else name
    return f"{label} ({options})" if options else label


def needs_anchors(measures: Sequence[str]) -> bool:
    """Whether one of these measures reads rows through anchor samples."""
    return any(measure_facts()[name.partition(":")[0]].needs_anchors for name in measures)
