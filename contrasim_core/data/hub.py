"""Data sets from the Hugging Face hub, or folders in the same format, read with the `datasets` library."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from contrasim_core.data.base import Image, Inputs, image_inputs, text_inputs
from contrasim_core.data.pairs import CAPTION_COLUMNS, CAPTION_SIDE, IMAGE_SIDE, PairedData, check_rows, sides_of
from contrasim_core.errors import DataError, UnknownDataError
from contrasim_core.refs import DatasetRef

TEXT_COLUMNS = ("text", "sentence", "content", "premise")
IMAGE_COLUMNS = ("image", "img", "picture")
DATA_TYPES = ("*.parquet", "*.jsonl", "*.arrow")


def is_dataset_folder(path: Path) -> bool:
    """Return whether a folder is a data set in hub format: it has a card, or parquet, JSON lines or arrow files."""
    return path.is_dir() and any(
        next(path.rglob(pattern), None) is not None for pattern in (*DATA_TYPES, "dataset_infos.json")
    )


def load(ref: DatasetRef) -> Inputs:
    """Load a split; it is downloaded on first use unless `HF_HUB_OFFLINE=1`.

    Raises:
        UnknownDataError: if the data set, configuration or split does not exist.
        DataError: if no column contains texts or images.
    """
    import datasets

    try:
        with _quiet(datasets):
            data = datasets.load_dataset(ref.name, ref.config, split=ref.split)  # data only: runs no code
    except (FileNotFoundError, ValueError, ConnectionError, OSError) as error:
        raise UnknownDataError(
            f"The data set {ref.name} (configuration {ref.config or 'default'}, split {ref.split}) cannot be loaded: "
            f"{error}. Check the name, the split and the connection."
        ) from error
    named = sides_of(ref.column)
    if named is not None:
        return _paired(data, named[1], ref).distinct().inputs(ref, named[0])
    if ref.limit is not None:
        data = data.select(range(min(ref.limit, len(data))))
    column = _column(ref, data.column_names)
    ids = [f"{ref.split}-{number}" for number in range(len(data))]
    values: Sequence[Any] = data[column][:]
    if any(isinstance(value, str) for value in values):
        return text_inputs(ref, [value or "" for value in values], ids)
    return image_inputs(ref, [_image(value, ref) for value in values], ids)


def _paired(data: Any, sides: Sequence[str], ref: DatasetRef) -> PairedData:
    """Return all sides of a split: one column per side, XNLI's nested translations, or images with captions.

    Enough rows are read to reach the limit after repeated ones are dropped.
    """
    rows = len(data) if ref.limit is None else min(len(data), 3 * ref.limit)
    data = data.select(range(rows))
    if {IMAGE_SIDE, CAPTION_SIDE} == set(sides):
        image = next((name for name in IMAGE_COLUMNS if name in data.column_names), None)
        caption = next((name for name in CAPTION_COLUMNS if name in data.column_names), None)
        if image is None or caption is None:
            raise DataError(
                f"{ref.name} has the columns {', '.join(data.column_names)}. It needs one of "
                f"{', '.join(IMAGE_COLUMNS)} and one of {', '.join(CAPTION_COLUMNS)}."
            )
        texts = tuple(_first_text(value) for value in data[caption][:])
        ids = tuple(f"{ref.split}-{number}" for number in range(rows))
        check_rows(ref.label, ids, {CAPTION_SIDE: texts})
        return PairedData(ids, {IMAGE_SIDE: tuple(_image(value, ref) for value in data[image][:]), CAPTION_SIDE: texts})
    if "premise" in data.column_names and isinstance(data[0]["premise"], dict):
        return _nested(data, sides, ref)
    missing = [name for name in sides if name not in data.column_names]
    if missing:
        raise DataError(
            f"{ref.name} has no column {', '.join(map(repr, missing))}. Its columns: {', '.join(data.column_names)}. "
            "Choose from these columns."
        )
    ids = tuple(f"{ref.split}-{number}" for number in range(rows))
    parallel = {name: tuple(str(value or "").strip() for value in data[name][:]) for name in sides}
    check_rows(ref.label, ids, parallel)
    return PairedData(ids, parallel)


def _first_text(value: Any) -> str:
    """Return the caption, or the first one if an image has several."""
    return str(value[0] if isinstance(value, list) and value else value or "").strip()


def _nested(data: Any, sides: Sequence[str], ref: DatasetRef) -> PairedData:
    """Return premises and hypotheses of XNLI (configuration `all_languages`), parallel in fifteen languages."""
    known = sorted(data[0]["premise"])
    missing = [name for name in sides if name not in known]
    if missing:
        raise DataError(f"{ref.name} has no {', '.join(map(repr, missing))}. Its languages: {', '.join(known)}.")
    ids: list[str] = []
    texts: dict[str, list[str]] = {name: [] for name in sides}
    for number, row in enumerate(data):
        hypotheses = dict(zip(row["hypothesis"]["language"], row["hypothesis"]["translation"], strict=True))
        for kind, values in (("premise", row["premise"]), ("hypothesis", hypotheses)):
            ids.append(f"{ref.split}-{number}-{kind}")
            for name in sides:
                texts[name].append(str(values.get(name) or "").strip())
    whole = {name: tuple(values) for name, values in texts.items()}
    check_rows(ref.label, ids, whole)
    return PairedData(tuple(ids), whole)


@contextmanager
def _quiet(datasets: Any) -> Iterator[None]:
    """Hide progress bars while a data set is loaded."""
    bars = datasets.utils.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if bars:
            datasets.enable_progress_bars()


def _column(ref: DatasetRef, columns: Sequence[str]) -> str:
    if ref.column is not None and ref.column in columns:
        return ref.column
    found = [name for name in (*IMAGE_COLUMNS, *TEXT_COLUMNS) if name in columns]
    if ref.column is None and found:
        return found[0]
    wanted = f"no column {ref.column!r}" if ref.column else "no column with a usual name for texts or images"
    raise DataError(f"{ref.name} has {wanted}. Its columns: {', '.join(columns)}. Name the one to use.")


def _image(value: Any, ref: DatasetRef) -> Image:
    from contrasim_core.data.files import decode_image

    if isinstance(value, dict) and value.get("bytes"):
        return decode_image(str(value.get("path") or ref.name), value["bytes"])
    if hasattr(value, "convert"):
        return np.asarray(value.convert("RGB"))
    if isinstance(value, bytes | io.BytesIO):
        return decode_image(ref.name, value if isinstance(value, bytes) else value.getvalue())
    raise DataError(f"{ref.label}: a value of type {type(value).__name__} is neither text nor image.")
