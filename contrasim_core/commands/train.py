"""`train`: train ContraSim encoders and their ablations."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import Any

from contrasim_core.commands.options import (
    POOLINGS,
    SEEDS,
    add_device,
    add_encoder,
    encoder_spec,
    execution_of,
    store_of,
)
from contrasim_core.commands.output import Output, command
from contrasim_core.encoder.encoders import Encoders
from contrasim_core.encoder.spec import ENCODER_KINDS
from contrasim_core.models.find import expand_models
from contrasim_core.runs.training.presets import train_spec
from contrasim_core.zoo.families import recipe_for


def add(commands: Any) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "train",
        "Train ContraSim encoders (or their ablations) on the layers of several models.",
        examples=(
            "train --models digits-vit --encoder contrasim --seeds 5",
            "train --models bert-a,bert-b,bert-c --data corpus.txt --encoder contrasim.relative --out e.safetensors",
        ),
    )
    parser.add_argument("--models", required=True, help="a bundled family, or names separated by commas")
    parser.add_argument("--data", help="training data (default: that of the bundled family)")
    parser.add_argument(
        "--encoder", choices=ENCODER_KINDS, default="contrasim", help="kind of encoder (default: contrasim)"
    )
    add_encoder(parser)
    parser.add_argument("--pooling", choices=POOLINGS, help="default: that of the family, else mean")
    parser.add_argument("--rows", type=int, help="use only the first rows")
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write the first seed's encoder to this file")
    add_device(parser)
    parser.set_defaults(run=_train)


def _train(options: Namespace, output: Output) -> int:
    from contrasim_core.runs import run

    names = expand_models(options.models)
    known = recipe_for(names) is not None
    spec = train_spec(
        options.models,
        encoder=encoder_spec(options, bundled=known, kind=options.encoder),
        data=options.data,
        pooling=options.pooling,
        rows=options.rows,
        seeds=range(options.seeds or SEEDS),
    )
    with output.progress() as progress:
        encoders: Encoders = run(spec, store=store_of(options), execution=execution_of(options), progress=progress)
    if options.out:
        encoders[0].save(options.out)
    curves = [encoder.curve for encoder in encoders]
    rows = [
        (
            curve.seed,
            f"{curve.loss[0]:.3f}",
            f"{curve.loss[-1]:.3f}",
            f"{curve.accuracy[-1]:.1%}" if curve.accuracy else "–",
        )
        for curve in curves
    ]
    output.table(
        f"{options.encoder} trained on {len(spec.sources)} models",
        ("seed>", "first loss>", "last loss>", "held-out accuracy>"),
        rows,
        {"key": spec.key, "curves": [asdict(curve) for curve in curves]},
    )
    output.say(f"Stored as encoder {spec.key}. Compare with it: --encoder {spec.key}.")
    return 0
