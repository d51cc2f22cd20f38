"""The user's own data: a text file, a table, a folder or a zip of images."""

from __future__ import annotations

import hashlib
import io
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from contrasim_core.data.base import Image, Inputs, image_inputs, text_inputs
from contrasim_core.errors import DataError
from contrasim_core.refs import DatasetRef, digest

IMAGE_TYPES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"})
TABLE_TYPES = {".csv": ",", ".tsv": "\t"}
MAX_PIXELS = 64_000_000  # per image: larger than any photograph, smaller than a decompression bomb


def content_digest(path: Path) -> str:
    """Return a digest of a file, or of the names and contents of all files in a folder."""
    files = sorted(item for item in path.rglob("*") if item.is_file()) if path.is_dir() else [path]
    return digest(part for item in files for part in (str(item.relative_to(path)), _file_digest(item)))


def _file_digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def load(ref: DatasetRef) -> Inputs:
    """Read the file or folder that the reference points to.

    Raises:
        DataError: if its type is unknown, or its content cannot be used.
    """
    path = Path(ref.name)
    if path.is_dir() or path.suffix == ".zip":
        names, images = _decoded(_images(path), ref)
        return image_inputs(ref, images, names)
    if path.suffix in (".txt", ".text", ".md"):
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise DataError(f"{path.name} is not UTF-8 text ({error}). Save it as UTF-8.") from error
        numbered = [(str(number), line) for number, line in enumerate(lines, 1) if line.strip()]
        return text_inputs(ref, [line for _, line in numbered], [f"line-{number}" for number, _ in numbered])
    if path.suffix in TABLE_TYPES:
        return _table(path, ref)
    raise DataError(
        f"{path.name}: files of type {path.suffix or '(none)'} are not supported. Give .txt (one text per line), "
        ".csv or .tsv (a text column), or a folder or .zip of images."
    )


def _table(path: Path, ref: DatasetRef) -> Inputs:
    try:
        table = pd.read_csv(path, sep=TABLE_TYPES[path.suffix], dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(f"{path.name} cannot be read as a table in UTF-8: {error}") from error
    columns = [str(name) for name in table.columns]
    text_columns = [name for name in columns if name != "id"]
    column = ref.column or ("text" if "text" in columns else text_columns[0] if len(text_columns) == 1 else None)
    if column is None or column not in columns:
        problem = f"no column {column!r}" if column else "several columns and none called 'text'"
        raise DataError(f"{path.name} has {problem}. Its columns: {', '.join(columns)}. Name the one with the texts.")
    ids = table["id"].tolist() if "id" in columns else [f"row-{number}" for number in range(1, len(table) + 1)]
    return text_inputs(ref, table[column].fillna("").tolist(), ids)  # a short row lacks the value


def _images(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of every image in a folder or zip, sorted by name."""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if is_image(name := str(file.relative_to(path))):
                yield name, file.read_bytes()
        return
    try:
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                if is_image(name):
                    yield name, archive.read(name)
    except zipfile.BadZipFile as error:
        raise DataError(f"{path.name} is not a zip file, or it is damaged.") from error


def is_image(name: str) -> bool:
    """Return whether a file is an image, and not a hidden file that the operating system put beside it."""
    return Path(name).suffix.lower() in IMAGE_TYPES and not is_hidden(name)


def is_hidden(name: str) -> bool:
    """Return whether a file belongs to the operating system, such as those that macOS puts into archives."""
    return any(part.startswith((".", "__MACOSX")) for part in Path(name).parts)


def _decoded(items: Iterable[tuple[str, bytes]], ref: DatasetRef) -> tuple[list[str], list[Image]]:
    names: list[str] = []
    images: list[Image] = []
    for name, content in items:
        if ref.limit is not None and len(names) == ref.limit:
            break
        names.append(name)
        images.append(decode_image(name, content))
    if not names:
        raise DataError(f"{ref.label} contains no images ({', '.join(sorted(IMAGE_TYPES))}).")
    return names, images


def decode_image(name: str, content: bytes) -> Image:
    """Decode an image to [height, width, 3] of uint8.

    Raises:
        DataError: if it cannot be read, or is far too large.
    """
    from PIL import Image as Pillow
    from PIL import UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)  # the limit below is stricter
            with Pillow.open(io.BytesIO(content)) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise DataError(f"{name} has {picture.width} x {picture.height} pixels. Shrink it first.")
                return np.asarray(picture.convert("RGB"))
    except Pillow.DecompressionBombError as error:
        raise DataError(f"{name} is far too large an image ({error}). Shrink it first.") from error
    except (UnidentifiedImageError, OSError) as error:
        raise DataError(f"{name} cannot be read as an image: {error}") from error
