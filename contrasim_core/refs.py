"""Names of things: which model, which layer, which data, which samples. Standard library only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

ModelKind = Literal["bundled", "folder", "hub", "module"]
DataKind = Literal["bundled", "file", "hub", "inline"]
Tower = Literal["auto", "text", "vision"]
Modality = Literal["text", "image"]
Pooling = Literal["cls", "mean", "last", "word", "spatial-mean"]
"""How the positions of one input become one row: see "Words" in the README."""
Dtype = Literal["float32", "float16", "bfloat16"]
POOLING_NAMES: dict[str, str] = {
    "cls": "[CLS] token",
    "mean": "mean of tokens",
    "last": "last token",
    "word": "mean of each word",
    "spatial-mean": "spatial mean",
}
"""What people call them."""


def digest(parts: Iterable[bytes | str]) -> str:
    """Return sixteen hex digits that change when any part, or the order of the parts, changes."""
    hasher = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        hasher.update(len(raw).to_bytes(8, "little"))
        hasher.update(raw)
    return hasher.hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class ModelRef:
    """A pinned model: `fingerprint` is a digest of its weights and configuration, or the hub commit."""

    name: str
    kind: ModelKind
    fingerprint: str = ""
    tower: Tower = "auto"
    revision: str | None = None

    @property
    def label(self) -> str:
        """The name of this model in figures and tables."""
        short = self.name.rstrip("/").rsplit("/", 1)[-1] if self.kind == "folder" else self.name
        return short if self.tower == "auto" else f"{short} ({self.tower})"


@dataclass(frozen=True, order=True)
class LayerRef:
    """The place in a model that a representation is taken from.

    For Hugging Face models index 0 is the output of the embeddings and index k the output of block k.
    For other modules the index counts the requested modules in order of execution.
    """

    model: str
    index: int
    name: str

    @property
    def label(self) -> str:
        """A short text for an axis."""
        if self.name == f"projection {self.index}":
            return "projection"
        return str(self.index) if self.name in ("embeddings", f"block {self.index}") else self.name

    def __str__(self) -> str:
        return f"{self.model} layer {self.index} ({self.name})"


def layer_refs(model: str, names: Sequence[str]) -> list[LayerRef]:
    """Return references for `embeddings`, `block k` and `projection k`, or for modules, numbered in order."""
    refs = []
    for place, name in enumerate(names):
        word, _, number = name.partition(" ")
        numbered = word in ("block", "projection") and number.isdigit()
        index = 0 if name == "embeddings" else int(number) if numbered else place
        refs.append(LayerRef(model, index, name))
    return refs


@dataclass(frozen=True, kw_only=True)
class DatasetRef:
    """A pinned data set: `fingerprint` is a digest of the content, or of the version of the library it is made from."""

    name: str
    kind: DataKind
    split: str = "test"
    limit: int | None = None
    fingerprint: str = ""
    column: str | None = None
    config: str | None = None

    @property
    def label(self) -> str:
        """The name of this data set in figures and tables."""
        short = self.name.rstrip("/").rsplit("/", 1)[-1] if self.kind == "file" else self.name
        return f"{short} ({self.split}, first {self.limit})" if self.limit else f"{short} ({self.split})"


@dataclass(frozen=True)
class SampleSet:
    """The inputs behind a representation, in order.

    Two representations may be compared only if the fingerprints of their sample sets are equal.

    Attributes:
        ids: one id per row, unique.
        fingerprint: digest of the ids and, if the inputs are known, of their content.
    """

    ids: tuple[str, ...]
    fingerprint: str = field(default="")

    def __post_init__(self) -> None:
        if not self.fingerprint:
            object.__setattr__(self, "fingerprint", digest(self.ids))

    def __len__(self) -> int:
        return len(self.ids)
