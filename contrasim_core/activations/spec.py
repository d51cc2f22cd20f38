"""What is extracted from which model on which data, and how it may be run. No torch."""

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
    """One model run over one data set, pooled to one row per sample (or per word).

    Attributes:
        model: the model, pinned by fingerprint.
        data: the samples, pinned by fingerprint.
        layers: `"all"`, or layer indices (Hugging Face) or module names and globs (other modules).
        pooling: how positions become one row: see README, "Words".
        dtype: number format of the forward pass; pooling is done in float32 whatever it is.
        max_length: tokens after which a text is cut.
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
    """What sources are called: sides of the data where one model reads them all, else models; each name once."""
    if len({item.model for item in sources}) == 1:
        names = [(item.data.column or item.data.label).partition(" of ")[0] for item in sources]
    else:
        names = [item.model.label for item in sources]
    met = [names[: place + 1].count(name) for place, name in enumerate(names)]
    return tuple(name if time == 1 else f"{name} ({time})" for name, time in zip(names, met, strict=True))


def indices(text: str) -> tuple[int, ...]:
    """Layer indices from a comma-separated list.

    Raises:
        SpecError: if one is no number.
    """
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise SpecError(f"Layers are indices separated by commas, or 'all'; not {text!r}.") from error


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How to run, which changes results by no more than rounding and is therefore no part of a key.

    Attributes:
        device: `auto` takes cuda, then mps, then cpu.
        batch_size: samples per forward pass; None for a default by device. Halved when memory runs out.
        shard_samples: samples per shard; None for about 64 MB.
    """

    device: str = "auto"
    batch_size: int | None = None
    shard_samples: int | None = None


def layer_indices(layers: Sequence[int | str], label: str) -> list[int]:
    """Layer indices as numbers; the layers of a Hugging Face model have no other names here.

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
    """Refuse layers that a model does not have.

    Args:
        wanted: indices.
        known: the indices there are, in order.
        label: of the model.

    Raises:
        LayerError: with the first index that is missing, and what there is.
    """
    missing = [index for index in wanted if index not in known]
    if missing:
        whole = list(known) == list(range(known[0], known[-1] + 1)) and len(known) > 1
        there = f"{known[0]} to {known[-1]}" if whole else ", ".join(map(str, known))
        start = " (0 is the output of the embeddings)" if known[0] == 0 else ""
        raise LayerError(f"{label} has no layer {missing[0]}. Its layers are {there}{start}.")
