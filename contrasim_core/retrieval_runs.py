"""Runs of the multilingual and the image-caption benchmark: specs in, artifacts in the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from contrasim_core.data import Inputs, load_data, thumbnails_of
from contrasim_core.data.pairs import overlap
from contrasim_core.errors import SpecError
from contrasim_core.extraction import Execution, run_extraction
from contrasim_core.progress import Progress, share, silent
from contrasim_core.refs import SampleSet, digest
from contrasim_core.results import write_json
from contrasim_core.retrieval_results import RetrievalResult
from contrasim_core.specs import (
    ENCODER_KINDS,
    EncoderKind,
    ExtractionSpec,
    NeighboursSpec,
    PairedSpec,
    RetrievalSpec,
    names_of,
)
from contrasim_core.store import Store

if TYPE_CHECKING:
    from contrasim_core.activations import Activations
    from contrasim_core.encoder.contrasim import ContraSim

NEIGHBOURS = "neighbours.npy"
PairEncoders = list[tuple[tuple[int, int], "ContraSim"]]


def train_pairs(
    spec: PairedSpec,
    *,
    store: Store,
    execution: Execution = Execution(),  # noqa: B008 - frozen
    progress: Progress = silent,
) -> PairEncoders:
    """Encoders of a spec with the pair of each: trained, or read from the store."""
    folder = store.find(spec.kind, spec.key)
    if folder is None:
        with store.lock(spec.kind, spec.key):
            folder = store.find(spec.kind, spec.key) or _train(spec, store, execution, progress)
    return load_pair_encoders(spec, folder)


def load_pair_encoders(spec: PairedSpec, folder: Path) -> PairEncoders:
    """The encoders in an artifact's folder, pair by pair, seed by seed."""
    from contrasim_core.encoder.contrasim import ContraSim

    return [(pair, ContraSim.load(folder / _file_name(pair, seed))) for pair in spec.pairs for seed in spec.seeds]


def _file_name(pair: tuple[int, int], seed: int) -> str:
    return f"encoder-{pair[0]}-{pair[1]}-{seed}.safetensors"


def _train(spec: PairedSpec, store: Store, execution: Execution, progress: Progress) -> Path:
    from contrasim_core.encoder.contrasim import ContraSim

    names = names_of(spec.sources)
    layers = dict(zip(names, _layers(spec.sources, spec.layers, store, execution, share(progress, 0, 2)), strict=True))
    if spec.leave_out:
        layers = {name: [_without(item, spec.leave_out) for item in items] for name, items in layers.items()}
    encoders = ContraSim.fit_pairs(
        spec.encoder, layers, spec.pairs, spec.seeds, device=execution.device, progress=share(progress, 1, 2)
    )

    def fill(folder: Path) -> None:
        jobs = [(pair, seed) for pair in spec.pairs for seed in spec.seeds]
        for (pair, seed), encoder in zip(jobs, encoders, strict=True):
            encoder.save(folder / _file_name(pair, seed))
        write_json(folder / "result.json", {"curves": [vars(encoder.curve) for encoder in encoders]})

    title = f"{spec.encoder.encoder}, {len(spec.pairs)} pairs of {', '.join(names)}, {len(spec.seeds)} seeds"
    return store.write(spec, title, fill)


def _layers(
    sources: Sequence[ExtractionSpec],
    layers: Sequence[int] | None,
    store: Store,
    execution: Execution,
    progress: Progress,
) -> list[list[Activations]]:
    """The layers of each source that take part."""
    found = []
    for number, source in enumerate(sources):
        step = share(progress, number, len(sources))
        made = run_extraction(source, store=store, execution=execution, progress=step)
        if source.layers == "all":
            there = [item.layer.index for item in made]
            unknown = [index for index in layers or () if index not in there]
            if unknown:
                raise SpecError(
                    f"{source.model.label} has no layer {', '.join(map(str, unknown))}. It has: "
                    f"{', '.join(map(str, there))}."
                )
            made = [item for item in made if (item.layer.index in layers if layers else item.layer.index > 0)]
        found.append(made)
    return found


def _without(item: Activations, rows: Sequence[int]) -> Activations:
    """The layer without some samples."""
    from contrasim_core.activations import Activations as Made

    kept = np.setdiff1d(np.arange(len(item.samples)), rows)
    ids = tuple(item.samples.ids[row] for row in kept)
    samples = SampleSet(ids, digest([item.samples.fingerprint, "without", *map(str, rows)]))
    return Made.of(item.values[kept], layer=item.layer, samples=samples, recipe=item.recipe)


