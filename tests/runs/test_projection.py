"""Points are what PCA and UMAP make of the rows, and the numbers say how they are sorted."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_samples

from contrasim_core.encoder.spec import EncoderSpec
from contrasim_core.errors import EncoderError, SpecError
from contrasim_core.models.find import bundled_names
from contrasim_core.runs import run
from contrasim_core.runs.paired_training.run import left_out_of
from contrasim_core.runs.projection.methods import (
    SEPARATION,
    aligned,
    moved,
    principal,
    project,
    retrieval,
    separation,
    trustworthiness,
)
from contrasim_core.runs.projection.result import Projection
from contrasim_core.runs.projection.spec import ProjectionSpec
from contrasim_core.runs.projection.words import words_of_projection
from contrasim_core.runs.retrieval.presets import caption_spec, multilingual_spec
from contrasim_core.store import Store

needs_phrases = pytest.mark.skipif("phrases-bert-0" not in bundled_names(), reason="no bundled models in this checkout")


def rows(m=40, d=6, seed=0):
    return np.random.RandomState(seed).normal(size=(m, d)) * np.arange(1, d + 1)


def test_principal_components_are_those_of_scikit_learn():
    expected = PCA(2).fit_transform(rows())
    np.testing.assert_allclose(np.abs(principal(rows())), np.abs(expected), atol=1e-9)
    assert principal(rows(d=1)).shape == (40, 2)


def test_alignment_finds_the_rotation_back():
    points = rows(d=2)
    angle = np.array([[0.6, -0.8], [0.8, 0.6]])
    np.testing.assert_allclose(aligned(3 * points @ angle + 5, points), points, atol=1e-9)
    flipped = points * [1, -1]
    np.testing.assert_allclose(aligned(flipped, points), points, atol=1e-9)


def test_movement_is_told_in_units_of_the_spread():
    before = rows(d=2)
    after = before.copy()
    after[3] += 10 * before.std()
    found = moved(before, after)
    assert found.argmax() == 3
    assert float(np.delete(found, 3).max()) == 0
    assert float(moved(100 * before, 100 * after)[3]) == pytest.approx(float(found[3]))


def naive_retrieval(unit, items, sources):
    wins = 0
    for i in range(len(unit)):
        others = [j for j in range(len(unit)) if sources[j] != sources[i]]
        best = max(others, key=lambda j: unit[i] @ unit[j])
        wins += items[best] == items[i]
    return wins / len(unit)


def test_retrieval_is_that_of_a_plain_search():
    items, sources = np.tile(np.arange(10), 3), np.repeat(np.arange(3), 10)
    base = rows(10, 6)
    noisy = np.tile(base, (3, 1)) + 3 * rows(30, 6, seed=1)
    unit = noisy / np.linalg.norm(noisy, axis=1, keepdims=True)
    assert retrieval(unit, items, sources) == pytest.approx(naive_retrieval(unit, items, sources))
    assert retrieval(np.ones((30, 2)), items, sources) == 0  # all the same: a tie is a loss
    assert retrieval(unit, items, np.zeros(30)) is None


def test_numbers_see_what_rows_are_sorted_by():
    items, sources = np.tile(np.arange(10), 2), np.repeat(np.arange(2), 10)
    meaning, language = np.tile(rows(10, 6), (2, 1)), np.repeat(50 * np.eye(2, 6), 10, axis=0)
    by_item = separation(meaning + 0.01 * rows(20, 6, 3), items, sources)
    by_source = separation(meaning * 0.1 + language, items, sources)
    assert by_item["retrieval"] == 1 and by_item["silhouette by item"] > 0.9 > by_item["silhouette by source"]
    assert by_source["silhouette by source"] > 0.9 > by_source["silhouette by item"]
    alone = separation(meaning[:10], items[:10], sources[:10])
    assert alone["retrieval"] is None and alone["silhouette by item"] is None
    assert set(alone) == set(SEPARATION)
    unit = meaning / np.linalg.norm(meaning, axis=1, keepdims=True)
    expected = silhouette_samples(unit, items, metric="cosine").mean()
    assert separation(meaning, items, sources)["silhouette by item"] == pytest.approx(expected)


def test_a_picture_is_trustworthy_where_neighbours_are_kept():
    flat = rows(40, 2)
    assert trustworthiness(flat - flat.mean(0) + 10, flat) > 0.9
    assert trustworthiness(rows(40, 6), rows(40, 2, seed=5)) < 0.7
    assert trustworthiness(rows(2, 6), rows(2, 2)) is None


def test_umap_leaves_the_threads_of_torch_alone():
    """numba sets them for the whole process: two workers with a thread each would then have two each."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)  # neither numba's default nor what the tests set
    try:
        project(rows(), "umap", neighbours=5)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_umap_is_the_same_for_a_seed_and_starts_where_it_is_told():
    made = [project(rows(), "umap", neighbours=8, seed=seed) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(made[0], made[1])
    assert not np.allclose(made[0], made[2])
    assert made[0].shape == (40, 2)
    other = project(rows(), "umap", neighbours=8, start=made[0][::-1])
    assert not np.allclose(made[0], other)


def test_too_few_points_are_refused():
    with pytest.raises(SpecError, match=r"3 points are too few for a projection\. Give at least 4"):
        project(rows(3), "pca")


@needs_phrases
@pytest.mark.parametrize("kind", ["contrasim", "contrasim.relative"])
def test_before_and_after_of_a_bundled_model(tmp_path, kind):
    languages = ("en", "tr", "zh")
    spec = multilingual_spec(
        measures=(kind,), languages=languages, rows=(64, 30), encoder=EncoderSpec(epochs=2, batch_rows=32, anchors=16)
    )
    asked = ProjectionSpec(sources=spec.test[:2], training=spec.training(kind), pair=0, layer=3, items=12)
    store = Store(tmp_path, example=None)
    made = run(asked, store=store)
    assert made.before.shape == made.after.shape == (24, 2)
    assert made.sources == ("en", "tr")
    assert made.recipe["encoder"] == f"{kind}, trained on en and tr"
    assert len(made.texts) == 24 and made.texts[0] != made.texts[12]
    assert set(made.numbers) == {"before", "after"}
    assert made.recipe["samples judged"] == "30", "all there are, though 12 are shown"
    back = Projection.load(store.folder(asked.kind, asked.key))
    np.testing.assert_array_equal(back.after, made.after)
    assert (back.ids, back.texts, back.numbers, back.recipe) == (made.ids, made.texts, made.numbers, made.recipe)
    assert list(back.to_pandas().columns) == [
        "sample", "source", "before x", "before y", "after x", "after y", "moved", "text",
    ]  # fmt: skip


@needs_phrases
def test_numbers_of_two_models_before_the_encoder_are_not_made(tmp_path):
    """Their coordinates have nothing in common, so that near and far between them say nothing."""
    spec = caption_spec(measures=("contrasim",), rows=(48, 30), encoder=EncoderSpec(epochs=1, batch_rows=32))
    asked = ProjectionSpec(sources=(spec.test[0], spec.test[2]), training=spec.training("contrasim"), items=12)
    made = run(asked, store=Store(tmp_path, example=None))
    assert {name for name, value in made.numbers["before"].items() if value is not None} == {"trustworthiness"}
    assert made.numbers["after"]["retrieval"] is not None
    assert "nearest after the encoder" in words_of_projection(made).title
    assert "before" not in words_of_projection(made).title


@needs_phrases
def test_shown_samples_are_left_out_of_the_training(tmp_path):
    """As the benchmark does, so that both have the same encoder."""
    spec = multilingual_spec(
        measures=("contrasim",), languages=("en", "tr"), rows=(48, 30), encoder=EncoderSpec(epochs=1, batch_rows=32)
    )
    asked = ProjectionSpec(sources=spec.train[:2], training=spec.training("contrasim").replace(apart_from=()), items=12)
    with pytest.raises(EncoderError, match="rows are too few to train on"):
        run(asked, store=Store(tmp_path, example=None))
    assert left_out_of(asked.trained) == tuple(range(48))


@needs_phrases
def test_without_an_encoder_there_is_only_before(tmp_path):
    spec = multilingual_spec(measures=("dot",), rows=(64, 30))
    made = run(ProjectionSpec(sources=spec.test, items=10), store=Store(tmp_path, example=None))
    assert made.after is None and len(made.moved) == 0
    assert made.recipe["layer"] == "6"
    with pytest.raises(SpecError, match="has no layer 17"):
        run(ProjectionSpec(sources=spec.test, layer=17), store=Store(tmp_path, example=None))
