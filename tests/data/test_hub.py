"""Data sets in the format of the Hugging Face hub, from a local folder, through the real `datasets` library."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from contrasim_core.data import hub, load_data, resolve_data
from contrasim_core.errors import DataError, UnknownDataError
from tests.tiny import image

datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """What `datasets` unpacks stays in the test's folder."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "unpacked"))


def encoded(seed):
    stream = io.BytesIO()
    Image.fromarray(image(6, 5, seed)).save(stream, "png")
    return stream.getvalue()


@pytest.fixture
def texts(tmp_path):
    """Two splits in parquet, as the hub stores them."""
    folder = tmp_path / "owner-texts"
    (folder / "data").mkdir(parents=True)
    for split, rows in (("train", 4), ("test", 3)):
        frame = pd.DataFrame({"text": [f"{split} text {i}" for i in range(rows)], "label": range(rows),
                              "title": [f"{split} title {i}" for i in range(rows)]})  # fmt: skip
        frame.to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")
    return folder


@pytest.mark.parametrize(("split", "rows"), [("train", 4), ("test", 3)])
def test_texts_in_parquet(split, rows, texts, capfd):
    inputs = load_data(texts, split=split)
    assert inputs.texts == tuple(f"{split} text {i}" for i in range(rows))
    assert inputs.samples.ids == tuple(f"{split}-{i}" for i in range(rows))
    assert inputs.ref.split == split and inputs.ref.fingerprint
    assert capfd.readouterr() == ("", ""), "no progress bars"
    assert datasets.utils.is_progress_bar_enabled(), "and none taken away for good"


def test_limit_and_column(texts):
    inputs = load_data(texts, split="train", limit=2, column="title")
    assert inputs.texts == ("train title 0", "train title 1")
    assert inputs.ref.label == "owner-texts (train, first 2)"


def test_json_lines(tmp_path):
    folder = tmp_path / "lines"
    folder.mkdir()
    (folder / "test.jsonl").write_text('{"sentence": "one"}\n{"sentence": "two"}\n')
    assert load_data(folder).texts == ("one", "two")


def test_images_in_parquet(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    rows = datasets.Dataset.from_dict({"image": [encoded(0), encoded(1)], "label": [0, 1]})
    rows.cast_column("image", datasets.Image()).to_parquet(str(folder / "test.parquet"))
    inputs = load_data(folder)
    assert inputs.modality == "image" and len(inputs) == 2
    np.testing.assert_array_equal(inputs.images[1], image(6, 5, 1))


@pytest.mark.parametrize("value", [{"bytes": encoded(2), "path": "x.png"}, encoded(2), io.BytesIO(encoded(2))])
def test_images_as_bytes(value, texts):
    np.testing.assert_array_equal(hub._image(value, resolve_data(texts)), image(6, 5, 2))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"split": "validation"},
            UnknownDataError,
            r"split validation\) cannot be loaded: .* Check the name, the split",
        ),
        ({"config": "other"}, UnknownDataError, r"\(configuration other, split test\) cannot be loaded"),
        (
            {"column": "body"},
            DataError,
            r"has no column 'body'\. Its columns: text, label, title\. Name the one to use\.$",
        ),
        ({"column": "label"}, DataError, r"a value of type int is neither text nor image\.$"),
    ],
)
def test_what_cannot_be_used_is_told(options, error, message, texts):
    with pytest.raises(error, match=message):
        load_data(texts, **options)


def test_unknown_columns_are_listed(tmp_path):
    folder = tmp_path / "odd"
    folder.mkdir()
    pd.DataFrame({"a": ["x"], "b": ["y"]}).to_parquet(folder / "test.parquet")
    with pytest.raises(DataError, match=r"has no column with a usual name for texts or images\. Its columns: a, b\."):
        load_data(folder)


def test_missing_texts_are_told(tmp_path):
    folder = tmp_path / "gaps"
    folder.mkdir()
    pd.DataFrame({"text": ["x", None]}).to_parquet(folder / "test.parquet")
    with pytest.raises(DataError, match=r"1 texts are empty, such as sample test-1"):
        load_data(folder)


def test_damaged_files_are_told(tmp_path):
    folder = tmp_path / "damaged"
    folder.mkdir()
    (folder / "test.parquet").write_bytes(b"PAR1 no parquet")
    with pytest.raises(UnknownDataError, match="cannot be loaded"):
        load_data(folder)


def test_a_hub_name_that_is_not_here_is_told():
    ref = resolve_data("owner/no-such-data")
    assert (ref.kind, ref.fingerprint) == ("hub", "")
    with pytest.raises(
        UnknownDataError, match=r"^The data set owner/no-such-data \(configuration default, split test\)"
    ):
        load_data(ref)


@pytest.mark.parametrize(("name", "expected"), [("a.parquet", True), ("sub/a.jsonl", True), ("a.png", False)])
def test_which_folders_are_data_sets(name, expected, tmp_path):
    path = tmp_path / "f" / name
    path.parent.mkdir(parents=True)
    path.touch()
    assert hub.is_dataset_folder(tmp_path / "f") is expected
    assert not hub.is_dataset_folder(path)
