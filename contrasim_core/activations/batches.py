"""Samples as batches for a model: tokenised texts, preprocessed images, or tensors unchanged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from contrasim_core.activations.pooling import Positions
from contrasim_core.data.base import Inputs
from contrasim_core.errors import DataError, SpecError
from contrasim_core.models.load import LoadedModel
from contrasim_core.refs import Pooling, SampleSet


@dataclass(frozen=True, eq=False)
class Batch:
    """One forward pass.

    Attributes:
        arguments: keyword arguments of the model, or a single positional tensor under the key ``""``.
        positions: for pooling.
        rows: number of rows that each sample of the batch yields.
        ids: row ids, in order.
    """

    arguments: dict[str, Tensor]
    positions: Positions
    rows: tuple[int, ...]
    ids: tuple[str, ...]


@runtime_checkable
class Batches(Protocol):
    """A sample set cut into batches."""

    samples: SampleSet

    def plan(self, start: int, stop: int, size: int) -> list[list[int]]:
        """Group the samples `start` to `stop` into batches of at most `size`, with similar ones together."""

    def make(self, numbers: Sequence[int], device: torch.device) -> Batch:
        """Return the batch of these samples on the device."""


class TextBatches:
    """Texts, tokenised once and batched by length to keep padding short."""

    def __init__(self, inputs: Inputs, model: LoadedModel, pooling: Pooling, max_length: int) -> None:
        if inputs.modality != "text":
            raise DataError(f"{model.ref.label} takes text, but {inputs.ref.label} contains images.")
        if pooling == "spatial-mean":
            raise SpecError("'spatial-mean' pooling is for images. For text use cls, mean, last or word.")
        if pooling == "cls" and not model.has_class_token:
            raise SpecError(
                f"{model.ref.label} reads from left to right: its first position sees only itself, so 'cls' "
                "pooling gives the same row for every text. Use 'last' or 'mean'."
            )
        self.samples = inputs.samples
        self._tokenizer = model.preprocessor
        self._by_word = pooling == "word"
        if self._by_word and not self._tokenizer.is_fast:
            raise SpecError("'word' pooling needs a fast tokenizer; this model has none.")
        texts: Sequence[Any] = [text.split() for text in inputs.texts] if self._by_word else list(inputs.texts)
        self._encoded = self._tokenizer(
            texts,
            truncation=True,
            max_length=min(max_length, _limit(model)),
            is_split_into_words=self._by_word,
            return_token_type_ids=False,
            return_attention_mask=False,
        )

    def plan(self, start: int, stop: int, size: int) -> list[list[int]]:
        """Return batches in order of length, the longest first, so that memory runs out at once or not at all."""
        lengths = self._encoded["input_ids"]
        order = sorted(range(start, stop), key=lambda number: -len(lengths[number]))
        return [order[first : first + size] for first in range(0, len(order), size)]

    def make(self, numbers: Sequence[int], device: torch.device) -> Batch:
        """Return padded token ids with their attention mask."""
        tokens = [self._encoded["input_ids"][number] for number in numbers]
        width = max(len(item) for item in tokens)
        ids = torch.full((len(tokens), width), self._tokenizer.pad_token_id, dtype=torch.long)
        mask = torch.zeros((len(tokens), width), dtype=torch.bool)
        for row, item in enumerate(tokens):
            ids[row, : len(item)] = torch.tensor(item)
            mask[row, : len(item)] = True
        arguments = {"input_ids": ids.to(device), "attention_mask": mask.long().to(device)}
        names = [self.samples.ids[number] for number in numbers]
        if not self._by_word:
            return Batch(arguments, Positions(mask=mask.to(device)), (1,) * len(numbers), tuple(names))
        words = torch.full((len(tokens), width), -1, dtype=torch.long)
        rows: list[int] = []
        row_ids: list[str] = []
        for row, number in enumerate(numbers):
            word_of = [-1 if word is None else word for word in self._encoded.word_ids(number)]
            present = sorted(set(word_of) - {-1})
            running = {word: len(row_ids) + place for place, word in enumerate(present)}
            words[row, : len(word_of)] = torch.tensor([running.get(word, -1) for word in word_of])
            rows.append(len(present))
            row_ids += [f"{names[row]}/{word}" for word in present]
        positions = Positions(mask=mask.to(device), words=words.to(device), word_count=len(row_ids))
        return Batch(arguments, positions, tuple(rows), tuple(row_ids))


def _limit(model: LoadedModel) -> int:
    """Return how many tokens the model accepts, from its tokenizer or, if that sets no limit, its position table."""
    limit = int(getattr(model.preprocessor, "model_max_length", 0) or 0)
    if 0 < limit < 1_000_000:
        return limit
    return int(getattr(model.module.config, "max_position_embeddings", 0) or 0) or 1_000_000


class ImageBatches:
    """Images, preprocessed batch by batch."""

    def __init__(self, inputs: Inputs, model: LoadedModel, pooling: Pooling) -> None:
        if inputs.modality != "image":
            raise DataError(f"{model.ref.label} takes images, but {inputs.ref.label} contains texts.")
        if pooling in ("word", "last"):
            raise SpecError(f"{pooling!r} pooling is for text. For images use cls, mean or spatial-mean.")
        if pooling == "cls" and not model.has_class_token:
            raise SpecError(f"{model.ref.label} has no class token. Use 'spatial-mean'.")
        self.samples = inputs.samples
        self._images = inputs.images
        self._model = model

    def plan(self, start: int, stop: int, size: int) -> list[list[int]]:
        """Return batches of consecutive images."""
        return [list(range(first, min(first + size, stop))) for first in range(start, stop, size)]

    def make(self, numbers: Sequence[int], device: torch.device) -> Batch:
        """Return pixel values in the model's number format."""
        processed = self._model.preprocessor(
            images=[self._images[number] for number in numbers], input_data_format="channels_last", return_tensors="pt"
        )
        pixels = processed["pixel_values"].to(device, getattr(torch, self._model.dtype))
        ids = tuple(self.samples.ids[number] for number in numbers)
        return Batch({"pixel_values": pixels}, Positions(leading=self._model.leading), (1,) * len(ids), ids)


class TensorBatches:
    """Inputs of a user's own module: rows of a tensor, or any items with a `preprocess` function."""

    def __init__(
        self, samples: SampleSet, items: Sequence[Any] | Tensor, preprocess: Callable[[Sequence[Any]], Any] | None
    ) -> None:
        self.samples = samples
        self._items = items
        self._preprocess = preprocess

    def plan(self, start: int, stop: int, size: int) -> list[list[int]]:
        """Return batches of consecutive samples."""
        return [list(range(first, min(first + size, stop))) for first in range(start, stop, size)]

    def make(self, numbers: Sequence[int], device: torch.device) -> Batch:
        """Return rows of the tensor, or the output of `preprocess` on the items."""
        if self._preprocess is not None:
            made = self._preprocess([self._items[number] for number in numbers])
        elif isinstance(self._items, Tensor):
            made = self._items[list(numbers)]
        else:
            raise DataError("These samples are not a tensor. Give preprocess=, a function that makes one from a list.")
        arguments = made if isinstance(made, dict) else {"": made}
        ids = tuple(self.samples.ids[number] for number in numbers)
        moved = {name: value.to(device) for name, value in arguments.items()}
        mask = moved.get("attention_mask")
        positions = Positions(mask=mask.bool() if mask is not None else None)
        return Batch(moved, positions, (1,) * len(ids), ids)
