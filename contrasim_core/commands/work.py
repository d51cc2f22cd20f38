"""Commands that run models: extract, compare."""

from __future__ import annotations

import csv
import json
import math
from argparse import Namespace
from pathlib import Path
from typing import Any

from contrasim_core import presets
from contrasim_core.commands.options import add_data, add_device, execution_of, store_of
from contrasim_core.commands.output import Output, command
from contrasim_core.errors import SpecError
from contrasim_core.models import resolve_model
from contrasim_core.results import Comparison, SimilarityGrid, plain
from contrasim_core.specs import CompareSpec, Pooling

REASONS = 2  # why cells are empty: one for each side says enough


def add(commands: Any) -> None:
    """Declare the commands."""
    _add_extract(commands)
    _add_compare(commands)


def _add_extract(commands: Any) -> None:
    parser = command(
        commands,
        "extract",
        "Run a model over data and keep one row per sample of every layer.",
        examples=(
            "extract digits-vit-0 --data digits",
            "extract ./my-model --data sentences.txt --pooling mean --layers 0,6,12 --out activations.npz",
        ),
    )
    parser.add_argument("model", help="bundled name, folder, or hub id (owner/name, owner/name#vision)")
    add_data(parser)
    parser.add_argument("--layers", default="all", help="'all', or indices separated by commas; 0 is the embeddings")
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write .npz (one array per layer, and row ids)")
    add_device(parser)
    parser.set_defaults(run=_extract)


def _add_compare(commands: Any) -> None:
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
    parser.add_argument("--measure", default="cka.linear", help="ids separated by commas, or 'closed-form'")
    parser.add_argument("--encoder", action="append", default=[], metavar="KEY", help="trained encoder, by its key")
    parser.add_argument("--groups", type=int, default=0, help="jackknife groups for intervals; 0 for none (default)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write .csv (one file per measure) or .json")
    add_device(parser)
    parser.set_defaults(run=_compare)


def _pooling(options: Namespace, model: str) -> Pooling:
    """What was asked for, or the default of the model's family."""
    if options.pooling:
        given: Pooling = options.pooling
        return given
    from contrasim_core.models import load_model

    return load_model(resolve_model(model), device="cpu").default_pooling


def _source(options: Namespace, model: str, layers: str = "all") -> Any:
    return presets.extraction_spec(
        model,
        options.data,
        pooling=_pooling(options, model),
        split=options.split,
        column=options.column,
        limit=options.limit,
        dtype=options.dtype,
        max_length=options.max_length,
        layers="all" if layers == "all" else presets.indices(layers),
    )


def _extract(options: Namespace, output: Output) -> int:
    from contrasim_core.extraction import run_extraction

    spec = _source(options, options.model, options.layers)
    with output.progress() as progress:
        found = run_extraction(spec, store=store_of(options), execution=execution_of(options), progress=progress)
    rows = [
        {"index": a.layer.index, "name": a.layer.name, "rows": len(a.samples), "width": a.values.shape[1]}
        for a in found
    ]
    if options.out:
        _write_arrays(options.out, found)
    output.table(
        f"{spec.model.label} on {spec.data.label}, pooling {spec.pooling}",
        ("layer>", "name", "rows>", "width>"),
        [tuple(row.values()) for row in rows],
        {"key": spec.key, "pooling": spec.pooling, "layers": rows},
    )
    output.say(f"Kept as activations {spec.key}.")
    return 0


def _write_arrays(path: Path, found: Any) -> None:
    import numpy as np

    if path.suffix != ".npz":
        raise SpecError(f"--out {path}: activations are written as .npz. Give a name that ends in .npz.")
    arrays = {f"layer_{item.layer.index}": item.values.numpy() for item in found}
    np.savez(path, ids=np.array(found[0].samples.ids), **arrays)


def _compare(options: Namespace, output: Output) -> int:
    from contrasim_core import runs

    if options.out and options.out.suffix not in (".csv", ".json"):
        raise SpecError(f"--out {options.out}: grids are written as .csv or .json. Give a name that ends so.")
    spec = CompareSpec(
        a=_source(options, options.a),
        b=_source(options, options.b),
        measures=presets.expand_measures(options.measure),
        encoders=tuple(options.encoder),
        groups=options.groups,
    )
    with output.progress() as progress:
        result = runs.compare(spec, store=store_of(options), execution=execution_of(options), progress=progress)
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
    """CSV with the layers of B as columns; a file per measure where there are several."""
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
