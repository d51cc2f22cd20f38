"""Scores of stacks are the measures' own values, batch by batch."""

import re

import pytest
import torch

from contrasim_core.errors import SpecError
from contrasim_core.measure.batched import batched, why_undefined
from contrasim_core.measure.closed_form import MEASURES, closed_form

STACKED = [
    "cka.linear",
    "cka.debiased",
    "cka.rbf",
    "cka.rbf:t=0.4",
    "hsic.linear",
    "procrustes",
    "dot",
    "norm",
    "svcca",
    "svcca:threshold=0.8",
    "svcca:summary=r2",
]
SLOW = ["regression.r2", "cca.mean"]


def stacks(n=8, dx=6, dy=6):
    random = torch.Generator().manual_seed(0)
    x = torch.randn(5, 1, n, dx, generator=random) + 3
    y = torch.randn(5, 4, n, dy, generator=random) - 2
    y[:, 0, :, : min(dx, dy)] += x[:, 0, :, : min(dx, dy)]
    return x, y


@pytest.mark.parametrize("name", [*STACKED, *SLOW])
@pytest.mark.parametrize("shape", [(8, 6, 6), (12, 3, 5), (8, 40, 40)])
def test_each_score_is_the_measures_own_value(name, shape):
    spec = closed_form(name)
    if why_undefined(spec, *shape):
        pytest.skip("not defined for this shape")
    x, y = stacks(*shape)
    found = batched(spec)(x, y)
    assert found.shape == (5, 4)
    for i in range(5):
        for j in range(4):
            assert float(found[i, j]) == pytest.approx(spec(x[i, 0], y[i, j]), rel=1e-8, abs=1e-9)


@pytest.mark.parametrize("name", ["cka.linear", "cka.debiased", "cka.rbf", "procrustes", "svcca"])
def test_a_constant_batch_is_undefined_and_spoils_no_other(name):
    x, y = stacks()
    y[2, 1] = 1e4 / 3
    y[3, 0, 2, 1] = torch.nan
    found = batched(closed_form(name))(x, y)
    assert torch.isnan(found[2, 1]) and torch.isnan(found[3, 0])
    assert int(torch.isnan(found).sum()) == 2


def test_measures_that_say_the_same_of_any_small_batch_are_named():
    reasons = {spec.id: why_undefined(spec, 8, 64, 64) for spec in MEASURES}
    assert {name for name, reason in reasons.items() if reason} == {"cca.mean", "cca.r2", "pwcca", "regression.r2"}
    assert "batches of 8 rows and 64 features cca.mean is at its maximum" in reasons["cca.mean"]
    assert why_undefined(closed_form("dot"), 8, 3, 5) == "dot needs equal widths; the sides have 3 and 5"
    assert why_undefined(closed_form("cka.debiased"), 3, 3, 3).endswith("needs at least 4 samples; a batch has 3")
    assert not why_undefined(closed_form("cca.mean"), 100, 64, 64)
    assert not why_undefined(closed_form("regression.r2"), 16, 64, 4), "what is explained may be wide"
    assert why_undefined(closed_form("regression.r2"), 16, 4, 64)
    for options in ("threshold=0.8", "summary=r2"):
        assert not why_undefined(closed_form(f"svcca:{options}"), 8, 64, 64), "leading directions alone are kept"
    assert why_undefined(closed_form("svcca:threshold=1"), 8, 64, 64)


@pytest.mark.parametrize("name", ["svcca:threshold=2", "svcca:summary=mean", "cka.rbf:t=0", "cka.rbf:t=nan"])
def test_values_an_option_cannot_have_are_refused_as_for_a_pair(name):
    x, y = stacks()
    with pytest.raises(SpecError) as of_pair:
        closed_form(name)(x[0, 0], y[0, 0])
    with pytest.raises(SpecError, match=re.escape(str(of_pair.value))):
        batched(closed_form(name))(x, y)


SVCCA = ["svcca", "svcca:threshold=0.8", "svcca:summary=r2", "svcca:threshold=1"]


@pytest.mark.parametrize("name", ["cca.mean", "cca.r2", "pwcca", "regression.r2", *SVCCA])
def test_the_reason_is_true(name):
    """Unrelated data score as much as equal ones where a measure is said to be at its maximum, less where not."""
    random = torch.Generator().manual_seed(0)
    decay = 0.8 ** torch.arange(64.0)
    x, y = (decay * torch.randn(8, 64, generator=random) for _ in range(2))
    value = closed_form(name)(x, y)
    assert (value == pytest.approx(closed_form(name)(x, x))) == bool(why_undefined(closed_form(name), 8, 64, 64))
