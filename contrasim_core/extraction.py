"""Models + data -> activations, batch by batch, into the store. One forward pass gives all layers."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from contrasim_core.activations import Activations
from contrasim_core.batches import Batch, Batches, ImageBatches, TensorBatches, TextBatches
from contrasim_core.data import Inputs, load_data, resolve_data
from contrasim_core.errors import LayerError, OutOfMemoryError, SpecError
from contrasim_core.hooks import Recorded, expand_names, record_outputs
from contrasim_core.models import PROJECTION, LoadedModel, load_model, module_ref, pick_device, resolve_model
from contrasim_core.pooling import pooler
from contrasim_core.progress import Progress, eta_seconds, silent
from contrasim_core.refs import DatasetRef, ModelRef, SampleSet, digest, layer_refs
from contrasim_core.results import versions
from contrasim_core.shards import ShardedLayers, ShardInfo, samples_per_shard, valid_info, write_shard
from contrasim_core.specs import Dtype, ExtractionSpec, Pooling
from contrasim_core.store import MANIFEST, Store, writing

SHARD_BYTES = 64 * 2**20
SHARD_SAMPLES = 1024
BATCH = {"cpu": 32, "mps": 64, "cuda": 256}


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


def extract(
    model: str | Path | ModelRef | nn.Module,
    data: str | Path | DatasetRef | Inputs | Sequence[Any] | Tensor,
    *,
    layers: Literal["all"] | Sequence[int | str] = "all",
    pooling: Pooling | Literal["auto"] = "auto",
    split: str = "test",
    limit: int | None = None,
    column: str | None = None,
    dtype: Dtype = "float32",
    max_length: int = 128,
    device: str = "auto",
    batch_size: int | None = None,
    preprocess: Callable[[Sequence[Any]], Any] | None = None,
    name: str | None = None,
    ids: Sequence[str] | None = None,
    store: Store | None = None,
    progress: Progress = silent,
) -> list[Activations]:
    """Run a model over data and keep one row per sample of every requested layer.

    Args:
        model: a bundled name, a folder, a hub id (`name#vision` for a tower), or any `nn.Module`.
        data: a bundled name, a file or folder, a hub data set, a list of texts or images, or a tensor [n, ...].
        layers: `"all"` or layer indices for Hugging Face models; module names or globs for an `nn.Module`.
        pooling: how positions become one row; `auto` takes the family's default.
        split: part of a bundled or hub data set.
        limit: only the first samples.
        column: column of a table with texts or images.
        dtype: number format of the forward pass; rows are float32 whatever it is.
        max_length: tokens after which a text is cut.
        device: where to run.
        batch_size: samples per forward pass.
        preprocess: for an `nn.Module`: from a list of samples to its input (a tensor or a dictionary of tensors).
        name: what to call an `nn.Module`.
        ids: sample ids, where `data` is a tensor.
        store: where to keep the activations; None keeps them in memory.
        progress: told after each batch.

    Returns:
        One `Activations` per layer, in order of execution.

    Raises:
        ContraSimError: if the model, the data, a layer or the pooling cannot be used; the message says what to do.
    """
    execution = Execution(device=device, batch_size=batch_size)
    if isinstance(model, nn.Module):
        chosen = ["*"] if layers == "all" else [str(item) for item in layers]
        if not isinstance(data, Tensor | Inputs):
            named = isinstance(data, str | Path | DatasetRef)
            data = load_data(data, limit=limit, **({"split": split, "column": column} if named else {}))
        return _extract_module(model, data, chosen, pooling, preprocess, name, ids, limit, execution, progress)
    if isinstance(data, Tensor):
        raise SpecError("A tensor as data needs an nn.Module as model. Give texts, images or a data set's name.")
    ref = resolve_model(model)
    inputs: Inputs | None = None
    if isinstance(data, Inputs):
        inputs = data
    elif not isinstance(data, str | Path | DatasetRef):
        inputs = load_data(data, limit=limit)
    pinned = inputs.ref if inputs is not None else resolve_data(data, split=split, limit=limit, column=column)  # type: ignore[arg-type]
    loaded = None
    if pooling == "auto":
        loaded = load_model(ref, device=device, dtype=dtype)
        pooling = loaded.default_pooling
    spec = ExtractionSpec(
        model=ref,
        data=pinned,
        layers="all" if layers == "all" else tuple(layers),
        pooling=pooling,
        dtype=dtype,
        max_length=max_length,
    )
    return run_extraction(spec, store=store, execution=execution, progress=progress, loaded=loaded, inputs=inputs)


def run_extraction(
    spec: ExtractionSpec,
    *,
    store: Store | None = None,
    execution: Execution = Execution(),
    progress: Progress = silent,
    loaded: LoadedModel | None = None,
    inputs: Inputs | None = None,
) -> list[Activations]:
    """Do what the spec says, or read it from the store; unfinished work is taken up at the first missing shard.

    Args:
        spec: what to extract.
        store: where to keep it; None keeps it in memory.
        execution: how to run.
        progress: told after each batch.
        loaded: the model, if it is loaded already.
        inputs: the samples, if they are loaded already.
    """
    if spec.model.kind == "hub" and not spec.model.fingerprint:
        loaded = loaded or load_model(spec.model, device=execution.device, dtype=spec.dtype)
        commit = str(getattr(loaded.module.config, "_commit_hash", None) or "")
        spec = spec.replace(model=replace(spec.model, fingerprint=commit))
    if store is None:
        work = _Work(spec, loaded, inputs, execution)
        return work.in_memory(progress)
    found = _finished(spec, store)
    if found is None:
        with store.lock(spec.kind, spec.key):
            found = _finished(spec, store) or _Work(spec, loaded, inputs, execution).into(store, progress)
    return found


def _finished(spec: ExtractionSpec, store: Store) -> list[Activations] | None:
    """Stored activations: under this spec's own key or, for a choice of layers, under that of all layers."""
    wider = spec.replace(layers="all")
    for candidate in dict.fromkeys((spec, wider)):
        folder = store.find(candidate.kind, candidate.key)
        if folder is not None:
            stored = open_finished(folder)
            if stored is not None:
                keep = None if spec.layers == "all" or candidate is spec else _indices(spec.layers, spec.model.label)
                activations = stored.activations(spec.model.label, recipe_of(spec), keep)
                if keep is None or len(activations) == len(keep):
                    return activations
    return None