def retrieval(
    spec: RetrievalSpec,
    *,
    store: Store,
    execution: Execution = Execution(),  # noqa: B008
    progress: Progress = silent,
) -> RetrievalResult:
    """The benchmark with every measure and every kind of distractor of the spec."""
    folder = store.find(spec.kind, spec.key)
    if folder is None:
        with store.lock(spec.kind, spec.key):
            folder = store.find(spec.kind, spec.key)
            if folder is None:
                result = _retrieval(spec, store, execution, progress)
                model = ", ".join(dict.fromkeys(item.model.label for item in spec.test))
                store.write(spec, f"{spec.task.capitalize()}, {model} on {spec.test[0].data.label}", result.save)
                return result
    return RetrievalResult.load(folder)


def _retrieval(spec: RetrievalSpec, store: Store, execution: Execution, progress: Progress) -> RetrievalResult:
    from contrasim_core.benchmarks.retrieval import Retrieval

    names = names_of(spec.test)
    learned = any(name in ENCODER_KINDS for name in spec.measures)
    contents = [load_data(item.data) for item in spec.test]
    test = _layers(spec.test, spec.layers, store, execution, share(progress, 0, 4))
    train: list[list[Activations]] | None = None
    leave_out: tuple[int, ...] = ()
    if learned:
        train = _layers(spec.train, spec.layers, store, execution, share(progress, 1, 4))
        leave_out = leaks(spec.train, contents)

    def encoders(kind: EncoderKind, step: Progress) -> PairEncoders:
        return train_pairs(spec.training(kind, leave_out), store=store, execution=execution, progress=step)

    def neighbours(source: int) -> NDArray[np.int32]:
        wanted = NeighboursSpec(
            source=spec.test[source], layers=spec.layers, k=spec.candidates, metric=spec.metric, index=spec.index
        )
        return find_neighbours(wanted, test[source], contents[source], store=store, execution=execution)

    last = spec.layers is None and all(source.layers == (-1,) for source in spec.test)
    task = Retrieval(
        task=spec.task,
        test=dict(zip(names, test, strict=True)),
        pairs=spec.pairs,
        batch=spec.batch,
        candidates=spec.candidates,
        neighbours=neighbours,
        train=None if train is None else dict(zip(names, train, strict=True)),
        encoders=encoders,
        own_pair=spec.task == "image-caption",
        layers=("last",) if last else None,
        recipe={
            "model": ", ".join(dict.fromkeys(item.model.label for item in spec.test)),
            "data": spec.test[0].data.label,
            "pooling": " / ".join(dict.fromkeys(item.pooling for item in spec.test)),
            **({"left out of training": f"{len(leave_out)} samples that the test has too"} if leave_out else {}),
        },
    )
    result = task.run(spec.measures, spec.negatives, share(progress, 1, 2))
    samples = {name: item.texts for name, item in zip(names, contents, strict=True)}
    images = next((item.images for item in contents if item.images), None)
    return replace(result, samples=samples, thumbnails=None if images is None else thumbnails_of(images))


def find_neighbours(
    spec: NeighboursSpec,
    layers: Sequence[Activations],
    inputs: Inputs,
    *,
    store: Store,
    execution: Execution = Execution(),  # noqa: B008
) -> NDArray[np.int32]:
    """[layers, rows, k] neighbours in the layers of a source: searched once, on the GPU where FAISS has one, and kept.

    Args:
        spec: what to search.
        layers: of the source.
        inputs: its samples; those with equal texts are never each other's neighbours.
        store: where they are kept.
        execution: where to search.
    """
    with store.lock(spec.kind, spec.key):
        folder = store.find(spec.kind, spec.key) or _search(spec, layers, inputs, store, execution)
    kept: NDArray[np.int32] = np.load(folder / NEIGHBOURS, allow_pickle=False)
    return kept


def _search(
    spec: NeighboursSpec, layers: Sequence[Activations], inputs: Inputs, store: Store, execution: Execution
) -> Path:
    from contrasim_core.models import pick_device
    from contrasim_core.neighbours import Search, has_gpu, neighbours_of

    gpu = pick_device(execution.device).type == "cuda" and has_gpu()
    search = Search(metric=spec.metric, index=spec.index, gpu=gpu)
    found = neighbours_of([layer.values for layer in layers], spec.k, search=search, groups=_same(inputs))
    title = f"{spec.k} nearest rows of {spec.source.model.label}, {names_of((spec.source,))[0]}"
    return store.write(spec, title, lambda draft: np.save(draft / NEIGHBOURS, found))


def leaks(train: Sequence[ExtractionSpec], test: Sequence[Inputs]) -> tuple[int, ...]:
    """Places of training samples whose content, in any source, is among the test samples too."""
    found = {place for one, other in zip(train, test, strict=True) for place in overlap(load_data(one.data), other)}
    return tuple(sorted(found))


def _same(inputs: Inputs) -> NDArray[np.int64]:
    """Numbers that are equal for samples with equal texts; images are compared as rows are."""
    if not inputs.texts:
        return np.arange(len(inputs), dtype=np.int64)
    seen: dict[str, int] = {}
    return np.array([seen.setdefault(text.casefold(), len(seen)) for text in inputs.texts], dtype=np.int64)
