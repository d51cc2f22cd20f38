"""The public functions on matrices: similarity, similarity_grid, measures."""

import warnings

import numpy as np
import pytest
import torch

import contrasim_core as cs
from contrasim_core.activations.layer import Activations
from contrasim_core.encoder.spec import ENCODER_KINDS
from contrasim_core.errors import FewSamplesWarning, NotFiniteError, PairingError, ShapeError, SpecError
from contrasim_core.measure.closed_form import MEASURES, closed_form
from contrasim_core.refs import LayerRef, SampleSet


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 5))
    return x, x @ rng.normal(size=(5, 5)) + rng.normal(size=(60, 5))


def test_all_measures_are_listed_closed_form_first():
    listed = [spec.id for spec in cs.measures()]
    assert listed[: len(MEASURES)] == [spec.id for spec in MEASURES]
    assert set(listed[len(MEASURES) :]) == set(ENCODER_KINDS)


@pytest.mark.parametrize("spec", MEASURES, ids=lambda spec: spec.id)
def test_similarity_is_the_value_of_the_measure(spec, pair):
    x, y = pair
    assert cs.similarity(x, y, spec.id) == cs.similarity(x, y, spec) == spec(x, y)


def test_arrays_tensors_and_lists_give_one_value(pair):
    x, y = pair
    expected = cs.similarity(x, y)
    assert cs.similarity(torch.tensor(x), torch.tensor(y, requires_grad=True)) == pytest.approx(expected, abs=1e-14)
    assert cs.similarity(x.tolist(), y.tolist()) == pytest.approx(expected, abs=1e-14)
    assert cs.similarity(np.asfortranarray(x), y[::-1][::-1]) == pytest.approx(expected, abs=1e-14)


def test_options_as_keywords_or_in_the_id(pair):
    x, y = pair
    assert (
        cs.similarity(x, y, "cka.rbf", t=0.4) == cs.similarity(x, y, "cka.rbf:t=0.4") != cs.similarity(x, y, "cka.rbf")
    )
    assert cs.similarity_grid([x], [y], "cka.rbf", t=0.4).measure == "cka.rbf:t=0.4"
    with pytest.raises(SpecError, match=r"cka\.rbf has no option sigma\. Its options: t=0\.8\."):
        cs.similarity(x, y, "cka.rbf", sigma=1.0)


def test_unknown_measures_are_refused_with_the_known_ones(pair):
    with pytest.raises(SpecError, match=r"No measure 'ckka'\. Registered: cka\.linear, cka\.rbf"):
        cs.similarity(*pair, "ckka")


def test_all_errors_are_of_one_tree(pair):
    x, y = pair
    for call in (
        lambda: cs.similarity(x, y[:5]),
        lambda: cs.similarity(x, "text"),
        lambda: cs.similarity(x * np.nan, y),
        lambda: cs.similarity(x * 0, y),
        lambda: cs.similarity(x, y, "nothing"),
        lambda: cs.similarity_grid([x], []),
    ):
        with pytest.raises(cs.ContraSimError):
            call()


def test_the_broken_side_is_named(pair):
    x, y = pair
    y[4, 1] = np.nan
    with pytest.raises(NotFiniteError, match=r"^y has NaN or infinity in 1 of 60 rows"):
        cs.similarity(x, y)
    with pytest.raises(ShapeError, match=r"^y has shape \(60,\)"):
        cs.similarity(x, y[:, 0])


def test_few_samples_are_warned_of_at_the_callers_line():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 5)), rng.normal(size=(6, 9))
    with pytest.warns(FewSamplesWarning, match=r"cca\.mean with n = 6 samples and up to 9 features") as caught:
        assert cs.similarity(x.tolist(), y, "cca.mean") == pytest.approx(1)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cs.similarity(x, y, "cka.linear")


@pytest.mark.parametrize("spec", MEASURES, ids=lambda spec: spec.id)
def test_grids_equal_similarities(spec, pair):
    x, y = pair
    grid = cs.similarity_grid([x, y], [y, x, y + 1], spec.id)
    expected = [[cs.similarity(a, b, spec.id) for b in (y, x, y + 1)] for a in (x, y)]
    np.testing.assert_allclose(grid.to_numpy(), expected, rtol=1e-9, atol=1e-12)


def test_one_list_is_compared_with_itself(pair):
    grid = cs.similarity_grid(pair)
    assert grid.values.shape == (2, 2)
    np.testing.assert_allclose(np.diag(grid.values), 1)
    np.testing.assert_allclose(grid.values, grid.values.T)


def test_symmetrise(pair):
    x, y = pair
    found = cs.similarity_grid([x], [y], "regression.r2", symmetrise=True).values[0, 0]
    spec = closed_form("regression.r2")
    assert found == pytest.approx((spec(x, y) + spec(y, x)) / 2)


def test_activations_keep_their_names_and_must_pair(pair):
    x, y = pair
    samples = SampleSet(tuple(map(str, range(60))))
    a = Activations.of(x, layer=LayerRef("net", 3, "block 3"), samples=samples, recipe={"pooling": "cls"})
    b = Activations.of(y, layer=LayerRef("other", 1, "block 1"), samples=samples)
    grid = cs.similarity_grid([a], [b])
    assert (grid.rows, grid.columns, grid.recipe) == ((a.layer,), (b.layer,), {"pooling": "cls"})
    assert grid.values[0, 0] == pytest.approx(cs.similarity(x, y))
    assert cs.compare([a], [b], measure="cka.debiased").values[0, 0] == pytest.approx(
        cs.similarity(x, y, "cka.debiased")
    )
    shuffled = Activations.of(y, layer=b.layer, samples=SampleSet(samples.ids[::-1]))
    for call in (cs.similarity_grid, cs.compare):
        with pytest.raises(PairingError, match="the same ids in another order"):
            call([a], [shuffled])


def test_anchors_are_refused_by_closed_form_measures(pair):
    x, y = pair
    with pytest.raises(SpecError, match=r"anchors are only for a trained contrasim\.relative"):
        cs.similarity_grid([x], [y], anchors=([x], [y]))


def test_benchmark_without_activations_says_so():
    with pytest.raises(cs.ContraSimError, match="layers of two or more models"):
        cs.benchmark(test={})
