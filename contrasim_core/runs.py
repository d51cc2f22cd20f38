"""The verbs behind pages, command line and notebooks: a spec in, an artifact out.

`run` does what a spec says, or finds it done. Every verb takes the store, the device and the progress as arguments
and keeps no state of its own.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from contrasim_core.errors import ContraSimWarning, SpecError
from contrasim_core.extraction import Execution, run_extraction
from contrasim_core.progress import Progress, share, silent
from contrasim_core.projection_runs import projection as projection
from contrasim_core.results import BenchmarkResult, Comparison, write_json
from contrasim_core.retrieval_runs import retrieval as retrieval
from contrasim_core.retrieval_runs import train_pairs as train_pairs
from contrasim_core.specs import (
    ENCODER_KINDS,
    BenchmarkSpec,
    CompareSpec,
    EncoderKind,
    ExtractionSpec,
    PairedSpec,
    ProjectionSpec,
    RetrievalSpec,
    Spec,
    TrainSpec,
)
from contrasim_core.store import Store, read_spec

if TYPE_CHECKING:
    from contrasim_core.activations import Activations
    from contrasim_core.data import Inputs
    from contrasim_core.encoder.contrasim import ContraSim
    from contrasim_core.measure.base import MeasureSpec
    from contrasim_core.measure.grid import Layer


def run(
    spec: Spec,
    *,
    store: Store,
    execution: Execution = Execution(),  # noqa: B008 - frozen
    progress: Progress = silent,
) -> Path:
    """Do what the spec says and return the folder of its artifact; at once if it is done already.

    Raises:
        SpecError: if this kind of spec cannot be run.
        ContraSimError: whatever the work itself may raise.
    """
    if isinstance(spec, ExtractionSpec):
        run_extraction(spec, store=store, execution=execution, progress=progress)
    elif isinstance(spec, TrainSpec):
        train(spec, store=store, execution=execution, progress=progress)
    elif isinstance(spec, CompareSpec):
        compare(spec, store=store, execution=execution, progress=progress)
    elif isinstance(spec, BenchmarkSpec):
        benchmark(spec, store=store, execution=execution, progress=progress)
    elif isinstance(spec, PairedSpec):
        train_pairs(spec, store=store, execution=execution, progress=progress)
    elif isinstance(spec, RetrievalSpec):
        retrieval(spec, store=store, execution=execution, progress=progress)
    elif isinstance(spec, ProjectionSpec):
        projection(spec, store=store, execution=execution, progress=progress)
    else:
        raise SpecError(f"A {spec.kind} spec cannot be run by itself.")
    return store.folder(spec.kind, spec.key)


def train(
    spec: TrainSpec,
    *,
    store: Store,
    execution: Execution = Execution(),  # noqa: B008
    progress: Progress = silent,
) -> list[ContraSim]:
    """Encoders of a spec, one per seed: trained, or read from the store."""
    folder = store.find(spec.kind, spec.key)
    if folder is None:
        with store.lock(spec.kind, spec.key):
            folder = store.find(spec.kind, spec.key)
            if folder is None:
                return _train(spec, store, execution, progress)
    return load_encoders(spec, folder)


def load_encoders(spec: TrainSpec, folder: Path) -> list[ContraSim]:
    """The encoders in an artifact's folder, in the order of the spec's seeds."""
    from contrasim_core.encoder.contrasim import ContraSim

    return [ContraSim.load(folder / f"encoder-{seed}.safetensors") for seed in spec.seeds]


def _train(spec: TrainSpec, store: Store, execution: Execution, progress: Progress) -> list[ContraSim]:
    from contrasim_core.encoder.contrasim import ContraSim

    models = []
    for number, source in enumerate(spec.sources):
        step = share(share(progress, 0, 2), number, len(spec.sources))
        models.append(
            _chosen(run_extraction(source, store=store, execution=execution, progress=step), spec.layers, spec.rows)
        )
    encoders = ContraSim.fit_seeds(
        spec.encoder, spec.seeds, models, device=execution.device, progress=share(progress, 1, 2)
    )

    def fill(folder: Path) -> None:
        for encoder in encoders:
            encoder.save(folder / f"encoder-{encoder.spec.seed}.safetensors")
        write_json(folder / "result.json", {"curves": [vars(encoder.curve) for encoder in encoders]})

    data = spec.sources[0].data.label
    store.write(spec, f"{spec.encoder.encoder}, {len(spec.sources)} models on {data}, {len(spec.seeds)} seeds", fill)
    return encoders


def _chosen(activations: Sequence[Activations], layers: Sequence[int] | None, rows: int | None) -> list[Activations]:
    """The layers with these indices, cut to the first rows."""
    kept = [item for item in activations if layers is None or item.layer.index in layers]
    if not kept:
        known = ", ".join(str(item.layer.index) for item in activations)
        raise SpecError(f"No layer is left: {layers} was asked for, and there are {known}.")
    return [item.rows(rows) for item in kept]


def compare(
    spec: CompareSpec,
    *,
    store: Store,
    execution: Execution = Execution(),  # noqa: B008
    progress: Progress = silent,
) -> Comparison:
    """Two models under several measures: grids, intervals, and the samples they agree on."""
    folder = store.find(spec.kind, spec.key)
    if folder is not None:
        return Comparison.load(folder)
    with store.lock(spec.kind, spec.key):
        folder = store.find(spec.kind, spec.key)
        if folder is not None:
            return Comparison.load(folder)
        result = _compare(spec, store, execution, progress)
        title = f"{spec.a.model.label} × {spec.b.model.label} on {spec.a.data.label}"
        store.write(spec, title, result.save)
        return result


def _compare(spec: CompareSpec, store: Store, execution: Execution, progress: Progress) -> Comparison:
    from contrasim_core.data import load_data
    from contrasim_core.measure.agreement import sample_agreement
    from contrasim_core.measure.table import closed_form

    started = time.monotonic()
    xs = run_extraction(spec.a, store=store, execution=execution, progress=share(progress, 0, 4))
    ys = run_extraction(spec.b, store=store, execution=execution, progress=share(progress, 1, 4))
    seconds = {"extraction": time.monotonic() - started}
    formulas = [closed_form(name) for name in spec.measures if name not in ENCODER_KINDS]
    started = time.monotonic()
    grids, skipped = compare_layers(xs, ys, formulas, spec.groups, share(progress, 2, 4))
    for kind in (name for name in spec.measures if name in ENCODER_KINDS):
        encoder = _encoder_for(kind, spec, store)
        first = _with_anchors(encoder, xs, spec.a, spec, store, execution)
        second = _with_anchors(encoder, ys, spec.b, spec, store, execution)
        found, missed = compare_layers(first, second, [encoder.measure()], spec.groups, silent)
        grids, skipped = {**grids, **found}, {**skipped, **missed}
    seconds["measures"] = time.monotonic() - started
    started = time.monotonic()
    agreement = sample_agreement([item.values for item in xs], [item.values for item in ys])
    seconds["samples"] = time.monotonic() - started
    progress(4, 4, "Done")
    ids = xs[0].samples.ids[: agreement.shape[2]]
    texts, thumbnails = previews(load_data(spec.a.data), ids)
    return Comparison(
        grids={name: grids[name] for name in spec.measures if name in grids},
        skipped=skipped,
        agreement=agreement,
        samples=texts,
        thumbnails=thumbnails,
        recipe={
            "a": spec.a.model.label,
            "b": spec.b.model.label,
            "data": spec.a.data.label,
            "n": str(len(xs[0].samples)),
            "pooling": spec.a.pooling if spec.a.pooling == spec.b.pooling else f"{spec.a.pooling} / {spec.b.pooling}",
        },
        seconds={name: round(value, 2) for name, value in seconds.items()},
    )


def compare_layers(
    xs: Sequence[Activations | Layer],
    ys: Sequence[Activations | Layer],
    measures: Sequence[MeasureSpec],
    groups: int,
    progress: Progress = silent,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Grids with intervals; measures that are defined for no pair at all are told apart, with the reason."""
    from contrasim_core.measure.grid import similarity_grids
    from contrasim_core.measure.interval import with_intervals

    if not measures:
        return {}, {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ContraSimWarning)  # the notes of the grids carry them to the reader
        grids = similarity_grids(xs, ys, measures, on_undefined="nan", progress=share(progress, 0, 2))
        skipped = {
            name: "; ".join(grid.undefined) or "not defined"
            for name, grid in grids.items()
            if not np.isfinite(grid.values).any()
        }
        grids = {name: grid for name, grid in grids.items() if name not in skipped}
        kept = [spec for spec in measures if spec.id in grids]
        if groups and kept:
            step = share(progress, 1, 2)
            grids = with_intervals(grids, xs, ys, kept, groups=groups, on_undefined="nan", progress=step)
    return grids, skipped


