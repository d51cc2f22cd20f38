"""Delete-a-group jackknife intervals against a naive twin."""

import math

import numpy as np
import pytest
from scipy import stats

from contrasim_core.measure.closed_form import MEASURES, closed_form
from contrasim_core.measure.grid import Layer, similarity_grids
from contrasim_core.measure.interval import with_intervals

pytestmark = pytest.mark.filterwarnings("ignore::contrasim_core.errors.FewSamplesWarning")


def naive(spec, x, y, groups):
    """Efron & Tibshirani 1993, chapter 11, with whole groups in place of single rows."""
    n = len(x)
    parts = [[row for row in range(n) if row * groups // n != group] for group in range(groups)]
    values = [spec(x[rows], y[rows]) for rows in parts]
    mean = sum(values) / groups
    error = math.sqrt((groups - 1) / groups * sum((value - mean) ** 2 for value in values))
    return stats.t.ppf(0.975, groups - 1) * error


def intervals(xs, ys, specs, **options):
    on_undefined = options.get("on_undefined", "raise")
    return with_intervals(similarity_grids(xs, ys, specs, on_undefined=on_undefined), xs, ys, specs, **options)


@pytest.mark.parametrize("groups", [2, 5, 10])
def test_intervals_match_their_twin(groups, layers):
    xs, ys = layers(60, [4, 4]), layers(60, [4, 4, 4], seed=1)
    for spec in MEASURES:
        grid = intervals(xs, ys, [spec], groups=groups)[spec.id]
        low, high = spec.bounds
        for i, x in enumerate(xs):
            for j, y in enumerate(ys):
                margin, value = naive(spec, x, y, groups), spec(x, y)
                assert grid.low[i, j] == pytest.approx(value - margin if low is None else max(value - margin, low))
                assert grid.high[i, j] == pytest.approx(value + margin if high is None else min(value + margin, high))
        assert grid.groups == groups


def test_intervals_cover_the_value_of_a_large_sample(layers):
    spec, covered = closed_form("cka.linear"), []
    x, y = layers(30_000, [4, 5])
    truth = spec(x, y)
    for start in range(0, 30_000, 300):
        part = slice(start, start + 300)
        grid = intervals([x[part]], [y[part]], [spec])["cka.linear"]
        covered.append(grid.low[0, 0] <= truth <= grid.high[0, 0])
    assert 0.86 <= np.mean(covered) <= 1  # 95 % of 100, give or take four standard errors


def test_undefined_cells_have_no_interval(layers):
    x, y = layers(40, [4, 4])
    constant = np.ones((40, 4))
    grid = intervals([x, constant], [y], [closed_form("cka.linear")], on_undefined="nan")["cka.linear"]
    assert np.isfinite(grid.low[0]).all() and np.isnan(grid.low[1]).all() and np.isnan(grid.high[1]).all()


def test_a_value_that_is_undefined_without_one_group_has_no_interval(layers):
    x, y = layers(40, [4, 4])
    lone = np.zeros((40, 4))
    lone[:4] = x[:4]  # constant once the first of ten groups is left out
    grid = intervals([lone], [y], [closed_form("cka.linear")], on_undefined="nan")["cka.linear"]
    assert np.isfinite(grid.values).all() and np.isnan(grid.low).all() and np.isnan(grid.high).all()


def test_layers_on_both_sides_are_cut_once(layers, monkeypatch):
    xs, cut, keep = layers(40, [4, 4]), [], Layer.keep
    monkeypatch.setattr(Layer, "keep", lambda layer, index: (cut.append(layer.ref), keep(layer, index))[1])
    intervals(xs, xs, [closed_form("cka.linear")], groups=3)
    assert len(cut) == 3 * 2


def test_progress_tells_of_every_group(layers):
    xs, told = layers(40, [4]), []
    specs = [closed_form("cca.mean")]
    with_intervals(
        similarity_grids(xs, xs, specs), xs, xs, specs, groups=4, progress=lambda *step: told.append(step[0] / step[1])
    )
    assert told == sorted(told)
    assert told[-1] == 1
