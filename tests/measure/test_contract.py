"""What every closed-form measure claims of itself, in both directions: claims hold, and what is not claimed breaks."""

import re
import typing

import numpy as np
import pytest

from contrasim_core.errors import ShapeError, TooFewSamplesError
from contrasim_core.measure.closed_form import MEASURES
from contrasim_core.measure.table import Invariance

WIDTH = 7
KNOWN = typing.get_args(Invariance)


def rotation(rng, d):
    return np.linalg.qr(rng.normal(size=(d, d)))[0]


def stretch(rng, d):
    """An invertible map that is far from a rotation."""
    return rotation(rng, d) @ np.diag(np.geomspace(1, 30, d)) @ rotation(rng, d)


MAPS = {
    "translation": lambda x, rng: x + 3 * rng.normal(size=x.shape[1]),
    "scale": lambda x, _rng: 3.7 * x,
    "permutation": lambda x, _rng: np.roll(x, 3, axis=1),
    "orthogonal": lambda x, rng: x @ rotation(rng, x.shape[1]),
    "linear": lambda x, rng: x @ stretch(rng, x.shape[1]),
}

every_measure = pytest.mark.parametrize("spec", MEASURES, ids=lambda spec: spec.id)


@pytest.fixture
def pair(layers):
    return layers(60, [WIDTH, WIDTH])


def claims(spec, side):
    return set(spec.invariant_to if side == "x" or spec.invariant_to_y is None else spec.invariant_to_y)


@every_measure
@pytest.mark.parametrize("side", ["x", "y"])
@pytest.mark.parametrize("name", MAPS)
def test_claimed_invariances_hold_and_unclaimed_ones_break(spec, side, name, pair):
    x, y = pair
    rng = np.random.default_rng(7)
    before = spec(x, y)
    after = spec(MAPS[name](x, rng), y) if side == "x" else spec(x, MAPS[name](y, rng))
    change = abs(after - before) / abs(before)
    if name in claims(spec, side):
        assert change < 1e-9
    else:
        assert change > 1e-3


@every_measure
def test_joint_rotation_holds_where_claimed_and_breaks_elsewhere(spec, pair):
    x, y = pair
    q = rotation(np.random.default_rng(8), WIDTH)
    change = abs(spec(x @ q, y @ q) - spec(x, y)) / abs(spec(x, y))
    assert change < 1e-9 if "joint orthogonal" in spec.invariant_to else change > 1e-3


@every_measure
def test_claims_are_of_the_known_set_and_follow_from_each_other(spec):
    for side in ("x", "y"):
        claimed = claims(spec, side)
        assert claimed <= set(KNOWN)
        if "linear" in claimed:
            assert {"scale", "permutation", "orthogonal"} <= claimed
        if "orthogonal" in claimed:
            assert "permutation" in claimed
    assert set(MAPS) | {"joint orthogonal"} == set(KNOWN), "test the new invariance too"


@every_measure
def test_symmetry_is_as_claimed(spec, pair):
    x, y = pair
    difference = abs(spec(x, y) - spec(y, x)) / abs(spec(x, y))
    assert difference < 1e-12 if spec.symmetric else difference > 1e-3


@every_measure
def test_direction_tells_paired_rows_from_shuffled_ones(spec, pair):
    x, _ = pair
    shuffled = np.random.default_rng(1).permutation(x)
    assert spec.direction == "similarity", "give distances their own branch here"
    assert spec(x, x) > spec(x, shuffled)


SHAPES = [(40, 5, 5), (12, 30, 30), (40, 3, 9), (9, 20, 4)]
SHAPED = [(spec, *shape) for spec in MEASURES for shape in SHAPES if shape[1] == shape[2] or not spec.same_width]


@pytest.mark.parametrize(("spec", "n", "dx", "dy"), SHAPED, ids=lambda item: getattr(item, "id", str(item)))
def test_bounds_are_respected(spec, n, dx, dy, layers):
    rng = np.random.default_rng(n)
    low, high = spec.bounds
    x, y = layers(n, [dx, dy])
    samples = [(x, y), (rng.normal(size=(n, dx)), rng.normal(size=(n, dy))), (rng.standard_cauchy((n, dx)), y), (x, -y)]
    for a, b in samples:
        value = spec(a, b)
        assert np.isfinite(value)
        assert low is None or value >= low - 1e-12
        assert high is None or value <= high + 1e-12


@every_measure
def test_a_layer_is_most_alike_itself(spec, pair):
    x, y = pair
    if spec.bounds[1] is not None or spec.id == "cka.debiased":
        assert spec(x, x) == pytest.approx(1, abs=1e-12)
    else:  # an inner product: Cauchy and Schwarz
        assert spec(x, y) ** 2 < spec(x, x) * spec(y, y)


@every_measure
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_inputs_are_not_modified(spec, dtype, pair):
    x, y = (item.astype(dtype) for item in pair)
    before = x.copy(), y.copy()
    spec(x, y)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(y, before[1])


@every_measure
def test_too_few_samples_are_refused_and_enough_are_not(spec, layers):
    x, y = layers(spec.min_samples + 4, [3, 3])
    least, few = spec.min_samples, spec.min_samples - 1
    assert np.isfinite(spec(x[: least + (spec.id == "cka.debiased")], y[: least + (spec.id == "cka.debiased")]))
    with pytest.raises(
        TooFewSamplesError, match=f"^{re.escape(spec.id)} needs at least {least} samples; there are {few}.$"
    ):
        spec(x[:few], y[:few])


@every_measure
def test_unequal_widths_are_refused_only_where_equal_ones_are_needed(spec, layers):
    x, y = layers(40, [3, 5])
    if not spec.same_width:
        assert np.isfinite(spec(x, y))
        return
    message = rf"{spec.id} needs equal widths; x has 3 columns and y has 5. CKA, CCA, Procrustes"
    with pytest.raises(ShapeError, match=message):
        spec(x, y)


@every_measure
def test_the_source_names_a_paper(spec):
    assert re.search(r"arXiv:\d{4}\.\d{4,5}|doi\.org/10\.", spec.source)
    assert spec.formula and spec.label


def test_ids_and_labels_are_unique():
    assert len({spec.id for spec in MEASURES}) == len({spec.label for spec in MEASURES}) == len(MEASURES)


def test_unequal_numbers_of_rows_are_refused(layers):
    x, y = layers(20, [3, 3])
    with pytest.raises(ShapeError, match=r"x has 20 rows and y has 19\. Row i of both must be sample i"):
        MEASURES[0](x, y[:19])
