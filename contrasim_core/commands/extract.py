"""`extract`: run a model over data."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contrasim_core.commands.options import add_data, add_device, execution_of, source_of, store_of
from contrasim_core.commands.output import Output, command
from contrasim_core.errors import SpecError

if TYPE_CHECKING:
    from contrasim_core.activations.layer import Activations


def add(commands: Any) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "extract",
        "Run a model over data and store one row per sample for every layer.",
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


def _extract(options: Namespace, output: Output) -> int:
    from contrasim_core.runs import run

    spec = source_of(options, options.model, options.layers)
    with output.progress() as progress:
        found: list[Activations] = run(
            spec, store=store_of(options), execution=execution_of(options), progress=progress
        )
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
    output.say(f"Stored as activations {spec.key}.")
    return 0


def _write_arrays(path: Path, found: Any) -> None:
    import numpy as np

    if path.suffix != ".npz":
        raise SpecError(f"--out {path}: activations are written as .npz. Give a name that ends in .npz.")
    arrays = {f"layer_{item.layer.index}": item.values.numpy() for item in found}
    np.savez(path, ids=np.array(found[0].samples.ids), **arrays)
