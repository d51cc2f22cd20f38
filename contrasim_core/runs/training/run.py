"""Encoders trained on the layers of several models, one per seed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contrasim_core.encoder.encoders import Encoders
from contrasim_core.encoder.spec import TrainSpec
from contrasim_core.measure.facts import label_of
from contrasim_core.runs.kind import Context
from contrasim_core.spec import Spec


def needs(spec: TrainSpec) -> tuple[Spec, ...]:
    """Return the layers of every model."""
    return spec.sources


def title(spec: TrainSpec) -> str:
    """Name the kind of encoder, models, data and seeds."""
    seeds = f"{len(spec.seeds)} seed{'s' * (len(spec.seeds) > 1)}"
    return f"{label_of(spec.encoder.encoder)}, {len(spec.sources)} models on {spec.sources[0].data.label}, {seeds}"


def make(spec: TrainSpec, have: Mapping[Spec, Any], context: Context) -> Encoders:
    """Train all seeds as one batched computation."""
    from contrasim_core.activations.layer import pick_layers
    from contrasim_core.encoder.contrasim import ContraSim

    models = [pick_layers(have[source], spec.layers, spec.rows) for source in spec.sources]
    encoders = ContraSim.fit_seeds(
        spec.encoder, spec.seeds, models, device=context.execution.device, progress=context.progress
    )
    return Encoders(tuple(encoders), _files(spec))


def load(spec: TrainSpec, folder: Path) -> Encoders:
    """Read the encoders, in the order of the spec's seeds."""
    return Encoders.load(folder, _files(spec))


def _files(spec: TrainSpec) -> tuple[str, ...]:
    return tuple(f"encoder-{seed}" for seed in spec.seeds)
