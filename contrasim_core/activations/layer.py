"""A representation, with the layer and the samples it comes from."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from contrasim_core.activations.spec import ExtractionSpec, check_layers
from contrasim_core.errors import DataError, PairingError, ShapeError
from contrasim_core.refs import LayerRef, SampleSet, digest

Matrix = Any  # a torch tensor, a numpy array, or anything that numpy.asarray accepts


def as_matrix(values: Matrix, name: str = "x") -> Float[Tensor, "n d"]:
    """Return the values as a floating-point tensor [n, d]; a tensor stays on its device.

    float32 and float64 are kept; half precision and integers become float32.

    Raises:
        ShapeError: if the values are not a matrix of real numbers.
    """
    tensor = values.detach() if isinstance(values, Tensor) else _as_tensor(values, name)
    if tensor.is_complex():
        raise _no_numbers(name, "complex numbers")
    if tensor.ndim != 2:
        raise ShapeError(
            f"{name} has shape {tuple(tensor.shape)}. A representation is [n, d]: one row per sample. "
            "Pool or flatten the other axes first."
        )
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()


def _as_tensor(values: Matrix, name: str) -> Tensor:
    """Return the array as a tensor; copied only if torch cannot share its memory."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise _no_numbers(name, "rows of different lengths") from error
    if array.dtype.kind not in "fiub":
        raise _no_numbers(name, f"dtype {array.dtype}")
    wanted = np.float64 if array.dtype.kind == "f" and array.dtype.itemsize > 4 else np.float32
    if array.dtype != wanted or any(step < 0 for step in array.strides):
        array = array.astype(wanted, order="C")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # and we do not write to it
        return torch.as_tensor(array)


def _no_numbers(name: str, content: str) -> ShapeError:
    return ShapeError(
        f"{name} is not a matrix of real numbers (it has {content}). A representation is [n, d]: one row per sample."
    )


@dataclass(frozen=True, eq=False)
class Activations:
    """One layer's representation of one sample set.

    Attributes:
        layer: the layer it was taken from.
        samples: ids of the rows, and their fingerprint.
        read: returns rows `start` to `stop` as a tensor, from disk if the activations are stored there.
        recipe: how it was made (pooling, data, dtype, ...), for captions.
    """

    layer: LayerRef
    samples: SampleSet
    read: Callable[[int, int], Tensor] = field(repr=False)
    recipe: dict[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls, values: Matrix, *, layer: LayerRef, samples: SampleSet, recipe: dict[str, str] | None = None
    ) -> Activations:
        """Return activations that are held in memory.

        Raises:
            ShapeError: if the values are not a matrix with one row per sample.
        """
        tensor = as_matrix(values, str(layer))
        if len(tensor) != len(samples):
            raise ShapeError(f"{layer} has {len(tensor)} rows, but its sample set has {len(samples)} ids.")
        return cls(layer, samples, lambda start, stop: tensor[start:stop], recipe or {})

    @property
    def values(self) -> Float[Tensor, "n d"]:
        """The matrix; if it is stored on disk, every access reads it again, so keep it if you need it twice."""
        return self.read(0, len(self.samples))

    def rows(self, limit: int | None) -> Activations:
        """Return the first `limit` rows as activations of their own."""
        if limit is None or limit >= len(self.samples):
            return self
        subset = SampleSet(self.samples.ids[:limit], f"{self.samples.fingerprint}[:{limit}]")
        return Activations(self.layer, subset, self.read, self.recipe)


def check_paired(a: Activations, b: Activations) -> None:
    """Reject two representations of different samples, or of the same samples in another order.

    Raises:
        PairingError: if they differ; the message says how.
    """
    if a.samples.fingerprint == b.samples.fingerprint:
        return
    if len(a.samples) != len(b.samples):
        difference = f"{len(a.samples)} rows against {len(b.samples)}"
    elif set(a.samples.ids) == set(b.samples.ids):
        different_order = a.samples.ids != b.samples.ids
        difference = "the same ids in another order" if different_order else "the same ids, but different content"
    else:
        missing = sorted(set(a.samples.ids) - set(b.samples.ids))
        difference = f"{len(missing)} ids of the first are not in the second, such as {missing[0]!r}"
    raise PairingError(
        f"{a.layer} and {b.layer} were not extracted on the same samples in the same order ({difference}). "
        "Extract both again on the same data set."
    )


