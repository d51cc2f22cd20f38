"""`down`: stop the scheduler and the workers."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from contrasim_core.commands.options import root_of
from contrasim_core.commands.output import Output, command
from contrasim_core.engine import cluster


def add(commands: Any) -> None:
    """Declare the command."""
    down = command(commands, "down", "Stop the scheduler and the workers that `up` started.")
    down.set_defaults(run=_down)


def _down(options: Namespace, output: Output) -> int:
    ended = cluster.down(root_of(options))
    if output.as_json:
        output.json({"ended": ended})
    output.say(f"Stopped {len(ended)} processes." if ended else "Nothing was running.")
    return 0
