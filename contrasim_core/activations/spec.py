"""What to extract from which model on which data, and how to run it. No torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from contrasim_core.errors import LayerError, SpecError
from contrasim_core.refs import DatasetRef, Dtype, ModelRef, Pooling
from contrasim_core.spec import Spec, require


@dataclass(frozen=True, kw_only=True)
class ExtractionSpec(Spec):
    """Run one model over one data set and pool to one row per sample (or per word).

    Attributes:
        model: the model, pinned by fingerprint.
        data: the samples, pinned by fingerprint.
        layers: `"all"`, or layer indices (Hugging Face) or module names and globs (other modules).
        pooling: how positions become one row: see "Words" in the README.
        dtype: number format of the forward pass; pooling is always done in float32.
        max_length: number of tokens after which a text is cut.
    """

    kind: ClassVar[str] = "activations"
    model: ModelRef
    data: DatasetRef
    layers: Literal["all"] | tuple[int | str, ...] = "all"
    pooling: Pooling = "mean"
    dtype: Dtype = "float32"
    max_length: int = 128

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.layers == "all" or len(self.layers) > 0, "ExtractionSpec.layers is empty. Name a layer, or 'all'.")
        require(self.max_length >= 1, f"ExtractionSpec.max_length is {self.max_length}. It must be 1 or more.")


def names_of(sources: tuple[ExtractionSpec, ...]) -> tuple[str, ...]:
    """Name sources: by the side of the data if one model reads them all, else by model; each name is unique."""
    if len({item.model for item in sources}) == 1:
        names = [(item.data.column or item.data.label).partition(" of ")[0] for item in sources]
    else:
        names = [item.model.label for item in sources]
    met = [names[: place + 1].count(name) for place, name in enumerate(names)]
    return tuple(name if time == 1 else f"{name} ({time})" for name, time in zip(names, met, strict=True))


def indices(text: str) -> tuple[int, ...]:
    """Parse layer indices from a comma-separated list.

    Raises:
        SpecError: if one is not a number.
    """
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise SpecError(f"Layers are {text!r}. Give indices separated by commas, or 'all'.") from error


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How to run: this changes results only by rounding and is therefore not part of a key.

    Attributes:
        device: `auto` tries cuda, then mps, then cpu.
        batch_size: samples per forward pass; None for the default of the device. Halved when memory runs out.
        shard_samples: samples per shard; None for about 64 MB.
    """

    device: str = "auto"
    batch_size: int | None = None
    shard_samples: int | None = None


def layer_indices(layers: Sequence[int | str], label: str) -> list[int]:
    """Return layer indices as numbers; the layers of a Hugging Face model have no other names here.

    Raises:
        LayerError: if one is a name.
    """
    wrong = [item for item in layers if not re.fullmatch(r"-?\d+", str(item))]
    if wrong:
        raise LayerError(
            f"{label}: layers of a Hugging Face model are indices, 0 (embeddings) to the number of blocks, not "
            f"{wrong[0]!r}. To record a module by name, load the model yourself and pass it as nn.Module."
        )
    return [int(item) for item in layers]


def check_layers(wanted: Iterable[int], known: Sequence[int], label: str) -> None:
    """Reject layers that a model does not have.

    Args:
        wanted: requested indices.
        known: existing indices, in order.
        label: name of the model, for the message.

    Raises:
        LayerError: if an index is missing; the message lists the layers that exist.
    """
    missing = [index for index in wanted if index not in known]
    if missing:
        whole = list(known) == list(range(known[0], known[-1] + 1)) and len(known) > 1
        layers = f"{known[0]} to {known[-1]}" if whole else ", ".join(map(str, known))
        start = " (0 is the output of the embeddings)" if known[0] == 0 else ""
        raise LayerError(f"{label} has no layer {missing[0]}. Its layers are {layers}{start}.")
