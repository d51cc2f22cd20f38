"""Content-addressed artifacts on disk: `<root>/<kind>/<key>/` with a manifest, written whole or not at all.

An artifact that is made in one go is written to a temporary folder that is then renamed. Activations are made shard
by shard (see `shards`); their manifest is written last, so a folder without one is unfinished work, not a result.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from contrasim_core.errors import DamagedArtifactError, ForeignFormatError, MissingArtifactError, StoreError
from contrasim_core.results import versions
from contrasim_core.specs import Spec

STORE_FORMAT = 1
MANIFEST = "manifest.json"
EXAMPLE = Path(__file__).resolve().parent.parent / "cache" / "example"
KINDS = ("activations", "encoders", "comparison", "benchmark")


def default_root() -> Path:
    """`$CONTRASIM_CACHE`, or `cache` beside the package."""
    return Path(os.environ.get("CONTRASIM_CACHE") or Path(__file__).resolve().parent.parent / "cache").expanduser()


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One artifact, finished or not.

    Attributes:
        kind: activations, encoders, comparison or benchmark.
        key: of its spec.
        title: one line about it.
        size: bytes on disk.
        created: seconds since 1970.
        used: when it was last read.
        complete: whether it is finished.
        bundled: whether it is part of the example that comes with the code.
    """

    kind: str
    key: str
    title: str
    size: int
    created: float
    used: float
    complete: bool
    bundled: bool


class Store:
    """Artifacts under one root; the bundled example is read where the root has nothing."""

    def __init__(self, root: str | Path | None = None, *, example: Path | None = EXAMPLE) -> None:
        self.root = Path(root).expanduser().resolve() if root is not None else default_root().resolve()
        self._example = example

    def folder(self, kind: str, key: str) -> Path:
        """Where an artifact of this kind and key is, or would be."""
        return self.root / kind / key

    def find(self, kind: str, key: str) -> Path | None:
        """The folder of a finished artifact, here or in the example; None if there is none.

        Raises:
            ForeignFormatError: if it was written in another format.
        """
        for root in (self.root, self._example):
            folder = root / kind / key if root is not None else None
            if folder is not None and (folder / MANIFEST).is_file():
                self._check_format(folder)
                self._touch(folder)
                return folder
        return None

    def need(self, kind: str, key: str) -> Path:
        """As `find`.

        Raises:
            MissingArtifactError: if there is none.
        """
        folder = self.find(kind, key)
        if folder is None:
            raise MissingArtifactError(f"There is no {kind} {key} in {self.root}. Run it again, or check the link.")
        return folder

    def write(self, spec: Spec, title: str, fill: Callable[[Path], None]) -> Path:
        """Write an artifact in one go: `fill` puts files into a temporary folder, which then takes its place."""
        target = self.folder(spec.kind, spec.key)
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.parent / f".{spec.key}-{uuid.uuid4().hex[:8]}"
        draft.mkdir()
        try:
            fill(draft)
            self.write_manifest(draft, spec, title)
            if target.exists():
                shutil.rmtree(target)
            draft.rename(target)
        except OSError as error:
            raise StoreError(f"{spec.kind} {spec.key} cannot be written to {self.root}: {error}.") from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return target

    def write_manifest(self, folder: Path, spec: Spec, title: str, **facts: object) -> None:
        """Declare a folder finished."""
        manifest = {
            "format": STORE_FORMAT,
            "kind": spec.kind,
            "key": spec.key,
            "title": title,
            "created": time.time(),
            "versions": versions(),
            "spec": json.loads(spec.to_json()),
            **facts,
        }
        write_atomic(folder / MANIFEST, json.dumps(manifest, indent=1))

    def manifest(self, kind: str, key: str) -> dict[str, object]:
        """The manifest of a finished artifact.

        Raises:
            MissingArtifactError: if there is none.
        """
        manifest: dict[str, object] = json.loads((self.need(kind, key) / MANIFEST).read_text(encoding="utf-8"))
        return manifest

    @contextmanager
    def lock(self, kind: str, key: str) -> Iterator[None]:
        """Held while an artifact is being made, so that two processes never make the same one.

        The operating system frees it when its holder dies, however it dies.
        """
        locks = self.root / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        with FileLock(locks / f"{kind}-{key}.lock"):
            yield

    def entries(self) -> list[Entry]:
        """All artifacts, the most recently used first."""
        found = [
            self._entry(folder, bundled=root == self._example)
            for root in (self.root, self._example)
            if root is not None
            for kind in KINDS
            for folder in sorted((root / kind).glob("*"))
            if folder.is_dir() and not folder.name.startswith(".")
        ]
        return sorted(found, key=lambda entry: -entry.used)

    def remove(self, kind: str, key: str) -> None:
        """Delete an artifact; the bundled example cannot be deleted.

        Raises:
            MissingArtifactError: if there is none.
        """
        folder = self.folder(kind, key)
        if not folder.is_dir():
            raise MissingArtifactError(f"There is no {kind} {key} in {self.root}.")
        with self.lock(kind, key):
            shutil.rmtree(folder)

    def prune(self, max_bytes: int) -> list[Entry]:
        """Delete the least recently used artifacts until the rest fits into `max_bytes`; returns what was deleted."""
        own = [entry for entry in self.entries() if not entry.bundled]
        total = sum(entry.size for entry in own)
        deleted = []
        for entry in reversed(own):
            if total <= max_bytes:
                break
            self.remove(entry.kind, entry.key)
            total -= entry.size
            deleted.append(entry)
        return deleted

    def _entry(self, folder: Path, *, bundled: bool) -> Entry:
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        path = folder / MANIFEST
        manifest = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        used = (folder / "used") if (folder / "used").exists() else folder
        return Entry(
            kind=folder.parent.name,
            key=folder.name,
            title=str(manifest.get("title", "(unfinished)")),
            size=size,
            created=float(manifest.get("created", folder.stat().st_mtime)),
            used=used.stat().st_mtime,
            complete=bool(manifest),
            bundled=bundled,
        )

    def _check_format(self, folder: Path) -> None:
        try:
            found = json.loads((folder / MANIFEST).read_text(encoding="utf-8")).get("format")
        except json.JSONDecodeError as error:
            raise DamagedArtifactError(f"The manifest of {folder.parent.name} {folder.name} is damaged.") from error
        if found != STORE_FORMAT:
            raise ForeignFormatError(
                f"{folder.parent.name} {folder.name} was written in store format {found}; this version reads "
                f"{STORE_FORMAT}. Delete {folder} and run it again."
            )

    def _touch(self, folder: Path) -> None:
        """Remember that it was used, for pruning; a read-only store does without."""
        if self.root in folder.parents:
            try:
                (folder / "used").touch()
            except OSError:
                return


def write_atomic(path: Path, text: str) -> None:
    """Write a text file so that readers see the old content or the new, never a part."""
    draft = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
