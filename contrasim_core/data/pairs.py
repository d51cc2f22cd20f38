"""Data whose samples come in several forms: a sentence in several languages, an image and its caption.

A side is one of the forms. A reference's `column` names it: `en of ar,en,zh` is the English side of texts that are
parallel in Arabic, English and Chinese. All sides share their sample ids and their fingerprint, so layers from
different sides are paired like layers of different models. A sample whose content already occurred in *any* side is
dropped, so no text or image is in both the training part and the test part.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from contrasim_core.data.base import Image, Inputs
from contrasim_core.data.files import IMAGE_TYPES, TABLE_TYPES, decode_image, is_hidden, is_image
from contrasim_core.errors import DataError
from contrasim_core.refs import DatasetRef, SampleSet, digest

OF = " of "
TEST_SHARE = 1 / 3  # as in the paper: 5,000 to test, 10,000 to train
FILE_COLUMNS = ("image", "file", "file_name", "filename")
CAPTION_COLUMNS = ("caption", "text")
IMAGE_SIDE, CAPTION_SIDE = "image", "caption"


def column_of(side: str, sides: Sequence[str]) -> str:
    """Return the `column` that names a side; sides are sorted, so their order makes no difference."""
    return f"{side}{OF}{','.join(sorted(sides))}"


def sides_of(column: str | None) -> tuple[str, tuple[str, ...]] | None:
    """Return the side and all sides that a column names; None for a plain column.

    Raises:
        DataError: if the side is not one of the sides.
    """
    if column is None or OF not in column:
        return None
    side, _, rest = column.partition(OF)
    sides = tuple(part.strip() for part in rest.split(",") if part.strip())
    if side not in sides:
        raise DataError(f"{column!r} names the side {side!r}, which is not one of its sides: {', '.join(sides)}.")
    return side, sides


@dataclass(frozen=True, eq=False)
class PairedData:
    """Samples with all their sides.

    Attributes:
        ids: one id per sample.
        sides: content by side, texts or images, in the order of the ids.
    """

    ids: tuple[str, ...]
    sides: dict[str, tuple[Any, ...]]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, numbers: Sequence[int]) -> PairedData:
        """Return the samples with these numbers."""
        return PairedData(
            tuple(self.ids[i] for i in numbers),
            {name: tuple(values[i] for i in numbers) for name, values in self.sides.items()},
        )

    def distinct(self) -> PairedData:
        """Drop samples whose text (ignoring spaces and case) or image already occurred in any side."""
        met: dict[str, set[Any]] = {name: set() for name in self.sides}
        kept = []
        for number in range(len(self)):
            keys = {name: _content(values[number]) for name, values in self.sides.items()}
            if not any(key in met[name] for name, key in keys.items()):
                kept.append(number)
                for name, key in keys.items():
                    met[name].add(key)
        return self.take(kept)

    def part(self, split: str) -> PairedData:
        """Return `train`, `test` (a fixed third) or `all`; `train` and `test` are shuffled.

        Raises:
            DataError: if the split is none of these.
        """
        if split == "all":
            return self
        if split not in ("train", "test"):
            raise DataError(f"This data has no split {split!r}. It can be: train, test, all.")
        order = np.random.RandomState(0).permutation(len(self))
        border = int(len(self) * TEST_SHARE)
        return self.take([int(i) for i in (order[:border] if split == "test" else order[border:])])

    def inputs(self, ref: DatasetRef, side: str) -> Inputs:
        """Return one side as inputs, with the fingerprint of all sides.

        Raises:
            DataError: if there is no such side, or it has no samples.
        """
        if side not in self.sides:
            raise DataError(f"{ref.label} has no side {side!r}. It has: {', '.join(self.sides)}.")
        if not len(self):
            raise DataError(f"{ref.label} contains no samples.")
        kept = self.take(range(len(self))[: ref.limit])
        parts: list[str | bytes] = [*kept.ids]
        for name in sorted(kept.sides):
            parts += [name, *(value if isinstance(value, str) else value.tobytes() for value in kept.sides[name])]
        samples = SampleSet(kept.ids, digest(parts))
        values = kept.sides[side]
        if isinstance(values[0], str):
            return Inputs(ref, "text", samples, texts=values)
        return Inputs(ref, "image", samples, images=values)


def _content(value: str | Image) -> str | bytes:
    return " ".join(value.casefold().split()) if isinstance(value, str) else digest([str(value.shape), value.tobytes()])


def load(ref: DatasetRef) -> Inputs:
    """Load one side of a table of parallel texts, or of images with captions, from a file or folder.

    Raises:
        DataError: if a side is missing, a row lacks one, or an image cannot be read.
    """
    named = sides_of(ref.column)
    assert named is not None  # noqa: S101 - the caller checked
    side, sides = named
    path = Path(ref.name)
    read = _captions if {IMAGE_SIDE, CAPTION_SIDE} == set(sides) else _parallel
    return read(path, sides, ref).distinct().part(ref.split).inputs(ref, side)


def _table(path: Path, content: Any = None) -> pd.DataFrame:
    try:
        table: pd.DataFrame = pd.read_csv(
            content or path,
            sep=TABLE_TYPES[path.suffix],
            dtype=str,
            keep_default_na=False,
            quoting=csv.QUOTE_NONE if path.suffix == ".tsv" else csv.QUOTE_MINIMAL,  # in a .tsv, quotes are text
        )
        return table.fillna("")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(f"{path.name} cannot be read as a table in UTF-8: {error}") from error


def _parallel(path: Path, sides: Sequence[str], ref: DatasetRef) -> PairedData:
    if path.suffix not in TABLE_TYPES:
        raise DataError(f"{ref.label}: parallel texts are read from .csv or .tsv, with one column per language.")
    table = _table(path)
    missing = [name for name in sides if name not in table.columns]
    if missing:
        raise DataError(
            f"{path.name} has no column {', '.join(map(repr, missing))}. Its columns: {', '.join(table.columns)}. "
            "Choose from these columns."
        )
    ids = table["id"] if "id" in table.columns else [f"row-{number}" for number in range(1, len(table) + 1)]
    texts = {name: tuple(value.strip() for value in table[name]) for name in sides}
    check_rows(ref.label, tuple(ids), texts)
    return PairedData(tuple(ids), texts)


def check_rows(label: str, ids: Sequence[str], texts: dict[str, tuple[str, ...]]) -> None:
    """Raise `DataError` if a row lacks one of its texts, or an id repeats."""
    empty = [(number, name) for name, values in texts.items() for number, value in enumerate(values) if not value]
    if empty:
        number, name = min(empty)
        raise DataError(
            f"{label}: {len({row for row, _ in empty})} rows lack a text; the first is {ids[number]} in {name!r}. "
            "Fill in or remove those rows: every row needs a text in each language."
        )
    if len(set(ids)) != len(ids):
        raise DataError(f"{label}: sample ids repeat. Every sample needs a unique id.")


def _captions(path: Path, _sides: Sequence[str], ref: DatasetRef) -> PairedData:
    """Read images with captions: a table of file names and captions, and the images beside it or in a zip.

    The path is a folder or zip with a table and images, or a table with the images, or one zip of them, beside it.
    """
    table, read = _find(path, ref)
    files = next((name for name in FILE_COLUMNS if name in table.columns), None)
    captions = next((name for name in CAPTION_COLUMNS if name in table.columns), None)
    if files is None or captions is None:
        raise DataError(
            f"{ref.label}: the table of captions has the columns {', '.join(table.columns)}. It needs one of "
            f"{', '.join(FILE_COLUMNS)} and one of {', '.join(CAPTION_COLUMNS)}."
        )
    first = table.drop_duplicates(files)  # only the first caption of an image is used
    names, texts = tuple(first[files]), tuple(text.strip() for text in first[captions])
    check_rows(ref.label, names, {CAPTION_SIDE: texts})
    images = tuple(decode_image(name, content) for name, content in zip(names, read(names), strict=True))
    return PairedData(names, {IMAGE_SIDE: images, CAPTION_SIDE: texts})


def _find(path: Path, ref: DatasetRef) -> tuple[pd.DataFrame, Callable[[Sequence[str]], Iterator[bytes]]]:
    """Return the table of captions, and a function that reads the contents of images."""
    if path.suffix == ".zip":
        names = _names(path)
        table = _single([name for name in names if Path(name).suffix in TABLE_TYPES and not is_hidden(name)], ref)
        with zipfile.ZipFile(path) as archive, archive.open(table) as stream:
            return _table(Path(table), stream), _reader(path, str(Path(table).parent))
    table_file = path if path.is_file() else path / _single(_tables(path), ref)
    archives = sorted(table_file.parent.glob("*.zip"))
    folder = table_file.parent
    if len(archives) == 1 and not any(is_image(item.name) for item in folder.iterdir()):
        return _table(table_file), _reader(archives[0], ".")
    return _table(table_file), lambda names: (_content_of(folder, name, ref) for name in names)


def _tables(folder: Path) -> list[str]:
    names = [str(item.relative_to(folder)) for item in sorted(folder.rglob("*")) if item.suffix in TABLE_TYPES]
    return [name for name in names if not is_hidden(name)]


def _single(tables: Sequence[str], ref: DatasetRef) -> str:
    if len(tables) != 1:
        count = f"{len(tables)} tables ({', '.join(tables[:3])})" if tables else "no table"
        raise DataError(
            f"{ref.label} contains {count}. Images with captions need one .csv or .tsv with a column of file names and "
            "a column of captions."
        )
    return tables[0]


def _content_of(folder: Path, name: str, ref: DatasetRef) -> bytes:
    file = folder / name
    if not file.is_file():
        types = ", ".join(sorted(IMAGE_TYPES))
        raise DataError(
            f"{ref.label}: the table names the image {name}, which is not beside it. Images can be {types}."
        )
    return file.read_bytes()


def _names(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except zipfile.BadZipFile as error:
        raise DataError(f"{path.name} is not a zip file, or it is damaged.") from error


def _reader(path: Path, folder: str) -> Callable[[Sequence[str]], Iterator[bytes]]:
    """Return a reader of files in a zip, named relative to a folder in it; the list of files is read once."""

    def read(names: Sequence[str]) -> Iterator[bytes]:
        with zipfile.ZipFile(path) as archive:
            for name in names:
                inside = name if folder == "." else f"{folder}/{name}"
                try:
                    yield archive.read(inside)
                except KeyError as error:
                    raise DataError(
                        f"{path.name} lacks the image {inside}, which its table of captions names."
                    ) from error

    return read


def overlap(train: Inputs, test: Inputs) -> Iterator[int]:
    """Yield the positions of training samples whose content is also among the test samples."""
    there = {_content(item) for items in (test.texts, test.images) for item in items}
    contents = [_content(item) for items in (train.texts, train.images) for item in items]
    yield from (place for place, content in enumerate(contents) if content in there)


def leaks(train: Sequence[Inputs], test: Sequence[Inputs]) -> tuple[int, ...]:
    """Return the positions of training samples whose content, in any source, is also among the test samples."""
    found = {place for one, other in zip(train, test, strict=True) for place in overlap(one, other)}
    return tuple(sorted(found))
