"""Runs of projections: a spec in, points before and after an encoder out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from contrasim_core.activations import Activations
from contrasim_core.data import load_data, thumbnails_of
from contrasim_core.errors import SpecError
from contrasim_core.extraction import Execution, run_extraction
from contrasim_core.progress import Progress, share, silent
from contrasim_core.projection import (
    SEPARATION,
    Matrix,
    Timer,
    aligned,
    moved,
    project,
    separation,
    trustworthiness,
)
from contrasim_core.projection_results import Projection
from contrasim_core.refs import DatasetRef
from contrasim_core.retrieval_runs import leaks, train_pairs
from contrasim_core.specs import ExtractionSpec, PairedSpec, ProjectionSpec, names_of
from contrasim_core.store import Store

JUDGED = 400
"""Samples that the numbers are made of, where there are as many, however few are shown."""


class _Rows:
    """Rows of several sources, all on the same samples."""

    def __init__(self, parts: Sequence[Matrix]) -> None:
        self.parts = parts

    def first(self, count: int) -> Matrix:
        """The first samples, source by source."""
        return np.concatenate([part[:count] for part in self.parts])

    def separation(self) -> dict[str, float | None]:
        """How well all rows are sorted."""
        count = len(self.parts[0])
        item = np.tile(np.arange(count), len(self.parts))
        source = np.repeat(np.arange(len(self.parts)), count)
        return separation(self.first(count), item, source)


def projection(
    spec: ProjectionSpec,
    *,
    store: Store,
    execution: Execution = Execution(),  # noqa: B008 - frozen
    progress: Progress = silent,
) -> Projection:
    """The points of a spec: computed, or read from the store."""
    folder = store.find(spec.kind, spec.key)
    if folder is None:
        with store.lock(spec.kind, spec.key):
            folder = store.find(spec.kind, spec.key)
            if folder is None:
                made = _project(spec, store, execution, progress)
                names = " and ".join(made.sources)
                what = f"{spec.method.upper()} of {names}, {made.recipe['model']}, layer {made.recipe['layer']}"
                store.write(spec, what, made.save)
                return made
    return Projection.load(folder)


def _project(spec: ProjectionSpec, store: Store, execution: Execution, progress: Progress) -> Projection:
    timer = Timer()
    names = names_of(spec.sources)
    contents = [load_data(source.data) for source in spec.sources]
    count = min(spec.items or len(contents[0]), len(contents[0]))
    judged = max(count, min(JUDGED, len(contents[0])))
    layers = [
        _layer(source, spec.layer, store, execution, share(share(progress, 0, 3), number, len(spec.sources)))
        for number, source in enumerate(spec.sources)
    ]
    for layer in layers[1:]:
        if layer.samples.fingerprint != layers[0].samples.fingerprint:
            raise SpecError(f"{layers[0].layer} and {layer.layer} are of different samples. Project one data set.")
    timer.lap("extraction")
    wide = max(layer.values.shape[1] for layer in layers)
    raw = [layer.values[:judged].double().numpy() for layer in layers]
    before_all = _Rows([np.pad(part, ((0, 0), (0, wide - part.shape[1]))) for part in raw])
    after_all = _encoded(spec, names, layers, judged, store, execution, share(progress, 1, 3))
    timer.lap("encoder")
    item = np.tile(np.arange(count, dtype=np.int32), len(layers))
    source = np.repeat(np.arange(len(layers), dtype=np.int32), count)
    widths = {layer.values.shape[1] for layer in layers}
    if len(widths) > 1 and after_all is None:
        raise SpecError(
            f"The sources have layers of different widths ({', '.join(map(str, sorted(widths)))}): there is no common "
            "space before an encoder. Choose an encoder, or sources of one width."
        )
    progress(2, 3, f"{spec.method.upper()} of {count * len(layers)} points")
    rows = before_all.first(count)
    before = project(rows, spec.method, neighbours=spec.neighbours, seed=spec.seed)
    apart = len({part.model.name for part in spec.sources}) > 1  # coordinates of two models have nothing in common
    sorted_by = dict.fromkeys(SEPARATION) if apart else before_all.separation()
    numbers = {"before": {**sorted_by, "trustworthiness": trustworthiness(rows, before)}}
    after = None
    if after_all is not None:
        rows = after_all.first(count)
        start = before if spec.method == "umap" else None
        points = project(rows, spec.method, neighbours=spec.neighbours, seed=spec.seed, start=start)
        after = aligned(points, before)
        numbers["after"] = {**after_all.separation(), "trustworthiness": trustworthiness(rows, after)}
    timer.lap("projection")
    progress(3, 3, "Done")
    images = next((part.images for part in contents if part.images), None)
    texts = tuple(text for part in contents for text in (part.texts[:count] or ("",) * count))
    return Projection(
        before=before.astype(np.float32),
        after=None if after is None else after.astype(np.float32),
        item=item,
        source=source,
        moved=np.zeros(0, np.float32) if after is None else moved(before, after).astype(np.float32),
        sources=names,
        ids=contents[0].samples.ids[:count],
        texts=texts if any(texts) else (),
        thumbnails=None if images is None else thumbnails_of(images[:count]),
        numbers=numbers,
        recipe={
            "model": ", ".join(dict.fromkeys(part.model.label for part in spec.sources)),
            "data": spec.sources[0].data.label,
            "layer": layers[0].layer.label,
            "pooling": " / ".join(dict.fromkeys(part.pooling for part in spec.sources)),
            "method": "UMAP" if spec.method == "umap" else "PCA",
            "encoder": _encoder_label(spec),
            "samples judged": str(judged),
        },
        seconds=timer.seconds,
    )


def _encoder_label(spec: ProjectionSpec) -> str:
    if spec.training is None:
        return "none"
    trained = names_of(spec.training.sources)
    a, b = spec.training.pairs[spec.pair]
    return f"{spec.training.encoder.encoder}, trained on {trained[a]} and {trained[b]}"


def _layer(source: ExtractionSpec, index: int, store: Store, execution: Execution, progress: Progress) -> Activations:
    """The layer with this index; the last one for -1, or where only one was extracted."""
    found = run_extraction(source, store=store, execution=execution, progress=progress)
    if index == -1 or source.layers != "all":
        return found[-1]
    chosen = [item for item in found if item.layer.index == index]
    if not chosen:
        known = ", ".join(str(item.layer.index) for item in found)
        raise SpecError(f"{source.model.label} has no layer {index}. It has: {known}.")
    return chosen[0]


def _leaks(training: PairedSpec, shown: DatasetRef) -> tuple[int, ...]:
    """Training samples that are among those shown, in any form: the benchmark leaves them out of training too."""
    forms = [load_data(replace(shown, column=source.data.column)) for source in training.sources]
    return leaks(training.sources, forms)


def _encoded(
    spec: ProjectionSpec,
    names: tuple[str, ...],
    layers: Sequence[Activations],
    count: int,
    store: Store,
    execution: Execution,
    progress: Progress,
) -> _Rows | None:
    """Rows after the encoder; None without one."""
    if spec.training is None:
        return None
    training = spec.training.replace(leave_out=spec.training.leave_out or _leaks(spec.training, spec.sources[0].data))
    found = train_pairs(training, store=store, execution=execution, progress=progress)
    encoder = found[spec.pair * len(training.seeds)][1]
    parts = []
    trained = names_of(training.sources)
    for name, layer in zip(names, layers, strict=True):
        anchors = None
        if encoder.is_relative:
            if name not in trained:
                raise SpecError(f"{name} is no source of the training, so its anchors are not known.")
            there = _layer(training.sources[trained.index(name)], layer.layer.index, store, execution, progress)
            anchors = encoder.anchors_of(there)
        parts.append(encoder.encode(layer.values[:count], name, anchors).double().numpy())
    return _Rows(parts)
