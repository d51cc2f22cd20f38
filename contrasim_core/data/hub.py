"""Data sets of the Hugging Face hub, or folders in the same format, through the `datasets` library."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from contrasim_core.data.base import Image, Inputs, image_inputs, text_inputs
from contrasim_core.errors import DataError, UnknownDataError
from contrasim_core.refs import DatasetRef

TEXT_COLUMNS = ("text", "sentence", "content", "premise")
IMAGE_COLUMNS = ("image", "img", "picture")
DATA_TYPES = ("*.parquet", "*.jsonl", "*.arrow")


def is_dataset_folder(path: Path) -> bool:
    """Whether a folder holds a data set in hub format: a card, or tables in parquet, JSON lines or arrow."""
    return path.is_dir() and any(
        next(path.rglob(pattern), None) is not None for pattern in (*DATA_TYPES, "dataset_infos.json")
    )


def load(ref: DatasetRef) -> Inputs:
    """Load a split; downloads it on first use unless `HF_HUB_OFFLINE=1`.

    Raises:
        UnknownDataError: if there is no such data set, configuration or split.
        DataError: if no column holds texts or images.
    """
    import datasets

    try:
        with _quiet(datasets):
            data = datasets.load_dataset(ref.name, ref.config, split=ref.split)  # data only: it runs no code of theirs
    except (FileNotFoundError, ValueError, ConnectionError, OSError) as error:
        raise UnknownDataError(
            f"The data set {ref.name} (configuration {ref.config or 'default'}, split {ref.split}) cannot be loaded: "
            f"{error}. Check the name, the split and the connection."
        ) from error
    if ref.limit is not None:
        data = data.select(range(min(ref.limit, len(data))))
    column = _column(ref, data.column_names)
    ids = [f"{ref.split}-{number}" for number in range(len(data))]
    values: Sequence[Any] = data[column][:]
    if any(isinstance(value, str) for value in values):
        return text_inputs(ref, [value or "" for value in values], ids)
    return image_inputs(ref, [_image(value, ref) for value in values], ids)


@contextmanager
def _quiet(datasets: Any) -> Iterator[None]:
    """No progress bars while a data set is loaded."""
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
    wanted = f"no column {ref.column!r}" if ref.column else "no column that is known to hold texts or images"
    raise DataError(f"{ref.name} has {wanted}. Its columns: {', '.join(columns)}. Say which to use.")


def _image(value: Any, ref: DatasetRef) -> Image:
    from contrasim_core.data.files import decode_image

    if isinstance(value, dict) and value.get("bytes"):
        return decode_image(str(value.get("path") or ref.name), value["bytes"])
    if hasattr(value, "convert"):
        return np.asarray(value.convert("RGB"))
    if isinstance(value, bytes | io.BytesIO):
        return decode_image(ref.name, value if isinstance(value, bytes) else value.getvalue())
    raise DataError(f"{ref.label}: a value of type {type(value).__name__} is neither text nor image.")
