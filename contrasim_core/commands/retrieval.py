"""The benchmarks on pairs: `bench multilingual` and `bench image-caption`."""

from __future__ import annotations

import math
from argparse import Namespace
from dataclasses import asdict
from typing import Any

from contrasim_core.commands.options import execution_of, store_of
from contrasim_core.commands.output import Output
from contrasim_core.encoder.spec import EncoderSpec
from contrasim_core.measure.facts import expand_measures
from contrasim_core.runs.retrieval import presets as presets_paired
from contrasim_core.runs.retrieval.result import RetrievalLine, RetrievalResult
from contrasim_core.runs.retrieval.spec import RetrievalSpec


def run(options: Namespace, output: Output) -> int:
    """Run the benchmark that the options describe, and print the result."""
    from contrasim_core.runs import run as execute

    spec = spec_of(options)
    with output.progress() as progress:
        result: RetrievalResult = execute(
            spec, store=store_of(options), execution=execution_of(options), progress=progress
        )
    show(output, result, spec.key)
    return 0


def spec_of(options: Namespace) -> RetrievalSpec:
    """Return the spec that the options of `bench` describe."""
    shared: dict[str, Any] = {
        "measures": expand_measures(options.measures),
        "data": options.data,
        "config": options.config,
        "encoder": _encoder(options),
        "seeds": None if options.seeds is None else tuple(range(options.seeds)),
        "negatives": presets_paired.negatives(options.negatives),
        "batch": options.batch,
        "metric": options.metric,
        "index": options.index,
    }
    if options.rows is not None:
        shared["rows"] = (options.rows, options.rows)
    if options.task == "multilingual":
        return presets_paired.multilingual_spec(
            options.models or presets_paired.MULTILINGUAL_MODEL,
            languages=_names(options.languages),
            pooling=options.pooling or "cls",
            **shared,
        )
    if options.models:
        return presets_paired.clip_spec(options.models, **shared)
    return presets_paired.caption_spec(_names(options.vision), _names(options.text), **shared)


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _encoder(options: Namespace) -> EncoderSpec:
    quick = presets_paired.QUICK_MULTILINGUAL if options.task == "multilingual" else presets_paired.QUICK_CAPTION
    small = options.preset == "quick" or (options.preset == "auto" and options.data is None)
    changes = {"epochs": options.epochs, "batch_rows": options.batch_rows}
    given = {name: value for name, value in changes.items() if value is not None}
    return (quick if small else presets_paired.PAPER_PAIRED).replace(**given)


def show(output: Output, result: RetrievalResult, key: str) -> None:
    """Print a table of means over pairs, with one column per layer; or all records as JSON."""
    shown: dict[tuple[str, str], list[RetrievalLine]] = {}
    for line in result.lines:
        if line.pair_group == "all":
            shown.setdefault((line.negatives, line.measure), []).append(line)
    rows = []
    for names, lines in shown.items():
        rows.append((*names, *map(_cell, lines)))
    recipe = result.recipe
    output.table(
        f"{result.task.capitalize()}: {recipe['model']}, {recipe['data']}, pooling {recipe['pooling']}; accuracy (%), "
        f"mean ± std over pairs and encoders; chance {100 / (1 + result.random.shape[1]):.1f} %",
        ("negatives", "measure", *(f"layer {label}>" for label in result.layers)),
        rows,
        [asdict(record) for record in result.records],
    )
    for line in {line.measure: line for line in result.lines if line.reason}.values():
        output.say(f"{line.measure}: {line.reason}.")
    output.say("Learned measures: over pairs that the encoder was not trained on, if there are any.")
    output.say(f"Stored as retrieval {key}.")


def _cell(line: RetrievalLine) -> str:
    if line.reason:
        return "–"
    spread = "" if math.isnan(line.std) else f" ± {100 * line.std:.1f}"
    return f"{100 * line.accuracy:.1f}{spread}"
