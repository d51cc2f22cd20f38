"""The command line: the functions of the Python API, with tables for people and `--json` for machines.

Exit codes: 0 done, 1 an error that the user can fix (the message says how), 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from contrasim_core import __version__
from contrasim_core.commands import app, bench, cache, compare, down, example, extract, jobs, measures, train, up, zoo
from contrasim_core.commands.output import Output
from contrasim_core.errors import ContraSimError

INTERRUPTED = 130


ABOUT = "How similar are the representations inside these networks, and can you believe the number?"


EXAMPLES = """examples:
  contrasim compare digits-vit-0 digits-vit-1 --data digits --measure cka.linear --out grid.csv
  contrasim bench layer-prediction --models digits-vit --measures all --json
  contrasim measures
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser with all commands and their options."""
    top = argparse.ArgumentParser(
        prog="contrasim",
        description=ABOUT,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"contrasim {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for verb in (extract, compare, train, bench, zoo, cache, measures, up, down, jobs, app, example):
        verb.add(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: spinning threads slow down a busy machine
    options = parser().parse_args(arguments)
    output = Output(as_json=options.json)
    try:
        code: int = options.run(options, output)
    except ContraSimError as error:
        output.error(str(error))
        return 1
    except KeyboardInterrupt:
        output.error("Interrupted. Finished parts are kept; run the same command again to continue.")
        return INTERRUPTED
    return code
