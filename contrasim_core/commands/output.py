"""Output of commands: rich tables and progress on a terminal, JSON on request, errors on standard error."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table

from contrasim_core.progress import Progress, silent
from contrasim_core.result import plain

PIPED_WIDTH = 160
"""Width of tables in columns when output goes to a file or a pipe, which have no width."""


class Output:
    """Standard output of one command."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.console = Console(highlight=False)
        if not self.console.is_terminal:
            self.console = Console(highlight=False, width=PIPED_WIDTH)
        self.errors = Console(stderr=True, highlight=False)

    def error(self, message: str) -> None:
        """Print an error."""
        self.errors.print(f"[bold red]Error:[/] {escape(message)}", soft_wrap=True)

    def say(self, message: str) -> None:
        """Print a line for people; nothing if JSON was requested."""
        if not self.as_json:
            self.console.print(escape(message), soft_wrap=True)

    def json(self, data: Any) -> None:
        """Print data for machines."""
        sys.stdout.write(json.dumps(plain(data), indent=1, allow_nan=False) + "\n")

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], data: Any) -> None:
        """Print a table for people, or the data behind it as JSON.

        Args:
            title: title above the table.
            columns: headings; those ending in `>` are right-aligned.
            rows: cells.
            data: what `--json` prints.
        """
        if self.as_json:
            self.json(data)
            return
        table = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
        for column in columns:
            table.add_column(
                column.rstrip(">"),
                justify="right" if column.endswith(">") else "left",
                overflow="fold",
                no_wrap=column.endswith(">"),
            )
        for row in rows:
            table.add_row(*(escape(str(cell)) for cell in row))
        self.console.print(table)

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Show a progress bar with the time left on standard error; silent if that is not a terminal."""
        if not self.errors.is_terminal:
            yield silent
            return
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        with Bars(*columns, console=self.errors, transient=True) as bars:
            task = bars.add_task("Starting", total=None)

            def report(done: float, total: float, message: str, /, **_facts: float) -> None:
                bars.update(task, completed=done, total=total, description=escape(message))

            yield report


def command(commands: Any, name: str, about: str, *, examples: Sequence[str] = ()) -> ArgumentParser:
    """Return a command's parser, with the options that all commands share."""
    lines = "".join(f"  contrasim {line}\n" for line in examples)
    parser: ArgumentParser = commands.add_parser(
        name,
        help=about,
        description=about,
        epilog=f"examples:\n{lines}" if lines else None,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument(
        "--cache",
        metavar="FOLDER",
        help="where to store results (default: $CONTRASIM_CACHE, or cache in a checkout, or your cache folder)",
    )
    return parser
