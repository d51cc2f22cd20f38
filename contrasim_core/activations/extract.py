"""Models + data -> activations. One forward pass yields all layers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from contrasim_core.activations.batches import Batches, ImageBatches, TensorBatches, TextBatches
from contrasim_core.activations.hooks import expand_names
from contrasim_core.activations.layer import Activations
from contrasim_core.activations.runner import Runner
from contrasim_core.activations.shards import ShardInfo, samples_per_shard, valid_info, write_shard
from contrasim_core.activations.spec import Execution, ExtractionSpec
from contrasim_core.data import Inputs, load_data
from contrasim_core.errors import SpecError
from contrasim_core.models.device import pick_device
from contrasim_core.models.load import LoadedModel, load_model, module_ref
from contrasim_core.models.towers import PROJECTION
from contrasim_core.progress import Progress, eta_seconds
from contrasim_core.refs import Pooling, SampleSet, digest
from contrasim_core.result import versions

SHARD_BYTES = 64 * 2**20
SHARD_SAMPLES = 1024
Lock = Callable[[str], AbstractContextManager[None]]


def recipe_of(spec: ExtractionSpec) -> dict[str, str]:
    """Return what a caption says about these activations."""
    recipe = {"data": spec.data.label, "pooling": spec.pooling}
    return recipe if spec.dtype == "float32" else {**recipe, "dtype": spec.dtype}


class Extraction:
    """One extraction: the model and the data are loaded when the first rows are computed.

    Args:
        spec: what to extract.
        execution: device, batch size and size of shards.
        loaded: the model, if it is already loaded.
        inputs: the samples, if they are already loaded.
    """

    def __init__(
        self,
        spec: ExtractionSpec,
        execution: Execution,
        *,
        loaded: LoadedModel | None = None,
        inputs: Inputs | None = None,
    ) -> None:
        self.spec, self.execution = spec, execution
        self._inputs = inputs
        self._loaded = loaded
        self._runner: Runner | None = None

    @property
    def inputs(self) -> Inputs:
        """The samples, loaded on first use."""
        if self._inputs is None:
            self._inputs = load_data(self.spec.data)
        return self._inputs

    @property
    def runner(self) -> Runner:
        """The model, loaded on first use."""
        if self._runner is None:
            spec = self.spec
            loaded = self._loaded or load_model(spec.model, device=self.execution.device, dtype=spec.dtype)
            batches: Batches = (
                TextBatches(self.inputs, loaded, spec.pooling, spec.max_length)
                if loaded.modality == "text"
                else ImageBatches(self.inputs, loaded, spec.pooling)
            )
            # the projection of a tower has one row per text and none for its words
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
        """Extract all rows at once, in memory."""
        rows = self.runner.run(0, len(self.inputs), _reporter(progress, self.spec, len(self.inputs)))
        return rows.activations(self.spec.model.label, self._fingerprint(rows.ids), recipe_of(self.spec))

    def into(self, folder: Path, progress: Progress, lock: Lock, part: int = 0, parts: int = 1) -> dict[str, Any]:
        """Extract shard by shard into a folder; valid shards are left alone.

        Args:
            folder: where shards are stored.
            progress: called after each batch.
            lock: held while a shard is computed, so that two processes never compute the same one.
            part: number of the part to compute, from 0; a part is every `parts`-th shard.
            parts: how many parts the work is split into.

        Returns:
            Facts for the manifest; useful only if this was the only part, or all parts are finished.
        """
        total = len(self.inputs)
        report = _reporter(progress, self.spec, total)
        infos: list[ShardInfo] = []
        computed = 0
        for index, (start, stop) in enumerate(self._bounds(folder, lock)):
            if index % parts != part:
                continue
            info = self._there(folder, index, start, stop)
            if info is None:
                with lock(f"{index:05d}"):
                    info = self._there(folder, index, start, stop)
                    if info is None:
                        rows = self.runner.run(start, stop, report)
                        info = write_shard(folder, index, (start, stop), rows.ids, rows.layers)
                        computed += 1
            infos.append(info)
            report(stop)
        return self._facts(infos, computed)

    def _bounds(self, folder: Path, lock: Lock) -> Iterator[tuple[int, int]]:
        """Yield the first sample of each shard and the one after its last."""
        total = len(self.inputs)
        with lock("layout"):
            size = samples_per_shard(folder, lambda: self.execution.shard_samples or self._shard_samples())
        return ((start, min(start + size, total)) for start in range(0, total, size))

    def _there(self, folder: Path, index: int, start: int, stop: int) -> ShardInfo | None:
        info = valid_info(folder, index)
        return info if info is not None and (info.start, info.stop) == (start, stop) else None

    def _facts(self, infos: Sequence[ShardInfo], computed: int) -> dict[str, Any]:
        ids = tuple(name for info in infos for name in info.ids)
        return {
            "shards": len(infos),
            "rows": len(ids),
            "layers": list(infos[0].layers) if infos else [],
            "fingerprint": self._fingerprint(ids),
            "device": str(self.runner.device) if self._runner else "",
            "computed_shards": computed,
            "process": os.getpid(),
            "versions": versions(),
        }

    def _shard_samples(self) -> int:
        """Return the number of samples in about 64 MB, estimated from the first sample."""
        rows = self.runner.run(0, 1, lambda *_args, **_more: None)
        per_sample = sum(4 * tensor.numel() for tensor in rows.layers.values())
        return max(16, min(SHARD_SAMPLES, SHARD_BYTES // max(per_sample, 1)))

    def _fingerprint(self, ids: Sequence[str]) -> str:
        """Return the fingerprint of the samples; for words it covers the ids too, as a tokenizer may truncate texts."""
        samples = self.inputs.samples.fingerprint
        return samples if self.spec.pooling != "word" else digest([samples, "word", *ids])


def _reporter(progress: Progress, spec: ExtractionSpec, total: int) -> Callable[..., None]:
    """Return a function that reports progress in samples, with the time left."""
    started = time.monotonic()
    first: list[float] = []

    def report(done: float, **_more: object) -> None:
        if not first:
            first.append(done)
        left = eta_seconds(started, done - first[0], total - first[0]) if done > first[0] else None
        rest = f", {left:.0f} s left" if left else ""
        progress(done, total, f"{spec.model.label}: {done:g} of {total} samples{rest}")

    return report


def extract_module(
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
    """Extract from any `nn.Module`, in memory; layers are module names in order of execution."""
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
    """Return the sample set and the items behind it."""
    if isinstance(data, Tensor):
        tensor = data[:limit]
        names = tuple(ids[: len(tensor)]) if ids is not None else tuple(str(number) for number in range(len(tensor)))
        if len(names) != len(tensor):
            raise SpecError(f"ids has {len(names)} entries, but there are {len(tensor)} samples.")
        content = tensor.detach().cpu().contiguous().numpy().tobytes()
        return SampleSet(names, digest([*names, str(tuple(tensor.shape)), content])), tensor
    return data.samples, data.texts if data.modality == "text" else data.images
