"""The nearest rows of every row in the layers of one source, computed once for all runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrasim_core.activations.spec import names_of
from contrasim_core.data import Inputs, load_data
from contrasim_core.neighbours.spec import NeighboursSpec
from contrasim_core.runs.kind import Context
from contrasim_core.spec import Spec

FILE = "neighbours.npy"


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Row numbers of the neighbours, [layers, rows, k]; -1 if there are fewer than k."""

    rows: NDArray[np.int32]

    def save(self, folder: Path) -> None:
        """Write `neighbours.npy`."""
        np.save(folder / FILE, self.rows)


def needs(spec: NeighboursSpec) -> tuple[Spec, ...]:
    """Return the layers of the source."""
    return (spec.source,)


def title(spec: NeighboursSpec) -> str:
    """Name the number of neighbours and the source."""
    return f"{spec.k} nearest rows of {spec.source.model.label}, {names_of((spec.source,))[0]}"


def make(spec: NeighboursSpec, have: Mapping[Spec, Any], context: Context) -> Neighbours:
    """Search each layer, on the GPU if FAISS supports it; samples with equal texts are never neighbours."""
    from contrasim_core.activations.layer import layers_of
    from contrasim_core.models.device import pick_device
    from contrasim_core.neighbours.search import Search, has_gpu, neighbours_of

    layers = layers_of(spec.source, have[spec.source], spec.layers)
    context.progress(0, 1, f"Nearest neighbours: {names_of((spec.source,))[0]}")
    gpu = pick_device(context.execution.device).type == "cuda" and has_gpu()
    search = Search(metric=spec.metric, index=spec.index, gpu=gpu)
    same = _same(load_data(spec.source.data))
    return Neighbours(neighbours_of([layer.values for layer in layers], spec.k, search=search, groups=same))


def load(_spec: NeighboursSpec, folder: Path) -> Neighbours:
    """Read the finished result."""
    return Neighbours(np.load(folder / FILE, allow_pickle=False))


def _same(inputs: Inputs) -> NDArray[np.int64]:
    """Return numbers that are equal for samples with equal texts; images are compared by their rows."""
    if not inputs.texts:
        return np.arange(len(inputs), dtype=np.int64)
    seen: dict[str, int] = {}
    return np.array([seen.setdefault(text.casefold(), len(seen)) for text in inputs.texts], dtype=np.int64)