def _encoder_for(kind: str, spec: CompareSpec, store: Store) -> ContraSim:
    """The first seed's encoder of this kind among the spec's trained encoders.

    Raises:
        SpecError: if there is none.
    """
    for key in spec.encoders:
        found = read_spec(store, "encoders", key)
        if isinstance(found, TrainSpec) and found.encoder.encoder == kind:
            return load_encoders(found, store.need("encoders", key))[0]
    raise SpecError(
        f"{kind} is a learned measure, and no trained encoder of that kind was given. Train one on the page "
        "Train encoder, or with `python -m contrasim_core train`, and choose it here."
    )


def _with_anchors(
    encoder: ContraSim,
    items: Sequence[Activations],
    source: ExtractionSpec,
    spec: CompareSpec,
    store: Store,
    execution: Execution,
) -> list[Activations | Layer]:
    """The layers together with the encoder's anchor samples, which are extracted from this model if need be."""
    from contrasim_core.measure.grid import as_layer

    if not encoder.is_relative:
        return list(items)
    key = next(key for key in spec.encoders if _is_kind(store, key, "contrasim.relative"))
    trained = read_spec(store, "encoders", key)
    assert isinstance(trained, TrainSpec)  # noqa: S101 - found by `_is_kind`
    anchored = replace(source, data=trained.sources[0].data, layers="all")
    there = {item.layer.index: item for item in run_extraction(anchored, store=store, execution=execution)}
    return [as_layer(item, 0, "x", encoder.anchors_of(there[item.layer.index])) for item in items]


