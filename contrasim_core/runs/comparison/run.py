"""Two models under several measures: grids, intervals, and the samples they agree on."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from contrasim_core.activations.spec import ExtractionSpec
from contrasim_core.data import load_data
from contrasim_core.encoder.spec import ENCODER_KINDS, TrainSpec
from contrasim_core.errors import ContraSimWarning
from contrasim_core.progress import Progress, share, silent
from contrasim_core.runs.comparison.previews import previews
from contrasim_core.runs.comparison.result import Comparison
from contrasim_core.runs.comparison.spec import CompareSpec
from contrasim_core.runs.kind import Context
from contrasim_core.spec import Spec

if TYPE_CHECKING:
    from contrasim_core.activations.layer import Activations
    from contrasim_core.encoder.contrasim import ContraSim
    from contrasim_core.measure.base import MeasureSpec
    from contrasim_core.measure.grid import Layer


def needs(spec: CompareSpec) -> tuple[Spec, ...]:
    """Return the layers of both models, the encoders, and the layers with the anchors of relative ones."""
    specs: list[Spec] = [spec.a, spec.b]
    for training in _trainings(spec):
        if training.encoder.is_relative:
            specs += [_anchored(side, training) for side in (spec.a, spec.b)]
        specs.append(training)
    return tuple(dict.fromkeys(specs))


def _trainings(spec: CompareSpec) -> list[TrainSpec]:
    """Return the trainings behind the learned measures, in order."""
    return [
        training for name in spec.measures if name in ENCODER_KINDS and (training := spec.training(name)) is not None
    ]


def _anchored(side: ExtractionSpec, training: TrainSpec) -> ExtractionSpec:
    """Return the request for all layers of a side's model on the samples that include the encoder's anchors."""
    return side.replace(data=training.sources[0].data, layers="all")


def title(spec: CompareSpec) -> str:
    """Name both models and the data."""
    return f"{spec.a.model.label} × {spec.b.model.label} on {spec.a.data.label}"


def make(spec: CompareSpec, have: Mapping[Spec, Any], context: Context) -> Comparison:
    """Compute every grid, and the samples that the layers agree on."""
    from contrasim_core.measure.agreement import sample_agreement
    from contrasim_core.measure.closed_form import closed_form

    xs, ys = have[spec.a], have[spec.b]
    formulas = [closed_form(name) for name in spec.measures if name not in ENCODER_KINDS]
    started = time.monotonic()
    grids, skipped = compare_layers(xs, ys, formulas, spec.groups, share(context.progress, 0, 2))
    for training in _trainings(spec):
        encoder = have[training][0]
        first, second = (
            _with_anchors(encoder, items, side, training, have) for items, side in ((xs, spec.a), (ys, spec.b))
        )
        made, missed = compare_layers(first, second, [encoder.measure()], spec.groups, silent)
        grids, skipped = {**grids, **made}, {**skipped, **missed}
    seconds = {"measures": time.monotonic() - started}
    started = time.monotonic()
    agreement = sample_agreement([item.values for item in xs], [item.values for item in ys])
    seconds["samples"] = time.monotonic() - started
    context.progress(2, 2, "Done")
    texts, thumbnails = previews(load_data(spec.a.data), xs[0].samples.ids[: agreement.shape[2]])
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


def load(_spec: CompareSpec, folder: Path) -> Comparison:
    """Read the finished result."""
    return Comparison.load(folder)


def _with_anchors(
    encoder: ContraSim,
    items: Sequence[Activations],
    side: ExtractionSpec,
    training: TrainSpec,
    have: Mapping[Spec, Any],
) -> list[Activations | Layer]:
    """Return the layers; for a relative encoder, together with this model's rows of the anchor samples."""
    from contrasim_core.measure.grid import as_layer

    if not encoder.is_relative:
        return list(items)
    anchored = {item.layer.index: item for item in have[_anchored(side, training)]}
    return [as_layer(item, 0, "x", encoder.anchors_of(anchored[item.layer.index])) for item in items]


def compare_layers(
    xs: Sequence[Activations | Layer],
    ys: Sequence[Activations | Layer],
    measures: Sequence[MeasureSpec],
    groups: int,
    progress: Progress = silent,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return grids with intervals, and separately the measures that are undefined for every pair, with the reason."""
    from contrasim_core.measure.grid import similarity_grids
    from contrasim_core.measure.interval import with_intervals

    if not measures:
        return {}, {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ContraSimWarning)  # readers see them in the notes of the grids
        grids = similarity_grids(xs, ys, measures, on_undefined="nan", progress=share(progress, 0, 2))
        skipped = {
            name: "; ".join(grid.undefined) or "not defined"
            for name, grid in grids.items()
            if not np.isfinite(grid.values).any()
        }
        grids = {name: grid for name, grid in grids.items() if name not in skipped}
        defined = [spec for spec in measures if spec.id in grids]
        if groups and defined:
            step = share(progress, 1, 2)
            grids = with_intervals(grids, xs, ys, defined, groups=groups, on_undefined="nan", progress=step)
    return grids, skipped
