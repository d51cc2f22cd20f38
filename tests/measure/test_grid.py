"""Grids: equal to the value pair by pair by whatever route, and clear about layers they cannot compare."""

import re
import warnings

import numpy as np
import pytest
import torch

from contrasim_core.activations.layer import Activations
from contrasim_core.errors import (
    ConstantLayerError,
    FewSamplesWarning,
    NotFiniteError,
    PairingError,
    ShapeError,
    SpecError,
    TooFewSamplesError,
)
from contrasim_core.measure import bulk, factors
from contrasim_core.measure.closed_form import MEASURES, ClosedForm, closed_form
from contrasim_core.measure.factors import PairFactors
from contrasim_core.measure.grid import few_samples_note, group_complement, similarity_grids
from contrasim_core.measure.linalg import row_spread
from contrasim_core.refs import LayerRef, SampleSet

FREE_WIDTH = [spec for spec in MEASURES if not spec.same_width]
STREAMING = [spec for spec in MEASURES if spec.streams]
CROSS_GRAM = [spec for spec in MEASURES if spec.forms.sums is not None]

pytestmark = pytest.mark.filterwarnings("ignore::contrasim_core.errors.FewSamplesWarning")


def by_pairs(spec, xs, ys):
    return np.array([[spec(x, y) for y in ys] for x in xs])


def taken_routes(monkeypatch):
    """Which of the two routes to cross-Gram sums is called."""
    taken = []
    for name in ("_gram_route", "_feature_route"):
        route = getattr(bulk, name)
        monkeypatch.setattr(bulk, name, lambda *args, route=route, name=name: (taken.append(name), route(*args))[1])
    return taken


