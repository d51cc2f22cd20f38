"""Expected values under shuffled rows, against the mean over every permutation of a small sample."""

from itertools import permutations

import numpy as np
import pytest
import torch

from contrasim_core.measure.closed_form import CLOSED_FORM, MEASURES, closed_form
from contrasim_core.measure.grid import similarity_grids

WITH_NULL = [spec for spec in MEASURES if spec.null is not None]


@pytest.mark.parametrize("measure_id", ["cka.linear", "cka.rbf", "cka.rbf:t=0.4"])
@pytest.mark.parametrize(("dx", "dy"), [(2, 3), (9, 4)])
def test_null_is_the_mean_over_all_permutations(measure_id, dx, dy, layers):
    spec = closed_form(measure_id)
    x, y = layers(5, [dx, dy])
    values = [spec(x, y[list(order)]) for order in permutations(range(5))]
    grid = similarity_grids([x], [y], [spec])[measure_id]
    assert grid.null[0, 0] == pytest.approx(np.mean(values), abs=1e-12)
    assert abs(grid.values[0, 0] - grid.null[0, 0]) > 1e-4


@pytest.mark.parametrize("spec", WITH_NULL, ids=lambda spec: spec.id)
def test_null_is_what_random_permutations_give(spec, layers):
    x, y = layers(40, [6, 8])
    rng = np.random.default_rng(0)
    values = [spec(x, rng.permutation(y)) for _ in range(300)]
    error = np.std(values) / np.sqrt(len(values))
    assert similarity_grids([x], [y], [spec])[spec.id].null[0, 0] == pytest.approx(np.mean(values), abs=4 * error)


def test_debiased_cka_needs_no_null(layers):
    x, y = layers(6, [2, 3])
    spec = closed_form("cka.debiased")
    values = [spec(x, y[list(order)]) for order in permutations(range(6))]
    assert spec.null is None
    assert np.mean(values) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("n", [30, 400])
@pytest.mark.parametrize("spec", WITH_NULL, ids=lambda spec: spec.id)
def test_nulls_of_grids_equal_those_of_pairs(spec, n, layers):
    xs, ys = layers(n, [20, 25]), layers(n, [25, 20, 30], seed=1)
    grid = similarity_grids(xs, ys, [spec])[spec.id]
    with_factors = similarity_grids(xs, ys, [spec, closed_form("procrustes")])[spec.id]

    def pair(x, y):
        return CLOSED_FORM.pair(*(CLOSED_FORM.prepare(torch.tensor(v), "x", None) for v in (x, y)))

    expected = [[spec.null(pair(x, y), **spec.options) for y in ys] for x in xs]
    np.testing.assert_allclose(grid.null, expected, rtol=1e-9)
    np.testing.assert_allclose(with_factors.null, expected, rtol=1e-9)
