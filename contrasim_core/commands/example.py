"""`example`: compute the dashboard's example again."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from contrasim_core.commands.output import Output, command


def add(commands: Any) -> None:
    """Declare the command."""
    example = command(commands, "example", "Recompute the example that the dashboard opens with.")
    example.add_argument("--root", type=Path, help="where to write it (default: cache/example)")
    example.set_defaults(run=_example)


def _example(options: Namespace, output: Output) -> int:
    from contrasim_core.runs.example import make

    with output.progress() as progress:
        made = make(options.root, progress)
    output.say(f"The example is in {made}.")
    return 0
