"""Rows of several sources in two dimensions, before and after an encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from contrasim_core.activations.spec import ExtractionSpec, names_of
from contrasim_core.data import Inputs, load_data, thumbnails_of
from contrasim_core.errors import SpecError
from contrasim_core.runs.kind import Context
from contrasim_core.runs.projection.methods import (
    SEPARATION,
    Matrix,
    Timer,
    aligned,
    moved,
    project,
    separation,
    trustworthiness,
)
from contrasim_core.runs.projection.result import Projection
from contrasim_core.runs.projection.spec import ProjectionSpec
from contrasim_core.spec import Spec

if TYPE_CHECKING:
    from contrasim_core.activations.layer import Activations

JUDGED = 400
"""Samples that the numbers are computed from, if there are as many, however few are shown."""


def needs(spec: ProjectionSpec) -> tuple[Spec, ...]:
    """Return the layers of the sources, the encoder, and the layers with the anchors of a relative one."""
    found: list[Spec] = list(spec.sources)
    training = spec.trained
    if training is not None:
        if training.encoder.is_relative:
            found += training.sources
        found.append(training)
    return tuple(dict.fromkeys(found))


def title(spec: ProjectionSpec) -> str:
    """Name method, sources, models and layer."""
    models = ", ".join(dict.fromkeys(source.model.label for source in spec.sources))
    layer = "last layer" if spec.layer == -1 else f"layer {spec.layer}"
    count = f"{spec.items} samples" if spec.items else "all samples"
    return f"{spec.method.upper()} of {' and '.join(spec.names)}, {models}, {layer}, {count}"


class _Rows:
    """Rows of several sources, all on the same samples."""

    def __init__(self, parts: Sequence[Matrix]) -> None:
        self.parts = parts

    def first(self, count: int) -> Matrix:
        """Return the rows of the first samples, source by source."""
        return np.concatenate([part[:count] for part in self.parts])

    def separation(self) -> dict[str, float | None]:
        """Measure how well all rows are grouped."""
        count = len(self.parts[0])
        item = np.tile(np.arange(count), len(self.parts))
        source = np.repeat(np.arange(len(self.parts)), count)
        return separation(self.first(count), item, source)


def make(spec: ProjectionSpec, have: Mapping[Spec, Any], context: Context) -> Projection:
    """Project the raw rows and the encoded ones, and measure how well both are grouped."""
    timer = Timer()
    contents = [load_data(source.data) for source in spec.sources]
    count = min(spec.items or len(contents[0]), len(contents[0]))
    judged = max(count, min(JUDGED, len(contents[0])))
    layers = _same_samples([_layer(source, have[source], spec.layer) for source in spec.sources])
    raw = _raw(layers, judged)
    encoded = _encoded(spec, layers, judged, have)
    if encoded is None:
        _check_widths(layers)
    timer.lap("encoder")
    context.progress(1, 2, f"{spec.method.upper()} of {count * len(layers)} points")
    before, after, numbers = _pictures(spec, raw, encoded, count)
    timer.lap("projection")
    context.progress(2, 2, "Done")
    return Projection(
        before=before.astype(np.float32),
        after=None if after is None else after.astype(np.float32),
        item=np.tile(np.arange(count, dtype=np.int32), len(layers)),
        source=np.repeat(np.arange(len(layers), dtype=np.int32), count),
        moved=np.zeros(0, np.float32) if after is None else moved(before, after).astype(np.float32),
        sources=spec.names,
        ids=contents[0].samples.ids[:count],
        **_previews(contents, count),
        numbers=numbers,
        recipe=_recipe(spec, layers[0].layer.label, judged),
        seconds=timer.seconds,
    )


def load(_spec: ProjectionSpec, folder: Path) -> Projection:
    """Read the finished result."""
    return Projection.load(folder)


def _layer(source: ExtractionSpec, items: Sequence[Activations], index: int) -> Activations:
    """Return the layer with this index; the last one for -1, or if only one was extracted."""
    from contrasim_core.activations.layer import pick_layers

    return items[-1] if index == -1 or source.layers != "all" else pick_layers(items, [index])[0]


def _same_samples(layers: list[Activations]) -> list[Activations]:
    """Return the layers after checking that all come from the same samples.

    Raises:
        SpecError: if they do not.
    """
    for layer in layers[1:]:
        if layer.samples.fingerprint != layers[0].samples.fingerprint:
            raise SpecError(
                f"{layers[0].layer} and {layer.layer} have different samples. Use the same data set for all."
            )
    return layers


def _raw(layers: Sequence[Activations], count: int) -> _Rows:
    """Return the raw rows of the models; narrower ones are padded with zeros."""
    rows = [layer.values[:count].double().numpy() for layer in layers]
    wide = max(part.shape[1] for part in rows)
    return _Rows([np.pad(part, ((0, 0), (0, wide - part.shape[1]))) for part in rows])


def _check_widths(layers: Sequence[Activations]) -> None:
    widths = {layer.values.shape[1] for layer in layers}
    if len(widths) > 1:
        raise SpecError(
            f"The sources have layers of different widths ({', '.join(map(str, sorted(widths)))}), so they share "
            "no space without an encoder. Choose an encoder, or sources of equal width."
        )


def _pictures(
    spec: ProjectionSpec, raw: _Rows, encoded: _Rows | None, count: int
) -> tuple[Matrix, Matrix | None, dict[str, dict[str, float | None]]]:
    """Return the points before and after, and the numbers shown below them."""
    rows = raw.first(count)
    before = project(rows, spec.method, neighbours=spec.neighbours, seed=spec.seed)
    apart = len({part.model.name for part in spec.sources}) > 1  # coordinates of two models are unrelated
    sorted_by = dict.fromkeys(SEPARATION) if apart else raw.separation()
    numbers = {"before": {**sorted_by, "trustworthiness": trustworthiness(rows, before)}}
    if encoded is None:
        return before, None, numbers
    rows = encoded.first(count)
    start = before if spec.method == "umap" else None
    after = aligned(project(rows, spec.method, neighbours=spec.neighbours, seed=spec.seed, start=start), before)
    numbers["after"] = {**encoded.separation(), "trustworthiness": trustworthiness(rows, after)}
    return before, after, numbers


def _previews(contents: Sequence[Inputs], count: int) -> dict[str, Any]:
    """Return the text of each point, and thumbnails of the samples."""
    images = next((part.images for part in contents if part.images), None)
    texts = tuple(text for part in contents for text in (part.texts[:count] or ("",) * count))
    return {
        "texts": texts if any(texts) else (),
        "thumbnails": None if images is None else thumbnails_of(images[:count]),
    }


def _recipe(spec: ProjectionSpec, layer: str, judged: int) -> dict[str, str]:
    return {
        "model": ", ".join(dict.fromkeys(part.model.label for part in spec.sources)),
        "data": spec.sources[0].data.label,
        "layer": layer,
        "pooling": " / ".join(dict.fromkeys(part.pooling for part in spec.sources)),
        "method": "UMAP" if spec.method == "umap" else "PCA",
        "encoder": _encoder_label(spec),
        "samples judged": str(judged),
    }


def _encoder_label(spec: ProjectionSpec) -> str:
    if spec.training is None:
        return "none"
    trained = names_of(spec.training.sources)
    a, b = spec.training.pairs[spec.pair]
    return f"{spec.training.encoder.encoder}, trained on {trained[a]} and {trained[b]}"


def _encoded(spec: ProjectionSpec, layers: Sequence[Activations], count: int, have: Mapping[Spec, Any]) -> _Rows | None:
    """Return the encoded rows; None without an encoder."""
    training = spec.trained
    if training is None:
        return None
    encoder = have[training][spec.pair * len(training.seeds)]
    parts = []
    trained = names_of(training.sources)
    for name, layer in zip(spec.names, layers, strict=True):
        anchors = None
        if encoder.is_relative:
            if name not in trained:
                raise SpecError(
                    f"{name} is not a source of the training, so its anchors are unknown. Choose one that is."
                )
            source = training.sources[trained.index(name)]
            anchors = encoder.anchors_of(_layer(source, have[source], layer.layer.index))
        parts.append(encoder.encode(layer.values[:count], name, anchors).double().numpy())
    return _Rows(parts)
