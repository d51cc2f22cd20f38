"""Activations on disk: `shard-00000.safetensors` contains a range of samples for all layers; its checksum is beside it.

Shards are the unit of work, of resuming and of distribution. A shard is written under a temporary name and renamed, and
a shard with a valid checksum is never computed again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from contrasim_core.errors import DamagedArtifactError
from contrasim_core.refs import SampleSet, layer_refs
from contrasim_core.store import read_manifest, write_atomic, writing

if TYPE_CHECKING:
    from torch import Tensor

    from contrasim_core.activations.layer import Activations

LAYOUT = "layout.json"


@dataclass(frozen=True)
class ShardInfo:
    """What is known about a shard without opening it."""

    index: int
    start: int
    stop: int
    rows: int
    sha256: str
    ids: tuple[str, ...]
    layers: tuple[str, ...]


@dataclass(frozen=True)
class Problem:
    """A shard that cannot be used, and why."""

    shard: int
    reason: str


def shard_path(folder: Path, index: int) -> Path:
    """Return the path of a shard."""
    return folder / f"shard-{index:05d}.safetensors"


def info_path(folder: Path, index: int) -> Path:
    """Return the path of the file with a shard's checksum."""
    return folder / f"shard-{index:05d}.json"


def samples_per_shard(folder: Path, suggest: Callable[[], int]) -> int:
    """Return the samples per shard as an earlier, unfinished run chose them, or else as `suggest` does, and save it."""
    path = folder / LAYOUT
    try:
        return int(json.loads(path.read_text(encoding="utf-8"))["samples_per_shard"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # the first run, or a damaged file
        chosen = suggest()
    with writing(f"Activations {folder.name}", folder.parent):
        write_atomic(path, json.dumps({"samples_per_shard": chosen}))
    return chosen


def write_shard(
    folder: Path, index: int, bounds: tuple[int, int], ids: Sequence[str], layers: dict[str, Tensor]
) -> ShardInfo:
    """Write one shard and its checksum.

    Args:
        folder: folder of the activations.
        index: index of the shard.
        bounds: first sample and the one after the last.
        ids: one id per row.
        layers: matrices [rows, d] by layer name, in order of execution.

    Raises:
        StoreError: if the disk is full or the folder is not writable; nothing is left behind then.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    target = shard_path(folder, index)
    draft = target.with_name(f".{target.name}")
    names = {f"layer.{number:03d}": tensor.contiguous() for number, tensor in enumerate(layers.values())}
    with writing(f"Shard {index} of activations {folder.name}", folder.parent):
        try:
            save_file(names, draft)
            checksum = file_checksum(draft)
            draft.replace(target)
        except SafetensorError as error:  # how safetensors reports a full disk
            raise OSError(str(error)) from error
        finally:
            draft.unlink(missing_ok=True)
        info = ShardInfo(index, *bounds, len(ids), checksum, tuple(ids), tuple(layers))
        write_atomic(info_path(folder, index), json.dumps(asdict(info)))
    return info


def read_info(folder: Path, index: int) -> ShardInfo | None:
    """Read what was recorded about a shard; None if it is not finished, or the record itself is damaged."""
    path = info_path(folder, index)
    if not path.is_file() or not shard_path(folder, index).is_file():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return ShardInfo(**{**data, "ids": tuple(data["ids"]), "layers": tuple(data["layers"])})
    except (ValueError, KeyError, TypeError):
        return None


def valid_info(folder: Path, index: int) -> ShardInfo | None:
    """Read what was recorded about a shard; None also if the file no longer matches its checksum."""
    info = read_info(folder, index)
    return info if info is not None and _checksum(folder, index) == info.sha256 else None


def file_checksum(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _checksum(folder: Path, index: int) -> str:
    status = shard_path(folder, index).stat()
    return _checksum_of(shard_path(folder, index), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _checksum_of(path: Path, _size: int, _modified: int) -> str:
    """Return the checksum, computed once per process as long as the file does not change."""
    return file_checksum(path)


def verify(folder: Path) -> list[Problem]:
    """Return every shard that is missing or damaged; empty if all are valid."""
    manifest, state = read_manifest(folder)
    if not manifest:
        return [Problem(-1, f"{state} no readable manifest")]
    problems = []
    for index in range(int(manifest["shards"])):
        if read_info(folder, index) is None:
            problems.append(Problem(index, "missing"))
        elif valid_info(folder, index) is None:
            problems.append(Problem(index, "it does not match its checksum"))
    return problems


class ShardedLayers:
    """Finished activations, read one layer at a time and only the requested rows."""

    def __init__(self, folder: Path, infos: Sequence[ShardInfo], fingerprint: str) -> None:
        self.folder = folder
        self.infos = tuple(infos)
        ids = tuple(name for info in self.infos for name in info.ids)
        self.samples = SampleSet(ids, fingerprint)
        self._starts = [0, *accumulate(info.rows for info in self.infos)]

    def activations(self, model: str, recipe: dict[str, str], keep: Sequence[int] | None = None) -> list[Activations]:
        """Return one `Activations` per layer; values are read from disk on access."""
        from contrasim_core.activations.layer import Activations

        refs = layer_refs(model, self.infos[0].layers)
        return [
            Activations(layer, self.samples, partial(self.read, place), recipe)
            for place, layer in enumerate(refs)
            if keep is None or layer.index in keep
        ]

    def read(self, layer: int, start: int, stop: int) -> Tensor:
        """Read rows `start` to `stop` of one layer.

        Raises:
            DamagedArtifactError: if a shard's file cannot be read.
        """
        import torch

        parts = list(self._parts(layer, start, min(stop, self._starts[-1])))
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _parts(self, layer: int, start: int, stop: int) -> Iterator[Tensor]:
        from safetensors import SafetensorError, safe_open

        for info, first in zip(self.infos, self._starts, strict=False):
            low, high = max(start, first), min(stop, first + info.rows)
            if low >= high:
                continue
            try:
                with safe_open(shard_path(self.folder, info.index), framework="pt") as stored:
                    yield stored.get_slice(f"layer.{layer:03d}")[low - first : high - first]
            except (OSError, SafetensorError) as error:
                raise DamagedArtifactError(
                    f"Shard {info.index} of activations {self.folder.name} cannot be read: {error}. "
                    "Run the extraction again: only that shard is recomputed."
                ) from error
