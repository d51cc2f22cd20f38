"""Encoders trained on pairs of sources (languages of a model, or models), one per pair and seed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contrasim_core.activations.spec import names_of
from contrasim_core.data import load_data
from contrasim_core.data.pairs import leaks
from contrasim_core.encoder.encoders import Encoders
from contrasim_core.encoder.spec import PairedSpec
from contrasim_core.measure.facts import label_of
from contrasim_core.runs.kind import Context
from contrasim_core.spec import Spec


def needs(spec: PairedSpec) -> tuple[Spec, ...]:
    """Return the layers of every source."""
    return spec.sources


def title(spec: PairedSpec) -> str:
    """Name the kind of encoder, sources and seeds."""
    names = ", ".join(names_of(spec.sources))
    seeds = f"{len(spec.seeds)} seed{'s' * (len(spec.seeds) > 1)}"
    return f"{label_of(spec.encoder.encoder)}, {len(spec.pairs)} pairs of {names}, {seeds}"


def make(spec: PairedSpec, have: Mapping[Spec, Any], context: Context) -> Encoders:
    """Train all pairs and seeds as one batched computation."""
    from contrasim_core.activations.layer import layers_of, without_rows
    from contrasim_core.encoder.contrasim import ContraSim

    left_out = left_out_of(spec)
    layers = {
        name: [without_rows(item, left_out) for item in layers_of(source, have[source], spec.layers)]
        for name, source in zip(names_of(spec.sources), spec.sources, strict=True)
    }
    encoders = ContraSim.fit_pairs(
        spec.encoder, layers, spec.pairs, spec.seeds, device=context.execution.device, progress=context.progress
    )
    return Encoders(tuple(encoders), _files(spec))


def left_out_of(spec: PairedSpec) -> tuple[int, ...]:
    """Return positions of the training samples to drop because the test samples contain them too, in any source."""
    if not spec.apart_from:
        return ()
    return leaks([load_data(source.data) for source in spec.sources], [load_data(data) for data in spec.apart_from])


def load(spec: PairedSpec, folder: Path) -> Encoders:
    """Read the encoders, ordered by pair, then by seed."""
    return Encoders.load(folder, _files(spec))


def _files(spec: PairedSpec) -> tuple[str, ...]:
    return tuple(f"encoder-{a}-{b}-{seed}" for a, b in spec.pairs for seed in spec.seeds)
