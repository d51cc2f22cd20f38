"""`compare`: two models, layer by layer."""

from __future__ import annotations

import csv
import json
import math
from argparse import Namespace
from pathlib import Path
from typing import Any

from contrasim_core.commands.options import add_data, add_device, execution_of, source_of, store_of, trainings_of
from contrasim_core.commands.output import Output, command
from contrasim_core.errors import SpecError
from contrasim_core.measure.facts import expand_measures
from contrasim_core.measure.result import SimilarityGrid
from contrasim_core.result import plain
from contrasim_core.runs.comparison.result import Comparison
from contrasim_core.runs.comparison.spec import CompareSpec

REASONS = 2  # most reasons shown for empty cells: one per side is enough


def add(commands: Any) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "compare",
        "Compare two models, layer by layer.",
        examples=(
            "compare digits-vit-0 digits-vit-1 --data digits --measure cka.linear --out grid.csv",
            "compare bert-base-cased gpt2 --data sentences.txt --measure cka.linear,svcca --pooling mean",
        ),
    )
    parser.add_argument("a", help="rows: bundled name, folder, or hub id")
    parser.add_argument("b", help="columns")
    add_data(parser)
    parser.add_argument(
        "--measure", default="cka.linear", help="ids separated by commas, or 'closed-form' (default: cka.linear)"
    )
    parser.add_argument(
        "--encoder", action="append", default=[], metavar="KEY", help="key of a trained encoder; may be repeated"
    )
    parser.add_argument(
        "--groups", type=int, default=0, help="jackknife groups for intervals (default: 0, no intervals)"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write .csv (one file per measure) or .json")
    add_device(parser)
    parser.set_defaults(run=_compare)


def _compare(options: Namespace, output: Output) -> int:
    from contrasim_core.runs import run

    if options.out and options.out.suffix not in (".csv", ".json"):
        raise SpecError(
            f"--out {options.out}: grids are written as .csv or .json. Give a name with one of these endings."
        )
    spec = CompareSpec(
        a=source_of(options, options.a),
        b=source_of(options, options.b),
        measures=expand_measures(options.measure),
        encoders=trainings_of(options, options.encoder),
        groups=options.groups,
    )
    with output.progress() as progress:
        result: Comparison = run(spec, store=store_of(options), execution=execution_of(options), progress=progress)
    if options.out:
        _write_grids(options.out, result)
    if output.as_json:
        output.json(
            {"key": spec.key, "grids": {k: g.to_dict() for k, g in result.grids.items()}, "skipped": result.skipped}
        )
    for grid in result.grids.values():
        if not output.as_json:
            _print_grid(output, grid, spec.a.pooling)
    for name, reason in result.skipped.items():
        output.say(f"{name}: {reason}")
    return 0


def _print_grid(output: Output, grid: SimilarityGrid, pooling: str) -> None:
    first, second = grid.rows[0].model, grid.columns[0].model
    cells = [
        [row.label, *("–" if math.isnan(value) else f"{value:.3f}" for value in values)]
        for row, values in zip(grid.rows, grid.values, strict=True)
    ]
    heading = [f"{first} ↓  {second} →", *(f"{column.label}>" for column in grid.columns)]
    output.table(f"{grid.label}, n = {grid.n}, pooling {pooling}", heading, cells, None)
    for note in (*grid.notes, *grid.undefined[:REASONS]):
        output.say(note)


def _write_grids(path: Path, result: Comparison) -> None:
    """Write CSV with the layers of B as columns; one file per measure if there are several."""
    if path.suffix == ".json":
        data = {name: grid.to_dict() for name, grid in result.grids.items()}
        path.write_text(json.dumps(plain(data), indent=1, allow_nan=False), encoding="utf-8")
        return
    for name, grid in result.grids.items():
        file = path if len(result.grids) == 1 else path.with_name(f"{path.stem}.{name.replace(':', '_')}.csv")
        with file.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(["layer", *(column.label for column in grid.columns)])
            writer.writerows([row.label, *values] for row, values in zip(grid.rows, grid.values.tolist(), strict=True))
