"""`measures`: every measure with its range, invariances and source."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict
from typing import Any

from contrasim_core.commands.output import Output, command
from contrasim_core.measure.table import TABLE

PRIVATE = ("formulas", "colour", "kornblith")
"""Fields of the table that are about our files and figures, not about the measure."""


def add(commands: Any) -> None:
    """Declare the command."""
    measures = command(commands, "measures", "List all measures with range, invariances and source.")
    measures.set_defaults(run=_measures)


def _measures(_options: Namespace, output: Output) -> int:
    rows = [
        (row.id, row.label, _range(row.bounds), ", ".join(row.invariant_to) or "nothing", row.source) for row in TABLE
    ]
    data = [{name: value for name, value in asdict(row).items() if name not in PRIVATE} for row in TABLE]
    output.table("Measures", ("id", "name", "range", "unchanged by", "source"), rows, data)
    return 0


def _range(bounds: tuple[float | None, float | None]) -> str:
    low, high = (("−∞", "∞")[place] if value is None else f"{value:g}" for place, value in enumerate(bounds))
    return f"{low} … {high}"