def _is_kind(store: Store, key: str, kind: str) -> bool:
    found = read_spec(store, "encoders", key)
    return isinstance(found, TrainSpec) and found.encoder.encoder == kind


def previews(inputs: Inputs, ids: Sequence[str]) -> tuple[tuple[str, ...], NDArray[np.uint8] | None]:
    """What people see of the samples behind row ids: texts (of a word, with its context), or small pictures."""
    from contrasim_core.data import thumbnails_of

    place = {name: number for number, name in enumerate(inputs.samples.ids)}
    if inputs.modality == "text":
        return tuple(_text_of(inputs.texts, place, name) for name in ids), None
    return tuple(ids), thumbnails_of([inputs.images[place[name]] for name in ids])


def _text_of(texts: Sequence[str], place: Mapping[str, int], name: str) -> str:
    if name in place:
        return texts[place[name]]
    sentence, _, word = name.rpartition("/")
    words = texts[place[sentence]].split()
    number = int(word)
    return " ".join([*words[max(0, number - 6) : number], f"[{words[number]}]", *words[number + 1 : number + 7]])


def benchmark(
    spec: BenchmarkSpec,
    *,
    store: Store,
    execution: Execution = Execution(),  # noqa: B008
    progress: Progress = silent,
) -> BenchmarkResult:
    """Layer prediction with every measure and protocol of the spec."""
    folder = store.find(spec.kind, spec.key)
    if folder is not None:
        return BenchmarkResult.load(folder)
    with store.lock(spec.kind, spec.key):
        folder = store.find(spec.kind, spec.key)
        if folder is not None:
            return BenchmarkResult.load(folder)
        result = _benchmark(spec, store, execution, progress)
        store.write(spec, f"Layer prediction, {len(spec.models)} models on {spec.test.label}", result.save)
        return result


def _benchmark(spec: BenchmarkSpec, store: Store, execution: Execution, progress: Progress) -> BenchmarkResult:
    from contrasim_core.benchmarks.layer_prediction import LayerPrediction

    learned = any(name in ENCODER_KINDS for name in spec.measures)
    wanted = {"test": spec.test, "train": spec.train if learned else None, "transfer": spec.transfer_test}
    if "transfer" not in spec.protocols:
        wanted["transfer"] = None
    groups: dict[str, dict[str, list[Activations]]] = {}
    sources: dict[str, ExtractionSpec] = {}
    parts = [(part, data) for part, data in wanted.items() if data is not None]
    total, done = len(parts) * len(spec.models), 0
    for part, data in parts:
        groups[part] = {}
        for model in spec.models:
            source = ExtractionSpec(model=model, data=data, pooling=spec.pooling)
            step = share(share(progress, 0, 2), done, total)
            found = run_extraction(source, store=store, execution=execution, progress=step)
            layers = spec.layers or tuple(item.layer.index for item in found if item.layer.name != "embeddings")
            groups[part][model.label] = _chosen(found, layers, spec.rows)
            sources[f"{part}|{model.label}"] = source
            done += 1

    def encoders(kind: EncoderKind, models: Sequence[str], step: Progress) -> list[ContraSim]:
        request = TrainSpec(
            encoder=spec.encoder.replace(encoder=kind),
            sources=tuple(sources[f"train|{model}"] for model in models),
            layers=tuple(item.layer.index for item in next(iter(groups["train"].values()))),
            rows=spec.rows,
            seeds=spec.seeds,
        )
        return train(request, store=store, execution=execution, progress=step)

    task = LayerPrediction(
        test=groups["test"],
        train=groups.get("train"),
        transfer_test=groups.get("transfer"),
        pairs=spec.pairs,
        unseen_models=spec.unseen_models,
        encoders=encoders,
        recipe={
            "models": f"{spec.models[0].label} … {spec.models[-1].label} ({len(spec.models)})",
            "data": spec.test.label,
            "transfer": spec.transfer_test.label if spec.transfer_test is not None else "",
            "pooling": spec.pooling,
        },
    )
    return task.run(spec.measures, spec.protocols, share(progress, 1, 2))
