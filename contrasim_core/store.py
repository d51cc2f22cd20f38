"""Content-addressed artifacts on disk: `<root>/<kind>/<key>/` with a manifest, written whole or not at all.

An artifact that is made in one step is written to a temporary folder, which is then renamed. Activations are made shard
by shard (see `shards`); their manifest is written last, so a folder without one is unfinished work, not a result.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from platformdirs import user_cache_path

from contrasim_core.errors import DamagedArtifactError, ForeignFormatError, MissingArtifactError, StoreError
from contrasim_core.result import versions
from contrasim_core.spec import Spec

STORE_FORMAT = 1
MANIFEST = "manifest.json"
KEY = re.compile(r"[0-9a-f]{16}")
DRAFT_SECONDS = 3600  # a temporary folder older than this was left by a process that died


def checkout_of(package: Path) -> Path | None:
    """Return the checkout that contains a package; None if the package is installed, with the dashboard inside it."""
    folder = package.parent
    is_checkout = all((folder / name).is_file() for name in ("pyproject.toml", "app.py"))
    return folder if is_checkout and not (package / "_dashboard").is_dir() else None


PACKAGE = Path(__file__).resolve().parent
CHECKOUT = checkout_of(PACKAGE)
DASHBOARD = CHECKOUT or PACKAGE / "_dashboard"
"""Where app.py is, with its pages and its configuration."""
EXAMPLE = CHECKOUT / "cache" / "example" if CHECKOUT else DASHBOARD / "example"


def default_root() -> Path:
    """Return `$CONTRASIM_CACHE`, `cache` in a checkout, or the user's cache folder; never inside installed code."""
    chosen = os.environ.get("CONTRASIM_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    return CHECKOUT / "cache" if CHECKOUT else user_cache_path("contrasim", appauthor=False)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One artifact, finished or not.

    Attributes:
        kind: kind of its spec.
        key: key of its spec.
        title: one line about it.
        size: bytes on disk.
        created: seconds since 1970.
        used: when it was last read.
        complete: whether it is finished.
        bundled: whether it belongs to the example that ships with the code.
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
    """Artifacts under one root; the bundled example is the fallback for what the root lacks."""

    def __init__(self, root: str | Path | None = None, *, example: Path | None = EXAMPLE) -> None:
        self.root = Path(root).expanduser().resolve() if root is not None else default_root().resolve()
        self._example = example

    def folder(self, kind: str, key: str) -> Path:
        """Return where an artifact of this kind and key is, or would be.

        Raises:
            MissingArtifactError: if kind or key is not a plain name; nothing outside the store is ever touched.
        """
        return self.root / _plain_name(kind) / _plain_name(key)

    def find(self, kind: str, key: str) -> Path | None:
        """Return the folder of a finished artifact, here or in the example; None if it does not exist.

        Raises:
            ForeignFormatError: if it was written in another format.
        """
        for root in (self.root, self._example):
            folder = root / _plain_name(kind) / _plain_name(key) if root is not None else None
            if folder is not None and (folder / MANIFEST).is_file():
                self._check_format(folder)
                self._touch(folder)
                return folder
        return None

    def need(self, kind: str, key: str) -> Path:
        """Return the same as `find`, but raise an error if the artifact does not exist.

        Raises:
            MissingArtifactError: if it does not exist.
        """
        folder = self.find(kind, key)
        if folder is None:
            raise MissingArtifactError(f"No {kind} {key} in {self.root}. Run it again, or check the link.")
        return folder

    def write(self, spec: Spec, title: str, fill: Callable[[Path], None]) -> Path:
        """Write an artifact in one step: `fill` writes into a temporary folder, which is then moved into place."""
        target = self.folder(spec.kind, spec.key)
        draft = target.parent / f".{spec.key}-{uuid.uuid4().hex[:8]}"
        try:
            with writing(f"{spec.kind} {spec.key}", self.root):
                draft.mkdir(parents=True)
                fill(draft)
                self.write_manifest(draft, spec, title)
                if target.exists():
                    shutil.rmtree(target)
                draft.rename(target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return target

    def write_manifest(self, folder: Path, spec: Spec, title: str, **facts: object) -> None:
        """Mark a folder as finished."""
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
        with writing(f"The manifest of {spec.kind} {spec.key}", self.root):
            write_atomic(folder / MANIFEST, json.dumps(manifest, indent=1))

    def manifest(self, kind: str, key: str) -> dict[str, object]:
        """Return the manifest of a finished artifact.

        Raises:
            MissingArtifactError: if it does not exist.
        """
        manifest: dict[str, object] = json.loads((self.need(kind, key) / MANIFEST).read_text(encoding="utf-8"))
        return manifest

    @contextmanager
    def lock(self, kind: str, key: str) -> Iterator[None]:
        """Hold a lock while an artifact is made, so that two processes never make the same one.

        The operating system releases it when the process that holds it dies, for whatever reason.
        """
        path = self.root / "locks" / f"{_plain_name(kind)}-{_plain_name(key)}.lock"
        lock = FileLock(path)
        with writing(f"The lock of {kind} {key}", self.root):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def entries(self, kinds: Sequence[str] | None = None) -> list[Entry]:
        """Return all artifacts, or those of these kinds, most recently used first."""
        found = [
            self._entry(folder, bundled=root == self._example)
            for root in (self.root, self._example)
            if root is not None
            for folder in sorted(root.glob("*/*"))
            if KEY.fullmatch(folder.name) and folder.is_dir() and (kinds is None or folder.parent.name in kinds)
        ]
        return sorted(found, key=lambda entry: -entry.used)

    def remove(self, kind: str, key: str) -> None:
        """Delete an artifact; the bundled example cannot be deleted.

        Raises:
            MissingArtifactError: if it does not exist.
        """
        folder = self.folder(kind, key)
        if not folder.is_dir():
            raise MissingArtifactError(f"No {kind} {key} in {self.root}.")
        with self.lock(kind, key):
            shutil.rmtree(folder, ignore_errors=not folder.is_dir())  # another process may have deleted it first

    def prune(self, max_bytes: int) -> list[Entry]:
        """Delete the least recently used artifacts until the rest fits into `max_bytes`; return what was deleted.

        Temporary folders of processes that died are deleted too.
        """
        self._sweep()
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
        manifest, title = read_manifest(folder)
        used = (folder / "used") if (folder / "used").exists() else folder
        return Entry(
            kind=folder.parent.name,
            key=folder.name,
            title=str(manifest.get("title", title)),
            size=size,
            created=float(manifest.get("created", folder.stat().st_mtime)),
            used=used.stat().st_mtime,
            complete=bool(manifest),
            bundled=bundled,
        )

    def _check_format(self, folder: Path) -> None:
        manifest, _ = read_manifest(folder)
        if not manifest:
            raise DamagedArtifactError(
                f"The manifest of {folder.parent.name} {folder.name} is damaged. Delete {folder / MANIFEST} and run it "
                "again."
            )
        number = manifest.get("format")
        if number != STORE_FORMAT:
            raise ForeignFormatError(
                f"{folder.parent.name} {folder.name} was written in store format {number}; this version reads format "
                f"{STORE_FORMAT}. Delete {folder} and run it again."
            )

    def _touch(self, folder: Path) -> None:
        """Record that it was used, for pruning; skipped in a read-only store."""
        if self.root in folder.parents:
            try:
                (folder / "used").touch()
            except OSError:
                return

    def _sweep(self) -> None:
        """Delete the temporary folders of processes that died long ago."""
        for draft in self.root.glob("*/.*-*"):
            if draft.is_dir() and time.time() - draft.stat().st_mtime > DRAFT_SECONDS:
                shutil.rmtree(draft, ignore_errors=True)


def _plain_name(name: str) -> str:
    """Return the name if it cannot point outside its folder."""
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise MissingArtifactError(f"{name!r} is not the name of an artifact. Keys are sixteen hex digits.")
    return name


def read_manifest(folder: Path) -> tuple[dict[str, Any], str]:
    """Return the manifest, or an empty one and why: the folder is unfinished, or its manifest is damaged."""
    path = folder / MANIFEST
    if not path.is_file():
        return {}, "(unfinished)"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError):
        manifest = None
    return (manifest, "") if isinstance(manifest, dict) else ({}, "(damaged)")


@contextmanager
def writing(what: str, root: Path) -> Iterator[None]:
    """Say what could not be written and where, for example on a full disk or without permission.

    Raises:
        StoreError: instead of any error of the operating system.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{what} cannot be written to {root}: {error.strerror or error}. Free some space (`contrasim cache "
            "prune`) or choose another folder with CONTRASIM_CACHE. Finished results are kept."
        ) from error


def write_atomic(path: Path, text: str) -> None:
    """Write a text file so that readers see either the old content or the new, never a partial file."""
    draft = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