def open_finished(folder: Path) -> ShardedLayers | None:
    """The shards of a folder with a manifest; None if one of them is missing or damaged, so that it must be redone."""
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    infos = [valid_info(folder, index) for index in range(int(manifest["shards"]))]
    if any(info is None for info in infos):
        return None
    return ShardedLayers(folder, [info for info in infos if info is not None], str(manifest["fingerprint"]))


def recipe_of(spec: ExtractionSpec) -> dict[str, str]:
    """What a caption says about these activations."""
    recipe = {"data": spec.data.label, "pooling": spec.pooling}
    return recipe if spec.dtype == "float32" else {**recipe, "dtype": spec.dtype}


class _Work:
    """One extraction: the model and the data are loaded when the first shard is to be computed."""

    def __init__(
        self, spec: ExtractionSpec, loaded: LoadedModel | None, inputs: Inputs | None, execution: Execution
    ) -> None:
        self.spec, self.execution = spec, execution
        self._inputs = inputs
        self._loaded = loaded
        self._runner: Runner | None = None

    @property
    def inputs(self) -> Inputs:
        """The samples, loaded at first use."""
        if self._inputs is None:
            self._inputs = load_data(self.spec.data)
        return self._inputs

    @property
    def runner(self) -> Runner:
        """The model, loaded at first use."""
        if self._runner is None:
            spec = self.spec
            loaded = self._loaded or load_model(spec.model, device=self.execution.device, dtype=spec.dtype)
            batches: Batches = (
                TextBatches(self.inputs, loaded, spec.pooling, spec.max_length)
                if loaded.modality == "text"
                else ImageBatches(self.inputs, loaded, spec.pooling)
            )
            # the projection of a tower has a row for a text, and none for its words
            blocks = [name for name in loaded.blocks if spec.pooling != "word" or name != PROJECTION]
            self._runner = Runner(
                loaded.module,
                blocks,
                batches,
                spec.pooling,
                layers=None if spec.layers == "all" else spec.layers,
                batch_size=self.execution.batch_size,
                embeddings=True,
                label=spec.model.label,
            )
        return self._runner

    def in_memory(self, progress: Progress) -> list[Activations]:
        """All rows at once, in memory."""
        rows = self.runner.run(0, len(self.inputs), _reporter(progress, self.spec, len(self.inputs)))
        return rows.activations(self.spec.model.label, self._fingerprint(rows.ids), recipe_of(self.spec))

    def into(self, store: Store, progress: Progress) -> list[Activations]:
        """Shard by shard, into the store; shards that are there and sound are left alone."""
        folder = store.folder(self.spec.kind, self.spec.key)
        with writing(f"Activations {self.spec.key}", store.root):
            folder.mkdir(parents=True, exist_ok=True)
        total = len(self.inputs)
        size = samples_per_shard(folder, lambda: self.execution.shard_samples or self._shard_samples())
        report = _reporter(progress, self.spec, total)
        infos: list[ShardInfo] = []
        computed = 0
        for index, start in enumerate(range(0, total, size)):
            stop = min(start + size, total)
            info = valid_info(folder, index)
            if info is None or (info.start, info.stop) != (start, stop):
                rows = self.runner.run(start, stop, report)
                info = write_shard(folder, index, (start, stop), rows.ids, rows.layers)
                computed += 1
            infos.append(info)
            report(stop)
        ids = tuple(name for info in infos for name in info.ids)
        fingerprint = self._fingerprint(ids)
        store.write_manifest(
            folder,
            self.spec,
            f"{self.spec.model.label} on {self.spec.data.label}, {self.spec.pooling}",
            shards=len(infos),
            rows=len(ids),
            layers=list(infos[0].layers),
            fingerprint=fingerprint,
            device=str(self.runner.device) if self._runner else "",
            computed_shards=computed,
            process=os.getpid(),
            versions=versions(),
        )
        return ShardedLayers(folder, infos, fingerprint).activations(self.spec.model.label, recipe_of(self.spec))

    def _shard_samples(self) -> int:
        """About 64 MB per shard, judged from the first sample."""
        rows = self.runner.run(0, 1, lambda *_args, **_more: None)
        per_sample = sum(4 * tensor.numel() for tensor in rows.layers.values())
        return max(16, min(SHARD_SAMPLES, SHARD_BYTES // max(per_sample, 1)))

    def _fingerprint(self, ids: Sequence[str]) -> str:
        """That of the samples; for words also their ids, as a tokenizer may have cut a text short."""
        samples = self.inputs.samples.fingerprint
        return samples if self.spec.pooling != "word" else digest([samples, "word", *ids])


@dataclass(frozen=True, eq=False)
class Rows:
    """What a range of samples gave: row ids, and a matrix [rows, d] per layer in order of execution."""

    ids: tuple[str, ...]
    layers: dict[str, Tensor]

    def activations(self, model: str, fingerprint: str, recipe: dict[str, str]) -> list[Activations]:
        """The same as activations in memory."""
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
        self.layers = _indices(layers, label) if layers is not None else None

    def run(self, start: int, stop: int, report: Callable[..., None]) -> Rows:
        """Rows of the samples `start` to `stop`, in order."""
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
        """One forward pass; None if memory ran out, after halving the batch size.

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
        if self.embeddings:  # blocks of a Hugging Face model: named by position, whatever their modules are called
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
        wrong = [index for index in self.layers if not -count <= index < count]
        if wrong:
            raise LayerError(
                f"{self.label} has no layer {wrong[0]}. Its layers are 0 (embeddings) to {count - 1} (last block)."
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
    """What the layer of this index is called."""
    return "embeddings" if index == 0 else f"projection {index}" if module == PROJECTION else f"block {index}"


def _indices(layers: Sequence[int | str], label: str) -> list[int]:
    """Layer indices as numbers; a Hugging Face model's layers have no other names here."""
    wrong = [item for item in layers if not re.fullmatch(r"-?\d+", str(item))]
    if wrong:
        raise LayerError(
            f"{label}: layers of a Hugging Face model are indices, 0 (embeddings) to the number of blocks, not "
            f"{wrong[0]!r}. To record a module by name, load the model yourself and pass it as nn.Module."
        )
    return [int(item) for item in layers]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory ran out, on a GPU or on the CPU."""
    text = str(error).lower()
    return (
        isinstance(error, torch.OutOfMemoryError | MemoryError)
        or "out of memory" in text
        or "not enough memory" in text
    )


def _reporter(progress: Progress, spec: ExtractionSpec, total: int) -> Callable[..., None]:
    """Progress in samples, with the time that is left."""
    started = time.monotonic()
    first: list[float] = []

    def report(done: float, **_more: object) -> None:
        if not first:
            first.append(done)
        left = eta_seconds(started, done - first[0], total - first[0]) if done > first[0] else None
        rest = f", {left:.0f} s left" if left else ""
        progress(done, total, f"{spec.model.label}: {done:g} of {total} samples{rest}")

    return report


def _extract_module(
    module: nn.Module,
    data: Inputs | Tensor,
    layers: Sequence[str],
    pooling: Pooling | Literal["auto"],
    preprocess: Callable[[Sequence[Any]], Any] | None,
    name: str | None,
    ids: Sequence[str] | None,
    limit: int | None,
    execution: Execution,
    progress: Progress,
) -> list[Activations]:
    """Any `nn.Module`, in memory; layers are module names in order of execution."""
    training = {item: item.training for item in module.modules()}
    ref = module_ref(module, name)
    samples, items = _module_samples(data, ids, limit)
    batches = TensorBatches(samples, items, preprocess)
    names = expand_names(module, layers)
    how: Pooling = "mean" if pooling == "auto" else pooling
    module.eval().to(pick_device(execution.device))
    try:
        runner = Runner(
            module, names, batches, how, layers=None, batch_size=execution.batch_size, embeddings=False, label=ref.label
        )
        total = len(samples)
        rows = runner.run(0, total, lambda done, **_more: progress(done, total, f"{ref.label}: {done:g} of {total}"))
    finally:
        for item, mode in training.items():
            item.training = mode
    data_label = data.ref.label if isinstance(data, Inputs) else "given samples"
    return rows.activations(ref.label, samples.fingerprint, {"data": data_label, "pooling": how})


def _module_samples(data: Inputs | Tensor, ids: Sequence[str] | None, limit: int | None) -> tuple[SampleSet, Any]:
    """The sample set and the items behind it."""
    if isinstance(data, Tensor):
        tensor = data[:limit]
        names = tuple(ids[: len(tensor)]) if ids is not None else tuple(str(number) for number in range(len(tensor)))
        if len(names) != len(tensor):
            raise SpecError(f"ids has {len(names)} entries, but there are {len(tensor)} samples.")
        content = tensor.detach().cpu().contiguous().numpy().tobytes()
        return SampleSet(names, digest([*names, str(tuple(tensor.shape)), content])), tensor
    return data.samples, data.texts if data.modality == "text" else data.images
