"""Options that several commands share, and the objects made from them."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from contrasim_core.activations.spec import ExtractionSpec, indices
from contrasim_core.encoder.spec import PAPER, EncoderSpec, TrainSpec
from contrasim_core.errors import SpecError
from contrasim_core.models.find import resolve_model
from contrasim_core.models.pooling import default_pooling
from contrasim_core.refs import Dtype, Pooling
from contrasim_core.runs.extraction.presets import extraction_spec
from contrasim_core.store import Store
from contrasim_core.zoo.families import quick_for

POOLINGS = get_args(Pooling)


def add_data(parser: ArgumentParser) -> None:
    """Add options for the data, and for how to run a model on them."""
    parser.add_argument("--data", required=True, help="bundled name, file, folder, or hub data set")
    parser.add_argument("--split", default="test", help="part of a bundled or hub data set (default: test)")
    parser.add_argument("--column", help="column of a table with the texts or images")
    parser.add_argument("--limit", type=int, help="use only the first samples")
    parser.add_argument("--pooling", choices=POOLINGS, help="default: that of the model's family")
    parser.add_argument(
        "--dtype",
        choices=get_args(Dtype),
        default="float32",
        help="number format of the forward pass (default: float32)",
    )
    parser.add_argument("--max-length", type=int, default=128, help="cut texts after this many tokens (default: 128)")


def add_device(parser: ArgumentParser) -> None:
    """Add options for where to compute."""
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default: auto)")
    parser.add_argument("--batch-size", type=int, help="samples per forward pass")


def store_of(options: Namespace) -> Store:
    """Return the store that these options name."""
    return Store(options.cache)


def execution_of(options: Namespace) -> Any:
    """Return how models are run."""
    from contrasim_core.activations.spec import Execution

    return Execution(device=options.device, batch_size=options.batch_size)


def pooling_of(options: Namespace, model: str) -> Pooling:
    """Return the requested pooling, or the default of the model's family."""
    if options.pooling:
        given: Pooling = options.pooling
        return given
    return default_pooling(resolve_model(model))


def source_of(options: Namespace, model: str, layers: str = "all") -> ExtractionSpec:
    """Return the extraction of one model on the data of the options."""
    return extraction_spec(
        model,
        options.data,
        pooling=pooling_of(options, model),
        split=options.split,
        column=options.column,
        limit=options.limit,
        dtype=options.dtype,
        max_length=options.max_length,
        layers="all" if layers == "all" else indices(layers),
    )


SEEDS = 5


def add_encoder(parser: ArgumentParser) -> None:
    """Add options for how encoders are trained."""
    parser.add_argument(
        "--seeds", type=int, metavar="N", help="number of encoders to train (default: 5; 1 per pair of languages)"
    )
    parser.add_argument(
        "--preset", choices=("auto", "paper", "quick"), default="auto", help="set of training options (default: auto)"
    )
    parser.add_argument("--epochs", type=int, help="epochs (default: the preset's)")
    parser.add_argument("--batch-rows", type=int, help="samples per training step (default: the preset's)")


def encoder_spec(options: Namespace, *, bundled: bool, kind: str = "contrasim") -> EncoderSpec:
    """Return training options of an encoder: a preset, with the given options replaced."""
    quick = options.preset == "quick" or (options.preset == "auto" and bundled)
    changes = {"epochs": options.epochs, "batch_rows": options.batch_rows}
    given = {name: value for name, value in changes.items() if value is not None}
    return (quick_for(options.models) if quick else PAPER).replace(encoder=kind, **given)


def root_of(options: Namespace) -> Path:
    """Return the root of the store that these options name."""
    return Store(options.cache).root


def trainings_of(options: Namespace, keys: Sequence[str]) -> tuple[TrainSpec, ...]:
    """Return the trainings of the encoders with these keys.

    Raises:
        SpecError: if a key does not belong to encoders.
    """
    from contrasim_core.runs.kinds import stored_spec

    found = []
    for key in keys:
        spec = stored_spec(store_of(options), TrainSpec.kind, key)
        if not isinstance(spec, TrainSpec):
            raise SpecError(f"{key} is a {spec.kind}, not a set of encoders. `contrasim cache` lists keys.")
        found.append(spec)
    return tuple(found)
