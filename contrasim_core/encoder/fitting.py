"""From activations to trained encoders that remember what they were trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from contrasim_core.activations.layer import Activations, Matrix, by_model, check_paired
from contrasim_core.encoder.loop import Trained
from contrasim_core.encoder.spec import EncoderSpec
from contrasim_core.encoder.training import Units, train
from contrasim_core.errors import EncoderError, NotFiniteError
from contrasim_core.models.device import pick_device
from contrasim_core.progress import Progress
from contrasim_core.refs import LayerRef, SampleSet

Models = Sequence[Activations] | Sequence[Sequence[Activations]] | Sequence[Sequence[Matrix]]


class Fitted:
    """A trained encoder, with the models, layers and samples it was trained on."""

    def __init__(self, trained: Trained, units: Units, ids: tuple[str, ...], fingerprint: str) -> None:
        self.spec, self.trained = trained.spec, trained
        self.models, self.layers = units.models, units.layers
        self.anchor_ids = tuple(ids[row] for row in trained.anchors)
        self.sample_fingerprint = fingerprint


def fit(spec: EncoderSpec, seeds: tuple[int, ...], models: Models, device: str, progress: Progress) -> list[Fitted]:
    """Train one encoder per seed on the same layer of several models against all other layers."""
    groups = _groups(models)
    counts = {model: len(layers) for model, layers in groups.items()}
    if not groups or 0 in counts.values():
        raise EncoderError(f"Got no layers to train on: {counts}. Give the layers of 2 or more models.")
    first = next(iter(groups.values()))
    if len(set(counts.values())) != 1:
        raise EncoderError(f"The models have different numbers of layers: {counts}. Give the same layers of each.")
    for layers in groups.values():
        for layer in layers:
            check_paired(first[0], layer)
    units = Units(
        tuple(tuple(finite_values(layers[i]) for layers in groups.values()) for i in range(len(first))),
        tuple(groups),
        tuple(layer.layer.label for layer in first),
    )
    picked = pick_device(device)
    ids, fingerprint = first[0].samples.ids, first[0].samples.fingerprint
    return [
        Fitted(item, units, ids, fingerprint) for item in train(units, spec, seeds, device=picked, progress=progress)
    ]


def finite_values(activations: Activations) -> Float[Tensor, "n d"]:
    """Return the rows of a layer after checking that all are finite."""
    values = activations.values
    check_finite(values, str(activations.layer))
    return values


def check_finite(rows: Float[Tensor, "n d"], name: str) -> None:
    """Reject rows with NaN or infinity."""
    if not bool(torch.isfinite(rows).all()):
        raise NotFiniteError(f"{name} has NaN or infinity. Fix or drop those rows first.")


def _groups(models: Models) -> dict[str, list[Activations]]:
    """Return one list of activations per model; plain matrices get names and numbers."""
    if models and isinstance(models[0], Activations):
        return by_model([item for item in models if isinstance(item, Activations)])
    groups: dict[str, list[Activations]] = {}
    layers: Any
    for m, layers in enumerate(models):
        name = layers[0].layer.model if len(layers) and isinstance(layers[0], Activations) else f"model {m}"
        if name in groups:
            raise EncoderError(f"Two models are called {name!r}. Give every model a unique name.")
        groups[name] = [
            item
            if isinstance(item, Activations)
            else Activations.of(
                item,
                layer=LayerRef(name, i, f"layer {i}"),
                samples=SampleSet(tuple(str(row) for row in range(len(item)))),
            )
            for i, item in enumerate(layers)
        ]
    return groups
