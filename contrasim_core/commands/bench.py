"""`bench`: benchmark measures."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import Any

from contrasim_core.commands import paper as printing
from contrasim_core.commands import retrieval as paired
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
from contrasim_core.measure.facts import expand_measures
from contrasim_core.models.find import expand_models
from contrasim_core.runs.layer_prediction.presets import benchmark_spec, protocols
from contrasim_core.runs.layer_prediction.result import BenchmarkResult
from contrasim_core.runs.layer_prediction.spec import PROTOCOLS
from contrasim_core.runs.retrieval.presets import LANGUAGES, TEXT_MODELS, VISION_MODELS
from contrasim_core.zoo.families import recipe_for


def add(commands: Any) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "bench",
        "Benchmark measures: which of them finds the corresponding layer, the translation or the caption?",
        examples=(
            "bench layer-prediction --models digits-vit --measures all",
            "bench layer-prediction --models digits-cnn --measures kornblith --json",
            "bench multilingual --models phrases-bert-0 --measures cka.linear,contrasim",
            "bench multilingual --models bert-base-multilingual-cased --data facebook/xnli --config all_languages",
            "bench image-caption --measures all --seeds 5",
            "bench image-caption --models openai/clip-vit-base-patch32 --data folder-with-captions",
            "bench paper --list",
            "bench paper --table 2 --out tables",
            "bench paper --scale hub --figure 4",
        ),
    )
    parser.add_argument("task", choices=("layer-prediction", "multilingual", "image-caption", "paper"))
    parser.add_argument(
        "--models",
        help="layer-prediction: a bundled family, or names separated by commas; multilingual: one model; "
        "image-caption: one two-tower model, instead of --vision and --text",
    )
    parser.add_argument("--measures", default="all", help="ids, or all (default), closed-form, learned, kornblith")
    parser.add_argument("--data", help="data set with a train and a test split (default: that of the bundled models)")
    parser.add_argument("--pooling", choices=POOLINGS, help="default: that of the family, else mean; multilingual: cls")
    parser.add_argument("--rows", type=int, help="use only the first rows")
    layers = parser.add_argument_group("layer-prediction")
    layers.add_argument("--transfer", help="second data set, for the protocol 'transfer'")
    layers.add_argument("--protocols", help=f"any of {','.join(PROTOCOLS)} (default: all that the data allow)")
    layers.add_argument("--pairs", choices=("all", "disjoint"), default="all", help="pairs of models (default: all)")
    layers.add_argument("--unseen-models", type=int, help="models that 'unseen' holds out (default: 4)")
    pairs = parser.add_argument_group("multilingual and image-caption")
    pairs.add_argument("--languages", default=",".join(LANGUAGES), help="columns of the data (default: %(default)s)")
    pairs.add_argument("--vision", default=",".join(VISION_MODELS), help="vision models (default: %(default)s)")
    pairs.add_argument("--text", default=",".join(TEXT_MODELS), help="text models (default: %(default)s)")
    pairs.add_argument("--negatives", default="random,faiss", help="kinds of distractors (default: %(default)s)")
    pairs.add_argument("--batch", type=int, help="rows per batch (default: 8 sentences, 64 images)")
    pairs.add_argument("--metric", choices=("l2", "ip"), help="FAISS: Euclidean distance (default) or inner product")
    pairs.add_argument("--index", choices=("flat", "ivf"), help="FAISS: exact (default), or for pools of millions")
    pairs.add_argument("--config", help="configuration of a hub data set, such as all_languages of XNLI")
    paper = parser.add_argument_group("paper: tables and figures of arXiv:2303.16992 (default: all)")
    paper.add_argument("--table", type=int, choices=range(1, 9), action="append", metavar="1..8")
    paper.add_argument("--figure", type=int, choices=(4, 5), action="append", metavar="4|5")
    paper.add_argument("--scale", choices=("bundled", "hub"), default="bundled", help="default: %(default)s")
    paper.add_argument("--parallel", metavar="DATA", help="parallel texts (default: the scale's own)")
    paper.add_argument("--captioned", metavar="DATA", help="images with captions (no default for --scale hub)")
    paper.add_argument("--list", action="store_true", help="list tables and figures")
    paper.add_argument("--out", type=Path, metavar="FOLDER", help="default: paper-bundled or paper-hub in the cache")
    add_encoder(parser)
    add_device(parser)
    parser.set_defaults(run=_bench, misuse=parser.error)


def _bench(options: Namespace, output: Output) -> int:
    if options.task == "paper":
        return printing.run(options, output)
    if options.task != "layer-prediction":
        return paired.run(options, output)
    from contrasim_core.runs import run

    if not options.models:
        options.misuse("layer-prediction needs --models: a bundled family, or names separated by commas")
    known = recipe_for(expand_models(options.models)) is not None
    spec = benchmark_spec(
        options.models,
        measures=expand_measures(options.measures),
        data=options.data,
        transfer=options.transfer,
        protocols=protocols(options.protocols) if options.protocols else None,
        pairs=options.pairs,
        pooling=options.pooling,
        unseen_models=options.unseen_models,
        rows=options.rows,
        encoder=encoder_spec(options, bundled=known and options.data is None),
        seeds=range(options.seeds or SEEDS),
    )
    with output.progress() as progress:
        result: BenchmarkResult = run(spec, store=store_of(options), execution=execution_of(options), progress=progress)
    _print_benchmark(output, result, spec.key)
    return 0


def _print_benchmark(output: Output, result: BenchmarkResult, key: str) -> None:
    rows = []
    row: Any
    for row in result.summary().itertuples():
        share = f"{row.accuracy:.1%}" if row.accuracy == row.accuracy else f"– {row.reason}"
        spread = f"± {row.std:.1%}" if row.seeds > 1 else ""
        interval = f"{row.low:.1%} to {row.high:.1%}" if row.accuracy == row.accuracy else ""
        rows.append(
            (row.measure, row.protocol, share, spread, interval, row.trials, f"{row.chance:.1%}", row.seeds or "")
        )
    output.table(
        f"Layer prediction: {result.recipe['models']}, {result.recipe['data']}, pooling {result.recipe['pooling']}",
        ("measure", "protocol", "accuracy>", "over seeds>", "95 % interval", "trials>", "chance>", "seeds>"),
        rows,
        [asdict(record) for record in result.records],
    )
    output.say(f"Stored as benchmark {key}.")