def by_model(activations: Sequence[Activations]) -> dict[str, list[Activations]]:
    """Group activations by model, in order of first appearance, and sort each group by layer index."""
    groups: dict[str, list[Activations]] = {}
    for item in activations:
        groups.setdefault(item.layer.model, []).append(item)
    return {model: sorted(group, key=lambda item: item.layer.index) for model, group in groups.items()}


def pick_layers(
    items: Sequence[Activations], layers: Sequence[int] | None, rows: int | None = None
) -> list[Activations]:
    """Return the layers with these indices, cut to the first rows.

    Args:
        items: layers of one model.
        layers: indices; None for all but the embeddings (index 0).
        rows: how many rows to keep; None for all.

    Raises:
        LayerError: if the model has no such layer.
    """
    known = [item.layer.index for item in items]
    if layers is not None:
        check_layers(layers, known, items[0].layer.model)
    chosen = [item for item in items if (item.layer.index in layers if layers is not None else item.layer.index > 0)]
    return [item.rows(rows) for item in chosen]


def layers_of(source: ExtractionSpec, items: Sequence[Activations], layers: Sequence[int] | None) -> list[Activations]:
    """Return what `pick_layers` does, but all layers of a source that requests only some, such as its last."""
    return pick_layers(items, layers) if source.layers == "all" else list(items)


def without_rows(item: Activations, rows: Sequence[int]) -> Activations:
    """Return the layer without some samples, and with a fingerprint of its own."""
    if not rows:
        return item
    kept = np.setdiff1d(np.arange(len(item.samples)), rows)
    ids = tuple(item.samples.ids[row] for row in kept)
    samples = SampleSet(ids, digest([item.samples.fingerprint, "without", *map(str, rows)]))
    return Activations.of(item.values[kept], layer=item.layer, samples=samples, recipe=item.recipe)


def load_activations(path: str | Path) -> list[Activations]:
    """Load activations that were computed elsewhere from an `.npz`, `.npy` or `.safetensors` file.

    An `.npy` file contains one layer [n, d]. In the others every matrix [n, d] is a layer, in the order of the file;
    an optional one-dimensional array named `ids` contains the row ids. Without ids, rows are numbered, and two files
    count as paired if they have the same number of rows.

    Raises:
        DataError: if the file is missing, damaged, of another type, or contains no matrix of numbers.
    """
    file = Path(path)
    if not file.is_file():
        raise DataError(f"{file} does not exist. Expected precomputed activations in .npz, .npy or .safetensors.")
    try:
        arrays = _read_arrays(file)
    except _UNREADABLE as error:
        raise DataError(
            f"{file.name} cannot be read: it is damaged, or contains objects instead of numbers. "
            "Pickled objects are refused: they can run code."
        ) from error
    ids = arrays.pop("ids", None)
    matrices = {name: array for name, array in arrays.items() if array.ndim == 2}
    if not matrices:
        found = ", ".join(f"{name} {tuple(array.shape)}" for name, array in arrays.items()) or "nothing"
        raise DataError(f"{file.name} contains no matrix [n, d]. Found: {found}.")
    n = len(next(iter(matrices.values())))
    wrong = {name: tuple(array.shape) for name, array in matrices.items() if len(array) != n}
    if wrong:
        raise DataError(f"{file.name}: layers have different numbers of rows: {n}, but {wrong}.")
    samples = SampleSet(tuple(str(i) for i in (ids.tolist() if ids is not None else range(n))))
    if len(samples) != n or len(set(samples.ids)) != n:
        raise DataError(
            f"{file.name}: `ids` must name each of the {n} rows once; it has {len(set(samples.ids))} names."
        )
    try:
        tensors = {name: as_matrix(array, name) for name, array in matrices.items()}
    except ShapeError as error:
        raise DataError(f"{file.name}: {error}") from error
    return [
        Activations.of(tensor, layer=LayerRef(file.stem, index, name), samples=samples, recipe={"data": file.name})
        for index, (name, tensor) in enumerate(tensors.items())
    ]


_UNREADABLE = (OSError, ValueError, EOFError, BadZipFile, SafetensorError)


def _read_arrays(file: Path) -> dict[str, Any]:
    if file.suffix == ".npy":
        return {"layer": np.load(file, allow_pickle=False)}
    if file.suffix == ".npz":
        with np.load(file, allow_pickle=False) as stored:
            return dict(stored)
    if file.suffix == ".safetensors":
        return dict(load_file(file))
    raise DataError(f"{file.name} is not an .npz, .npy or .safetensors file. Pickles are refused: they can run code.")
