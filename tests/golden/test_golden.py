"""A change of structure changes no number: one small run of each kind, compared with what it gave before.

Bit for bit on one machine; here with the tolerance that another processor needs. Accuracies are shares of trials, and
a trial that is nearly tied may turn: they are compared to one trial in seven. PWCCA, which is not unique where
canonical correlations tie, as they do with so few samples, is left to its own tests.
"""

import json
import math

import pytest

from contrasim_core.models.find import bundled_names
from contrasim_core.runs.kinds import KINDS
from tests.golden.make import FILE, compute, specs

GOLDEN = json.loads(FILE.read_text(encoding="utf-8"))
pytestmark = pytest.mark.skipif(not bundled_names(), reason="no bundled models in this checkout")


@pytest.fixture(scope="module")
def computed():
    return compute()


def leaves(value, path=""):
    """Every number and word with its place."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, f"{path}/{name}")
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from leaves(item, f"{path}/{place}")
    else:
        yield path, value


def test_every_kind_has_a_run():
    assert {type(spec) for spec in specs().values()} == {kind.spec for kind in KINDS}


@pytest.mark.parametrize("name", GOLDEN)
def test_numbers_are_what_they_were(name, computed):
    before, now = dict(leaves(GOLDEN[name]["numbers"])), dict(leaves(computed[name]["numbers"]))
    assert before.keys() == now.keys()
    close = {"layer prediction": 0.15, "retrieval": 0.15, "training": 0.02, "paired training": 0.02, "projection": 0.02}
    for place, value in before.items():
        if isinstance(value, float) and not math.isnan(value):
            assert now[place] == pytest.approx(value, rel=1e-4, abs=close.get(name, 1e-4)), place
        elif not isinstance(value, float):
            assert now[place] == value, place


def test_a_changed_number_would_be_seen(computed):
    """The comparison is not one that cannot fail."""
    changed = {place: value * 1.01 for place, value in leaves(computed["comparison"]["numbers"]["grids"]) if value}
    before = dict(leaves(GOLDEN["comparison"]["numbers"]["grids"]))
    assert any(value != pytest.approx(before[place], rel=1e-4, abs=1e-4) for place, value in changed.items())
