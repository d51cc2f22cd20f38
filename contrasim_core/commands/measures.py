"""`measures`: every measure with its range, invariances and source."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from contrasim_core.commands.output import Output, command
from contrasim_core.measure.facts import MeasureFacts


def add(commands: Any) -> None:
    """Declare the command."""
    measures = command(commands, "measures", "List all measures with range, invariances and source.")
    measures.set_defaults(run=_measures)


def _measures(_options: Namespace, output: Output) -> int:
    from contrasim_core.api import measures

    found = measures()
    rows = [
        (spec.id, spec.label, _range(spec.bounds), ", ".join(sorted(spec.invariant_to)) or "nothing", spec.source)
        for spec in found
    ]
    data = [{name: _jsonable(getattr(spec, name)) for name in MeasureFacts.__dataclass_fields__} for spec in found]
    output.table("Measures", ("id", "name", "range", "unchanged by", "source"), rows, data)
    return 0


def _jsonable(value: Any) -> Any:
    return sorted(value) if isinstance(value, frozenset) else dict(value) if isinstance(value, Mapping) else value


def _range(bounds: tuple[float | None, float | None]) -> str:
    low, high = (("−∞", "∞")[place] if value is None else f"{value:g}" for place, value in enumerate(bounds))
    return f"{low} … {high}"
