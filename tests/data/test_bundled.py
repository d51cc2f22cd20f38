"""The bundled data sets: sizes as promised, splits without a common sample, the same every time, pinned by version."""

import numpy as np
import pytest

from contrasim_core.data import BUNDLED, catalog, load_data, resolve_data
from contrasim_core.data.text import docstrings, sentences
from contrasim_core.errors import SpecError

NAMES = [item.name for item in BUNDLED]
by_name = pytest.mark.parametrize("known", BUNDLED, ids=NAMES)


def contents(inputs):
    return inputs.texts if inputs.modality == "text" else tuple(item.tobytes() for item in inputs.images)


@pytest.fixture(scope="module")
def loaded():
    """Every set and split, loaded once."""
    kept = {}

    def load(name, split):
        if (name, split) not in kept:
            kept[name, split] = load_data(name, split=split)
        return kept[name, split]

    return load


def test_names():
    assert NAMES == ["digits", "photo-patches", "python-docs", "library-docs", "cldr-phrases", "scenes"]


@by_name
def test_sizes(known, loaded):
    """Sets made of Python's or a library's own documentation vary a little with its version."""
    for split, size in known.sizes.items():
        found = len(loaded(known.name, split))
        assert found == size if known.modality == "image" else abs(found - size) < 0.3 * size


@by_name
def test_splits_have_no_sample_in_common(known, loaded):
    train, test = loaded(known.name, "train"), loaded(known.name, "test")
    assert not set(train.samples.ids) & set(test.samples.ids)
    assert train.samples.fingerprint != test.samples.fingerprint
    if known.name != "digits":  # a few tiny digits are drawn exactly alike
        assert not set(contents(train)) & set(contents(test))


@by_name
def test_loading_is_deterministic(known, loaded):
    again = load_data(known.name, split="test")
    assert again.samples == loaded(known.name, "test").samples
    assert contents(again) == contents(loaded(known.name, "test"))


@by_name
def test_limit_takes_the_first(known, loaded):
    few = load_data(known.name, limit=7)
    assert few.samples.ids == loaded(known.name, "test").samples.ids[:7]
    assert contents(few) == contents(loaded(known.name, "test"))[:7]
    assert few.ref.label == f"{known.name} (test, first 7)"


@by_name
def test_content_is_usable(known, loaded):
    inputs = loaded(known.name, "test")
    if known.modality == "text":
        assert known.sides or all(5 <= len(text.split()) <= 60 for text in inputs.texts)
        assert all(inputs.texts) and not inputs.images
        assert len(set(inputs.texts)) == len(inputs.texts)
    else:
        side = 32 if known.name == "scenes" else 8
        assert all(image.shape == (side, side, 3) and image.dtype == np.uint8 for image in inputs.images)
        assert max(int(image.max()) for image in inputs.images) == 255 and not inputs.texts


@by_name
def test_reference_is_pinned_by_what_the_data_are_made_from(known, monkeypatch):
    before = resolve_data(known.name)
    assert before == resolve_data(known.name) == resolve_data(before)
    assert before.fingerprint and before.kind == "bundled"
    monkeypatch.setattr(catalog, "version", lambda _: "0.0")
    monkeypatch.setattr(catalog.platform, "python_version", lambda: "0.0")
    assert resolve_data(known.name).fingerprint != before.fingerprint
    monkeypatch.undo()
    monkeypatch.setattr(catalog, "RECIPE", "other")
    assert resolve_data(known.name).fingerprint != before.fingerprint


def test_fingerprints_of_the_sets_differ():
    assert len({resolve_data(name).fingerprint for name in NAMES}) == len(NAMES)


def test_resolving_does_not_load(monkeypatch):
    monkeypatch.setattr(catalog, "text_inputs", None)
    monkeypatch.setattr(catalog, "image_inputs", None)
    assert resolve_data("digits", limit=3).limit == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "validation"}, r"^digits has no split 'validation'\. It has: train, test\.$"),
        ({"limit": 0}, r"^limit is 0\. It must be 1 or more, or None for all samples\.$"),
        ({"limit": -3}, r"^limit is -3\."),
    ],
)
def test_wrong_options_are_told(options, message):
    with pytest.raises(SpecError, match=message):
        load_data("digits", **options)


def test_digits_are_those_of_sklearn(loaded):
    from sklearn.datasets import load_digits

    inputs = loaded("digits", "test")
    number = int(inputs.samples.ids[0].removeprefix("digit-"))
    np.testing.assert_array_equal(inputs.images[0][:, :, 1], np.round(load_digits().images[number] * 255 / 16))


def test_prose_is_told_from_code_and_markup(tmp_path):
    document = """This is a ``plain`` sentence with *some* markup in it. Another sentence follows it here.

    >>> this is code, not prose at all

Too short here.

==== ==== heading of a table ====

The function :func:`repr` returns what a person can read again.
"""
    assert sentences([document, document]) == [
        "This is a plain sentence with *some* markup in it.",
        "Another sentence follows it here.",
        "The function repr returns what a person can read again.",
    ]
    file = tmp_path / "code.py"
    file.write_text(
        '"""Module."""\nclass A:\n    """Class."""\n    def f(self):\n        """Function."""\n        x = 1\n'
    )
    assert list(docstrings(file)) == ["Module.", "Class.", "Function."]