@pytest.mark.parametrize("together", [True, False], ids=["together", "one by one"])
def test_grids_equal_the_values_pair_by_pair(together, layers):
    xs, ys = layers(70, [5, 8, 5]), layers(70, [6, 5, 9, 5], seed=1)
    requests = [FREE_WIDTH] if together else [[spec] for spec in FREE_WIDTH]
    for specs in requests:
        for spec in specs:
            grid = similarity_grids(xs, ys, specs)[spec.id]
            assert grid.values.shape == (3, 4)
            np.testing.assert_allclose(grid.values, by_pairs(spec, xs, ys), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("spec", [spec for spec in MEASURES if spec.same_width], ids=lambda spec: spec.id)
def test_grids_of_measures_that_need_equal_widths(spec, layers):
    xs, ys = layers(30, [5, 5]), layers(30, [5, 5, 5], seed=1)
    np.testing.assert_allclose(similarity_grids(xs, ys, [spec])[spec.id].values, by_pairs(spec, xs, ys), rtol=1e-9)


@pytest.mark.parametrize("same_sides", [True, False])
@pytest.mark.parametrize(("n", "route"), [(90, "_gram_route"), (400, "_feature_route")])
def test_both_routes_of_cka_equal_the_values_pair_by_pair(n, route, same_sides, layers, monkeypatch):
    monkeypatch.setattr(bulk, "GRAM_BLOCK", 32)  # several blocks, the last one smaller
    monkeypatch.setattr(bulk, "FLOAT32_TERMS", 300)
    monkeypatch.setattr(bulk, "STREAM_BLOCK", 64)
    taken = taken_routes(monkeypatch)
    xs = layers(n, [30, 40, 35])
    ys = xs if same_sides else layers(n, [40, 25], seed=1)
    grids = similarity_grids(xs, ys, CROSS_GRAM)
    assert taken == [route]
    for spec in CROSS_GRAM:
        np.testing.assert_allclose(grids[spec.id].values, by_pairs(spec, xs, ys), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n", [90, 1500])
def test_a_layer_on_both_sides_is_taken_once(n, layers, monkeypatch):
    read = []
    monkeypatch.setattr(factors, "row_spread", lambda x, name: (read.append(name), row_spread(x, name))[1])
    a, b, c = layers(n, [30, 40, 35])
    grids = similarity_grids([a, b], [b, c], CROSS_GRAM)
    assert len(read) == 3
    for spec in CROSS_GRAM:
        np.testing.assert_allclose(grids[spec.id].values, by_pairs(spec, [a, b], [b, c]), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n", [60, 900], ids=["gram route", "feature route"])
def test_float32_data_far_from_zero_lose_nothing(n, layers):
    """[CLS] states of real models have a mean hundreds of times their spread."""
    wide = [5000 + x for x in layers(n, [12, 12, 12, 12])]
    narrow = [x.astype(np.float32) for x in wide]
    assert narrow[0].mean(0).min() > 300 * narrow[0].std(0).max()
    for specs in ([spec] for spec in MEASURES):
        found = similarity_grids(narrow[:2], narrow[2:], specs)[specs[0].id].values
        exact = by_pairs(specs[0], *([x.astype(np.float64) for x in narrow[part]] for part in (slice(2), slice(2, 4))))
        np.testing.assert_allclose(found, exact, rtol=1e-6, atol=1e-6)


def test_half_precision_is_taken_as_float32(layers):
    xs = [torch.tensor(x).half() for x in layers(50, [6, 7])]
    grid = similarity_grids(xs, xs, [closed_form("cka.linear")])["cka.linear"]
    np.testing.assert_allclose(
        grid.values, by_pairs(closed_form("cka.linear"), *([x.double() for x in xs],) * 2), atol=1e-6
    )


@pytest.mark.parametrize("symmetrise", [True, False])
@pytest.mark.parametrize("same_sides", [True, False])
def test_streamed_equals_in_memory(same_sides, symmetrise, layers, monkeypatch):
    monkeypatch.setattr(bulk, "STREAM_BLOCK", 32)
    xs = layers(150, [5, 8, 5])
    ys = xs if same_sides else layers(150, [6, 9], seed=1)
    held = similarity_grids(xs, ys, FREE_WIDTH, symmetrise=symmetrise)
    streamed = similarity_grids(xs, ys, FREE_WIDTH, symmetrise=symmetrise, memory_budget=0)
    for name, grid in held.items():
        np.testing.assert_allclose(streamed[name].values, grid.values, rtol=1e-8, atol=1e-9, err_msg=name)
        if grid.null is not None:
            np.testing.assert_allclose(streamed[name].null, grid.null, rtol=1e-8, err_msg=name)


def test_streaming_reads_blocks_and_never_a_whole_layer(layers, monkeypatch):
    monkeypatch.setattr(bulk, "STREAM_BLOCK", 32)
    samples, sizes = SampleSet(tuple(map(str, range(150)))), []

    def stored(values, index):
        def read(start, stop):
            sizes.append(stop - start)
            return torch.tensor(values[start:stop])

        return Activations(LayerRef("a", index, f"block {index}"), samples, read)

    xs = [stored(values, i) for i, values in enumerate(layers(150, [5, 8]))]
    similarity_grids(xs, xs, STREAMING, memory_budget=0)
    assert max(sizes) == 32


def test_float32_far_from_zero_streams_exactly(layers, monkeypatch):
    monkeypatch.setattr(bulk, "STREAM_BLOCK", 64)
    xs = [(500 + x).astype(np.float32) for x in layers(200, [6, 7])]
    exact = [x.astype(np.float64) for x in xs]
    streamed = similarity_grids(xs, xs, STREAMING, memory_budget=0)
    for spec in STREAMING:
        np.testing.assert_allclose(streamed[spec.id].values, by_pairs(spec, exact, exact), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("measure_id", ["pwcca", "regression.r2"])
def test_symmetrised_grids_are_the_mean_of_both_directions(measure_id, layers):
    spec, xs, ys = closed_form(measure_id), layers(60, [5, 7, 4]), layers(60, [6, 5], seed=1)
    forth, back = by_pairs(spec, xs, ys), by_pairs(spec, ys, xs).T
    assert np.abs(forth - back).max() > 1e-3
    found = similarity_grids(xs, ys, [spec], symmetrise=True)[measure_id].values
    np.testing.assert_allclose(found, (forth + back) / 2, atol=1e-9)
    own = similarity_grids(xs, xs, [spec], symmetrise=True)[measure_id].values
    np.testing.assert_allclose(own, own.T, atol=1e-12)
    np.testing.assert_allclose(own, (by_pairs(spec, xs, xs) + by_pairs(spec, xs, xs).T) / 2, atol=1e-9)


def test_symmetrising_leaves_symmetric_measures_alone(layers):
    xs, ys, spec = layers(60, [5, 7]), layers(60, [6, 5], seed=1), closed_form("cca.mean")
    plain, symmetrised = (
        similarity_grids(xs, ys, [spec], symmetrise=flag)["cca.mean"].values for flag in (False, True)
    )
    np.testing.assert_array_equal(plain, symmetrised)


def test_the_grid_carries_its_provenance(layers):
    xs, ys = layers(60, [5, 7]), layers(60, [6, 5, 4], seed=1)
    grid = similarity_grids(xs, ys, [closed_form("cka.rbf:t=0.4")])["cka.rbf:t=0.4"]
    assert (grid.measure, grid.n, grid.bounds, grid.direction) == ("cka.rbf:t=0.4", 60, (0.0, 1.0), "similarity")
    assert [layer.name for layer in grid.rows] == ["x[0]", "x[1]"]
    assert [layer.name for layer in grid.columns] == ["y[0]", "y[1]", "y[2]"]
    assert grid.to_pandas().shape == (2, 3)


# --- layers that cannot be compared ---------------------------------------------------------------------------------

UNDEFINED = [spec for spec in MEASURES if not spec.same_width]


def spoil(layers, how):
    x, y, z = layers(40, [6, 6, 6])
    if how == "constant":
        y = np.tile(y[:1].astype(np.float32), (40, 1))
    else:
        y = y.copy()
        y[3, 2] = y[7, 0] = {"nan": np.nan, "infinity": np.inf}[how]
    return [x, y, z]


MESSAGES = {
    "constant": (ConstantLayerError, r"x layer 1 \(x\[1\]\) has no variance: all 40 rows are the same"),
    "nan": (NotFiniteError, r"x layer 1 \(x\[1\]\) has NaN or infinity in (2|some) of (its )?40 rows"),
    "infinity": (NotFiniteError, r"x layer 1 \(x\[1\]\) has NaN or infinity in (2|some) of (its )?40 rows"),
}


@pytest.mark.parametrize("memory_budget", [2**30, 0], ids=["held", "streamed"])
@pytest.mark.parametrize("how", MESSAGES)
@pytest.mark.parametrize("spec", UNDEFINED, ids=lambda spec: spec.id)
def test_undefined_layers_raise_or_leave_nan_cells_with_the_reason(spec, how, memory_budget, layers):
    xs = spoil(layers, how)
    kind, message = MESSAGES[how]
    with pytest.raises(kind, match=message):
        similarity_grids(xs, xs[::2], [spec], memory_budget=memory_budget)
    grid = similarity_grids(xs, xs[::2], [spec], on_undefined="nan", memory_budget=memory_budget)[spec.id]
    assert np.isnan(grid.values).tolist() == [[False, False], [True, True], [False, False]]
    assert len(grid.undefined) == 1
    assert re.search(message, grid.undefined[0])
    assert grid.row_best()[1] is None
    np.testing.assert_allclose(grid.values[[0, 2]], by_pairs(spec, xs[::2], xs[::2]), rtol=1e-8)
    if grid.null is not None:
        assert np.isnan(grid.null).tolist() == np.isnan(grid.values).tolist()


@pytest.mark.parametrize("measure_id", ["dot", "norm"])
def test_row_wise_measures_take_constant_layers_but_not_nan(measure_id, layers):
    spec = closed_form(measure_id)
    constant = spoil(layers, "constant")
    assert np.isfinite(similarity_grids(constant, constant, [spec])[measure_id].values).all()
    broken = spoil(layers, "nan")
    with pytest.raises(NotFiniteError, match=r"NaN or infinity in 2 of 40 rows\. Mend or drop those rows first"):
        similarity_grids(broken, broken, [spec])


def test_one_undefined_layer_does_not_slow_the_others(layers, monkeypatch):
    """The embedding layer of [CLS] is constant in every BERT; the other layers must still take the fast route."""
    xs, pairs = spoil(layers, "constant"), []
    monkeypatch.setattr(ClosedForm, "pair", lambda _self, a, b: (pairs.append((a, b)), PairFactors(a, b))[1])
    grid = similarity_grids(xs, xs, [closed_form("cka.linear")], on_undefined="nan")["cka.linear"]
    assert np.isnan(grid.values).sum() == 5
    assert len(pairs) == 5, "one per cell that needs its reason"


def test_repeated_rows_leave_rbf_cka_undefined(layers):
    x, y = layers(40, [5, 5])
    x[:30] = x[0]
    for_pair, for_grid = "x: more than half of the rows coincide", r"x layer 0 \(x\[0\]\): more than half of the rows"
    with pytest.raises(ConstantLayerError, match=for_pair):
        closed_form("cka.rbf")(x, y)
    with pytest.raises(ConstantLayerError, match=for_grid):
        similarity_grids([x], [y], [closed_form("cka.rbf")])


def test_debiased_cka_of_one_odd_row_is_undefined():
    x = np.zeros((6, 3))
    x[0] = 1
    with pytest.raises(ConstantLayerError, match="its debiased self-similarity is not positive at n = 6"):
        closed_form("cka.debiased")(x, np.random.default_rng(0).normal(size=(6, 3)))


@pytest.mark.parametrize("specs", [MEASURES, [closed_form("cka.debiased")]], ids=["all", "debiased"])
def test_too_few_rows(specs, layers):
    xs = layers(3, [2, 2])
    with pytest.raises(TooFewSamplesError, match=r"cka\.debiased needs at least 4 samples; there are 3\."):
        similarity_grids(xs, xs, specs)
    grids = similarity_grids(xs, xs, specs, on_undefined="nan")
    assert np.isnan(grids["cka.debiased"].values).all()
    assert grids["cka.debiased"].undefined == ("cka.debiased needs at least 4 samples; there are 3.",)


def test_unequal_widths_in_a_grid_of_dot_products(layers):
    xs = layers(30, [3, 5])
    with pytest.raises(ShapeError, match="dot needs equal widths; x has 3 columns and y has 5"):
        similarity_grids(xs, xs, [closed_form("dot")])
    grid = similarity_grids(xs, xs, [closed_form("dot")], on_undefined="nan")["dot"]
    assert np.isnan(grid.values).tolist() == [[False, True], [True, False]]


def test_unequal_numbers_of_rows(layers):
    x, y = layers(30, [3, 5])
    message = r"y layer 0 \(y\[0\]\) has 29 rows and x layer 0 \(x\[0\]\) has 30. Row i of every layer must be sample i"
    with pytest.raises(ShapeError, match=message):
        similarity_grids([x], [y[:29]], MEASURES)


def test_no_layers():
    with pytest.raises(ShapeError, match="A grid needs at least one layer on each side"):
        similarity_grids([], [np.ones((3, 3))], MEASURES)


def test_a_measure_asked_for_twice(layers):
    xs = layers(30, [3])
    with pytest.raises(SpecError, match="A measure is asked for twice: dot, dot"):
        similarity_grids(xs, xs, [closed_form("dot"), closed_form("dot")])


def test_mismatched_samples_are_refused_before_anything_is_computed(layers):
    ids = [f"s{i}" for i in range(30)]
    x, y = (
        Activations.of(values, layer=LayerRef(model, 1, "block 1"), samples=SampleSet(tuple(order)))
        for values, model, order in zip(layers(30, [3, 5]), "ab", (ids, ids[::-1]), strict=True)
    )
    message = r"a layer 1 \(block 1\) and b layer 1 \(block 1\) were not extracted on the same samples .*another order"
    with pytest.raises(PairingError, match=message):
        similarity_grids([x], [y], MEASURES)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("spec", MEASURES, ids=lambda spec: spec.id)
def test_few_samples_are_warned_of_where_values_saturate(spec, layers):
    xs = layers(9, [8, 8])
    if not spec.saturates:
        assert similarity_grids(xs, xs, [spec])[spec.id].notes == ()
        return
    message = (
        rf"^{re.escape(spec.id)} with n = 9 samples and up to 8 features: with n <= d \+ 1 it is close to its maximum"
    )
    with pytest.warns(FewSamplesWarning, match=message):
        grid = similarity_grids(xs, xs, [spec])[spec.id]
    assert re.match(message, grid.notes[0])
    assert few_samples_note(spec, 10, 8) == ""
    with warnings.catch_warnings():
        similarity_grids(layers(10, [8]), layers(10, [8]), [spec])


@pytest.mark.parametrize(
    "spec", [spec for spec in MEASURES if spec.saturates and spec.id != "svcca"], ids=lambda s: s.id
)
def test_the_warning_is_true(spec):
    """Unrelated data reach the maximum once n <= d + 1."""
    rng = np.random.default_rng(0)
    assert spec(rng.normal(size=(9, 8)), rng.normal(size=(9, 8))) == pytest.approx(1)
    assert spec(rng.normal(size=(80, 8)), rng.normal(size=(80, 8))) < 0.5


def test_shared_best_values_win_nothing(layers):
    x, y = layers(40, [5, 5])
    grid = similarity_grids([x, y], [x, y, x], [closed_form("cka.linear")])["cka.linear"]
    assert grid.row_best() == [None, 1]


def test_progress_reaches_its_end(layers):
    xs, told = layers(30, [4, 5]), []
    similarity_grids(xs, xs, MEASURES[3:6], progress=lambda done, total, what: told.append((done, total, what)))
    assert told == [(1, 2, "Comparing layers"), (2, 2, "Comparing layers")]


@pytest.mark.parametrize(("n", "groups"), [(25, 5), (23, 5), (7, 7), (100, 3)])
def test_groups_are_contiguous_and_cover_every_row_once(n, groups):
    left_out = [sorted(set(range(n)) - set(group_complement(n, groups, g).tolist())) for g in range(groups)]
    assert [row for group in left_out for row in group] == list(range(n))
    assert max(map(len, left_out)) - min(map(len, left_out)) <= 1
