"""The bundled data sets, and the single entry point to all data: names, files and folders, hub data sets, lists."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from contrasim_core.data import files, hub, pairs, phrases, scenes, text, vision
from contrasim_core.data.base import Inputs, image_inputs, text_inputs
from contrasim_core.errors import SpecError, UnknownDataError
from contrasim_core.refs import DatasetRef, Modality, digest

RECIPE = "1"  # part of every bundled fingerprint: increment it when a recipe below changes its output
HUB_ID = re.compile(r"^[\w.-]+/[\w.-]+$")


@dataclass(frozen=True)
class BundledData:
    """A data set made from libraries that are installed anyway.

    Attributes:
        name: its name in commands.
        modality: modality of its samples, or of its first side if it has sides.
        about: a short description.
        sizes: number of samples by split.
        made_from: returns the version of the library that it is made from.
        load: returns samples and ids of a split, or all sides of a split if it has sides.
        sides: forms that each sample has, such as languages; empty if there is only one.
    """

    name: str
    modality: Modality
    about: str
    sizes: dict[str, int]
    made_from: Callable[[], str]
    load: Callable[[str], tuple[Sequence[Any], list[str]] | pairs.PairedData]
    sides: tuple[str, ...] = ()


def _sklearn() -> str:
    return f"scikit-learn {version('scikit-learn')}"


def _babel() -> str:
    return f"Babel {version('babel')}"


def _scenes() -> str:
    return f"Pillow {version('pillow')}"


def _python() -> str:
    return f"Python {platform.python_version()}"


BUNDLED: tuple[BundledData, ...] = (
    BundledData(
        "digits",
        "image",
        "Handwritten digits, 8 x 8 pixels, from scikit-learn",
        {"train": 1257, "test": 540},
        _sklearn,
        vision.digits,
    ),
    BundledData(
        "photo-patches",
        "image",
        "8 x 8 grey patches of scikit-learn's two photographs",
        {"train": 1257, "test": 540},
        _sklearn,
        vision.photo_patches,
    ),
    BundledData(
        "python-docs",
        "text",
        "Sentences of Python's language reference (pydoc topics)",
        {"train": 1707, "test": 426},
        _python,
        text.python_docs,
    ),
    BundledData(
        "library-docs",
        "text",
        "Sentences from scikit-learn's docstrings",
        {"train": 1736, "test": 434},
        _sklearn,
        text.library_docs,
    ),
    BundledData(
        "cldr-phrases",
        "text",
        "Phrases in English, Arabic, Chinese, Russian and Turkish from the Unicode CLDR (Babel)",
        {"train": 3518, "test": 1758},
        _babel,
        lambda split: phrases.phrases().part(split),
        ("en", *(name for name in phrases.LANGUAGES if name != "en")),
    ),
    BundledData(
        "scenes",
        "image",
        "Drawn scenes of two shapes (32 x 32 pixels) with captions",
        {"train": 6000, "test": 3000},
        _scenes,
        lambda split: scenes.scenes().part(split),
        (pairs.IMAGE_SIDE, pairs.CAPTION_SIDE),
    ),
)


def bundled(name: str) -> BundledData | None:
    """Return the bundled data set of this name, or None."""
    return next((item for item in BUNDLED if item.name == name), None)


def resolve_data(
    source: str | Path | DatasetRef,
    *,
    split: str = "test",
    limit: int | None = None,
    column: str | None = None,
    config: str | None = None,
) -> DatasetRef:
    """Find the data that `source` refers to and pin its content, without loading it.

    Args:
        source: a bundled name, a file or folder, or a hub id such as `owner/name`.
        split: part of a bundled or hub data set.
        limit: use only the first samples; the bundled sets are shuffled once, so these are a fair sample.
        column: column of a table with the texts or images.
        config: configuration of a hub data set.

    Raises:
        UnknownDataError: if no data set has this name.
        SpecError: if a bundled set has no such split, or the limit is not positive.
    """
    if isinstance(source, DatasetRef):
        return source
    if limit is not None and limit < 1:
        raise SpecError(f"limit is {limit}. It must be 1 or more, or None for all samples.")
    name = str(source)
    known = bundled(name)
    if known is not None:
        if split not in known.sizes:
            raise SpecError(f"{name} has no split {split!r}. It has: {', '.join(known.sizes)}.")
        return DatasetRef(
            name=name,
            kind="bundled",
            split=split,
            limit=limit,
            fingerprint=digest([RECIPE, name, known.made_from()]),
            column=_bundled_side(known, column),
        )
    if Path(name).expanduser().exists():
        path = Path(name).expanduser().resolve()
        return DatasetRef(
            name=str(path),
            kind="file",
            split=split if hub.is_dataset_folder(path) or pairs.sides_of(column) else "all",
            limit=limit,
            column=column,
            config=config,
            fingerprint=files.content_digest(_with_images(path, column)),
        )
    if HUB_ID.match(name):
        return DatasetRef(name=name, kind="hub", split=split, limit=limit, column=column, config=config)
    names = ", ".join(item.name for item in BUNDLED)
    raise UnknownDataError(
        f"Unknown data set {name!r}. Give a bundled name ({names}), an existing file or folder, or a hub id like "
        "owner/name."
    )


def _bundled_side(known: BundledData, column: str | None) -> str | None:
    """Return the requested side, by default the first; None for data of one form.

    Raises:
        SpecError: if the data have no such side.
    """
    if not known.sides:
        return None
    side = column.partition(pairs.OF)[0] if column else known.sides[0]
    if side not in known.sides:
        raise SpecError(f"{known.name} has no side {side!r}. It has: {', '.join(known.sides)}.")
    return side


def _with_images(path: Path, column: str | None) -> Path:
    """Return what the content depends on: for a table of captions, the whole folder with the images."""
    named = pairs.sides_of(column)
    return path.parent if named and pairs.IMAGE_SIDE in named[1] and path.suffix in files.TABLE_TYPES else path


def load_data(source: str | Path | DatasetRef | Sequence[Any], **options: Any) -> Inputs:
    """Load the samples.

    Args:
        source: what `resolve_data` takes, or a list of texts, or a list (or array) of images.
        options: as for `resolve_data`.

    Raises:
        UnknownDataError: if no data set has this name.
        DataError: if the data cannot be used.
    """
    if not isinstance(source, str | Path | DatasetRef):
        return _inline(source, **options)
    ref = resolve_data(source, **options)
    known = bundled(ref.name) if ref.kind == "bundled" else None
    if known is not None:
        found = known.load(ref.split)
        if isinstance(found, pairs.PairedData):
            return found.inputs(ref, _bundled_side(known, ref.column) or "")
        items, ids = found
        return text_inputs(ref, items, ids) if known.modality == "text" else image_inputs(ref, items, ids)
    if ref.kind == "hub" or hub.is_dataset_folder(Path(ref.name)):
        return hub.load(ref)
    return pairs.load(ref) if pairs.sides_of(ref.column) else files.load(ref)


def _inline(items: Sequence[Any], limit: int | None = None) -> Inputs:
    """Return inputs from a list of texts or images."""
    ref = DatasetRef(name="inline", kind="inline", split="all", limit=limit)
    if len(items) and isinstance(items[0], str):
        inputs = text_inputs(ref, items)
    else:
        inputs = image_inputs(ref, [np.asarray(item) for item in items])
    pinned = DatasetRef(name="inline", kind="inline", split="all", limit=limit, fingerprint=inputs.samples.fingerprint)
    return Inputs(pinned, inputs.modality, inputs.samples, inputs.texts, inputs.images)
