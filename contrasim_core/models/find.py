"""Find and pin models by name, and read their configuration. No torch."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from contrasim_core.errors import SpecError, UnknownModelError
from contrasim_core.refs import ModelRef, Tower, digest

HUB_ID = re.compile(r"^([\w.-]+/)?[\w.-]+$")
WEIGHTS = ("*.safetensors", "*.bin")
SMALL_FILES = ("*.json", "*.txt", "*.model")
BUNDLED_ROOT = Path(__file__).resolve().parents[1] / "zoo" / "weights"


def bundled_names() -> list[str]:
    """Return the names of the bundled models, in order."""
    folders = [path.parent.name for path in BUNDLED_ROOT.glob("[!.]*/config.json")]
    return sorted(
        folders, key=lambda name: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
    )


def expand_models(name: str) -> list[str]:
    """Return the models that a name stands for: a bundled family such as `digits-vit`, or a comma-separated list."""
    found: list[str] = []
    for part in (item.strip() for item in name.split(",")):
        family = [item for item in bundled_names() if re.fullmatch(rf"{re.escape(part)}-\d+", item)]
        found.extend(family or ([part] if part else []))
    return found


def resolve_model(name: str | Path | ModelRef, *, tower: Tower = "auto", revision: str | None = None) -> ModelRef:
    """Find the model that `name` refers to and pin its content, without loading it.

    Args:
        name: a bundled name, a local folder in Hugging Face format, or a hub id.
        tower: of a two-tower model such as CLIP: `text` or `vision`. May be written as `name#vision`.
        revision: branch, tag or commit of a hub model.

    Raises:
        UnknownModelError: if no model has this name.
        SpecError: if the tower is neither `text` nor `vision`.
    """
    if isinstance(name, ModelRef):
        return name
    text, _, suffix = str(name).partition("#")
    if suffix:
        if suffix not in ("text", "vision"):
            raise SpecError(f"{name}: the tower after # can be text or vision, not {suffix!r}.")
        tower = "text" if suffix == "text" else "vision"
    if text in bundled_names():
        return ModelRef(name=text, kind="bundled", fingerprint=_folder_digest(BUNDLED_ROOT / text), tower=tower)
    folder = Path(text).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise UnknownModelError(f"The folder {folder} has no config.json, so it is not a Hugging Face model.")
        path = folder.resolve()
        return ModelRef(name=str(path), kind="folder", fingerprint=_folder_digest(path), tower=tower)
    if HUB_ID.match(text) and not text.startswith("."):
        return ModelRef(
            name=text, kind="hub", fingerprint=cached_commit(text, revision), tower=tower, revision=revision
        )
    raise UnknownModelError(
        f"Unknown model {text!r}. Give a bundled name ({', '.join(bundled_names()[:3])}, ...), a local folder with a "
        "config.json, or a hub id like owner/name."
    )


def _folder_digest(folder: Path) -> str:
    """Digest a model folder: the content of the small files and the weights, but not the card."""
    parts: list[bytes | str] = []
    for pattern in SMALL_FILES:
        for file in sorted(folder.glob(pattern)):
            if file.name != "card.json":
                parts += [file.name, file.read_bytes()]
    for pattern in WEIGHTS:
        for file in sorted(folder.glob(pattern)):
            parts += [file.name, str(file.stat().st_size), _weights_digest(file)]
    return digest(parts)


def _weights_digest(file: Path) -> bytes:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def cached_commit(name: str, revision: str | None) -> str:
    """Return the commit of a hub model in the local cache, which pins its results; empty if it is not cached yet."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, "config.json", revision=revision)
    return Path(found).parent.name if isinstance(found, str) else ""


def read_card(ref: ModelRef) -> dict[str, Any]:
    """Read the card of a bundled model; empty for others."""
    if ref.kind != "bundled":
        return {}
    card: dict[str, Any] = json.loads((BUNDLED_ROOT / ref.name / "card.json").read_text(encoding="utf-8"))
    return card


def read_config(ref: ModelRef) -> dict[str, Any] | None:
    """Read the model's config.json without importing torch; None if the model is not on this machine yet."""
    if ref.kind == "bundled":
        path: Path | None = BUNDLED_ROOT / ref.name / "config.json"
    elif ref.kind == "folder":
        path = Path(ref.name) / "config.json"
    elif ref.kind == "hub":
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(ref.name, "config.json", revision=ref.revision)
        path = Path(found) if isinstance(found, str) else None
    else:
        path = None
    if path is None or not path.is_file():
        return None
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return config


def _stack_config(ref: ModelRef) -> dict[str, Any]:
    """Return the part of the configuration that describes the blocks of the chosen tower."""
    config = read_config(ref) or {}
    part: dict[str, Any] = config.get("vision_config" if ref.tower == "vision" else "text_config") or config
    return part


def depth_of(ref: ModelRef) -> int | None:
    """Return the index of the last layer; None if the configuration does not say, or is not on this machine yet.

    That is the number of blocks, plus one for the projection of a tower.
    """
    part = _stack_config(ref)
    for name in ("num_hidden_layers", "n_layer", "n_layers", "num_layers"):
        if isinstance(part.get(name), int):
            return int(part[name]) + (ref.tower != "auto")
    if isinstance(part.get("depths"), list):
        return int(sum(part["depths"]))
    return len(part["convolutions"]) if isinstance(part.get("convolutions"), list) else None


def width_of(ref: ModelRef) -> int | None:
    """Return the width of the widest layer; None if the configuration does not say."""
    part = _stack_config(ref)
    for name in ("hidden_size", "n_embd", "d_model", "dim"):
        if isinstance(part.get(name), int):
            return int(part[name])
    sizes = part.get("hidden_sizes") or [item[0] for item in part.get("convolutions", [])]
    return max(sizes) if sizes else None
