"""Run batches through a model, with hooks that pool on the device, and return rows in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from contrasim_core.activations.batches import Batch, Batches
from contrasim_core.activations.hooks import Recorded, record_outputs
from contrasim_core.activations.layer import Activations
from contrasim_core.activations.pooling import pooler
from contrasim_core.activations.spec import check_layers, layer_indices
from contrasim_core.errors import LayerError, OutOfMemoryError
from contrasim_core.models.towers import PROJECTION
from contrasim_core.refs import Pooling, SampleSet, layer_refs

BATCH = {"cpu": 32, "mps": 64, "cuda": 256}


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a range of samples: their ids, and a matrix [rows, d] per layer in order of execution."""

    ids: tuple[str, ...]
    layers: dict[str, Tensor]

    def activations(self, model: str, fingerprint: str, recipe: dict[str, str]) -> list[Activations]:
        """Return the rows as activations in memory."""
        samples = SampleSet(self.ids, fingerprint)
        return [
            Activations.of(tensor, layer=layer, samples=samples, recipe=recipe)
            for layer, tensor in zip(layer_refs(model, tuple(self.layers)), self.layers.values(), strict=True)
        ]


class Runner:
    """Runs batches through a model with hooks that pool on the device, and puts the rows back in order."""

    def __init__(
        self,
        module: nn.Module,
        names: Sequence[str],
        batches: Batches,
        pooling: Pooling,
        *,
        layers: Sequence[int | str] | None,
        batch_size: int | None,
        embeddings: bool,
        label: str,
    ) -> None:
        self.module, self.names, self.batches, self.pooling = module, names, batches, pooling
        self.label, self.embeddings = label, embeddings
        self.device = next((item.device for item in module.parameters()), torch.device("cpu"))
        self.batch_size = batch_size or BATCH.get(self.device.type, 32)
        self.layers = layer_indices(layers, label) if layers is not None else None

    def run(self, start: int, stop: int, report: Callable[..., None]) -> Rows:
        """Return the rows of the samples `start` to `stop`, in order."""
        parts: list[dict[str, Tensor]] = []
        done: list[tuple[int, Batch]] = []
        order: list[int] = []
        queue = self.batches.plan(start, stop, self.batch_size)
        finished = 0
        while queue:
            numbers = queue.pop(0)
            if len(numbers) > self.batch_size:
                queue[:0] = [numbers[: self.batch_size], numbers[self.batch_size :]]
                continue
            batch = self._attempt(numbers)
            if batch is None:
                queue.insert(0, numbers)
                continue
            outputs, made = batch
            parts.append(outputs)
            done.append((len(order), made))
            order += numbers
            finished += len(numbers)
            report(start + finished)
        return self._in_order(parts, [made for _, made in done], order)

    def _attempt(self, numbers: Sequence[int]) -> tuple[dict[str, Tensor], Batch] | None:
        """Run one forward pass; if memory runs out, halve the batch size and return None.

        Raises:
            OutOfMemoryError: if a single sample does not fit.
        """
        try:
            batch = self.batches.make(numbers, self.device)
            return self._forward(batch), batch
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if len(numbers) == 1:
                raise OutOfMemoryError(
                    f"{self.label}: a single sample does not fit in the memory of {self.device}. Use fewer layers, a "
                    "smaller max_length, dtype float16, or another device."
                ) from error
            self.batch_size = len(numbers) // 2
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def _forward(self, batch: Batch) -> dict[str, Tensor]:
        pool = pooler(self.pooling, batch.positions)
        with (
            torch.inference_mode(),
            record_outputs(self.module, self.names, take=pool, first_input=self.embeddings) as recorded,
        ):
            positional = [value for name, value in batch.arguments.items() if not name]
            self.module(*positional, **{name: value for name, value in batch.arguments.items() if name})
        if self.embeddings:  # blocks of a Hugging Face model are named by position, not after their modules
            named = [Recorded(_position(k, item.name), item.value) for k, item in enumerate(recorded)]
        else:
            named = list(recorded)
        return {item.name: item.value.cpu() for item in self._chosen(named)}

    def _chosen(self, recorded: Sequence[Recorded]) -> list[Recorded]:
        if not recorded:
            raise LayerError(f"{self.label}: none of {', '.join(self.names[:5])} ran in the forward pass.")
        if self.layers is None:
            return list(recorded)
        count = len(recorded)
        check_layers(
            [index % count if -count <= index < 0 else index for index in self.layers], range(count), self.label
        )
        wanted = {index % count for index in self.layers}
        return [item for index, item in enumerate(recorded) if index in wanted]

    def _in_order(self, parts: Sequence[dict[str, Tensor]], made: Sequence[Batch], order: Sequence[int]) -> Rows:
        """Undo the batching by length: rows in the order of the samples."""
        rows = [count for batch in made for count in batch.rows]
        ids = [name for batch in made for name in batch.ids]
        first = [0]
        for count in rows:
            first.append(first[-1] + count)
        places = sorted(range(len(order)), key=lambda place: order[place])
        index = [row for place in places for row in range(first[place], first[place + 1])]
        layers = {name: torch.cat([part[name] for part in parts])[index] for name in parts[0]}
        return Rows(tuple(ids[row] for row in index), layers)


def _position(index: int, module: str) -> str:
    """Return the name of the layer with this index."""
    return "embeddings" if index == 0 else f"projection {index}" if module == PROJECTION else f"block {index}"


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception means that memory ran out, on a GPU or on the CPU."""
    text = str(error).lower()
    return (
        isinstance(error, torch.OutOfMemoryError | MemoryError)
        or "out of memory" in text
        or "not enough memory" in text
    )
