"""Parallel texts and captioned images of the hub, from local folders in its format."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from contrasim_core.data import load_data
from contrasim_core.data.pairs import column_of
from contrasim_core.errors import DataError
from tests.tiny import image

datasets = pytest.importorskip("datasets")
XNLI = ("en", "tr")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "unpacked"))


def nested(folder, rows=6, *, languages=("ar", "en", "tr"), empty=None):
    """As `facebook/xnli` stores its configuration `all_languages`; every second premise repeats."""
    folder.mkdir(exist_ok=True)
    table = {
        "premise": [{name: f"{name} premise {row // 2}" for name in languages} for row in range(rows)],
        "hypothesis": [
            {
                "language": list(languages),
                "translation": ["" if row == empty else f"{name} hypothesis {row}" for name in languages],
            }
            for row in range(rows)
        ],
        "label": list(range(rows)),
    }
    datasets.Dataset.from_dict(table).to_parquet(str(folder / "test.parquet"))
    return folder


def test_xnli_gives_premises_and_hypotheses_once(tmp_path):
    folder = nested(tmp_path / "xnli")
    english, turkish = (load_data(folder, column=column_of(name, XNLI)) for name in XNLI)
    assert english.samples == turkish.samples
    assert len(english) == 9  # three premises, six hypotheses
    assert english.texts[:2] == ("en premise 0", "en hypothesis 0")
    assert turkish.texts[:2] == ("tr premise 0", "tr hypothesis 0")
    assert english.samples.ids[:2] == ("test-0-premise", "test-0-hypothesis")


def test_a_limit_counts_what_is_left(tmp_path):
    folder = nested(tmp_path / "xnli", 20)
    assert len(load_data(folder, column=column_of("en", XNLI), limit=10)) == 10


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(DataError, match=r"has no 'de'\. Its languages: ar, en, tr"):
        load_data(nested(tmp_path / "xnli"), column=column_of("en", ("en", "de")))
    with pytest.raises(DataError, match=r"1 rows lack a text; the first is test-2-hypothesis in 'en'"):
        load_data(nested(tmp_path / "holes", empty=2), column=column_of("en", XNLI))


def test_a_column_for_each_language(tmp_path):
    folder = tmp_path / "parallel"
    folder.mkdir()
    pd.DataFrame({"en": ["one", "two"], "tr": ["bir", "iki"]}).to_parquet(folder / "test.parquet")
    found = load_data(folder, column=column_of("tr", XNLI))
    assert found.texts == ("bir", "iki")
    with pytest.raises(DataError, match=r"has no column 'de'\. Its columns: en, tr\. Choose from these"):
        load_data(folder, column=column_of("en", ("en", "de")))


def encoded(seed):
    stream = io.BytesIO()
    Image.fromarray(image(6, 5, seed)).save(stream, "png")
    return stream.getvalue()


def test_images_with_captions(tmp_path):
    folder = tmp_path / "captioned"
    folder.mkdir()
    rows = datasets.Dataset.from_dict(
        {"image": [encoded(0), encoded(1), encoded(0)], "caption": [["a", "b"], ["c"], ["d"]]}
    )
    rows.cast_column("image", datasets.Image()).to_parquet(str(folder / "test.parquet"))
    pictures, captions = (
        load_data(folder, column=column_of(side, ("image", "caption"))) for side in ("image", "caption")
    )
    assert pictures.samples == captions.samples
    assert captions.texts == ("a", "c")  # the third image is the first again
    np.testing.assert_array_equal(pictures.images[1], image(6, 5, 1))


def test_captions_need_both_columns(tmp_path):
    folder = tmp_path / "captions"
    folder.mkdir()
    pd.DataFrame({"caption": ["one"]}).to_parquet(folder / "test.parquet")
    with pytest.raises(DataError, match=r"has the columns caption\. It needs one of image, img, picture and one of"):
        load_data(folder, column=column_of("caption", ("image", "caption")))
