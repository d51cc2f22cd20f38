"""Looking measures up by id, with options."""

import re

import pytest

from contrasim_core.encoder.spec import ENCODER_KINDS
from contrasim_core.errors import SpecError, UnknownMeasureError
from contrasim_core.measure.table import MEASURES, closed_form


@pytest.mark.parametrize("spec", MEASURES, ids=lambda spec: spec.id)
def test_every_measure_is_found_by_its_id(spec):
    assert closed_form(spec.id) is spec


def test_an_unknown_id_lists_the_registered_ones():
    registered = ", ".join([*(spec.id for spec in MEASURES), *ENCODER_KINDS])
    with pytest.raises(UnknownMeasureError, match=f"^No measure 'ckka'. Registered: {re.escape(registered)}.$"):
        closed_form("ckka")


def test_a_learned_measure_says_that_it_needs_training():
    with pytest.raises(UnknownMeasureError, match=r"contrasim is a learned measure: it needs a trained encoder"):
        closed_form("contrasim")


@pytest.mark.parametrize(
    ("asked", "measure_id", "label", "options"),
    [
        ("cka.rbf:t=0.4", "cka.rbf:t=0.4", "RBF CKA (t 0.4)", {"t": 0.4}),
        ("cka.rbf:t=0.40", "cka.rbf:t=0.4", "RBF CKA (t 0.4)", {"t": 0.4}),
        ("cka.rbf:t=0.8", "cka.rbf", "RBF CKA", {"t": 0.8}),
        ("svcca:threshold=0.9,summary=r2", "svcca:threshold=0.9,summary=r2", None, {"threshold": 0.9, "summary": "r2"}),
        ("svcca: summary = r2", "svcca:summary=r2", None, {"threshold": 0.99, "summary": "r2"}),
    ],
)
def test_options_change_the_id_the_label_and_the_score(asked, measure_id, label, options):
    spec = closed_form(asked)
    assert spec.id == measure_id
    assert spec.options == options
    assert label is None or spec.label == label


@pytest.mark.parametrize(
    ("asked", "kind", "message"),
    [
        ("cka.rbf:sigma=1", SpecError, r"cka\.rbf has no option sigma\. Its options: t=0\.8\."),
        ("cka.linear:t=1", SpecError, r"cka\.linear has no option t\. Its options: none\."),
        ("cka.rbf:0.4", SpecError, r"Options of a measure are written name=value, not '0\.4'\."),
        ("cka.rbf:t=wide", SpecError, r"cka\.rbf: t is 'wide'\. It must be a number, such as 0\.8\."),
        ("svcca:summary=2", SpecError, r"svcca: summary is 2\.0\. It must be a word, such as 'rho'\."),
    ],
)
def test_wrong_options_are_refused_when_the_measure_is_looked_up(asked, kind, message):
    with pytest.raises(kind, match=message):
        closed_form(asked)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("svcca:summary=mean", r"summary is 'mean'\. It can be: 'rho', 'r2'\."),
        ("cca.mean:over=columns", r"over is 'columns'\. It can be: 'width', 'rank'\."),
        ("svcca:threshold=1.5", r"threshold is 1\.5\. It must be above 0 and at most 1\."),
        ("svcca:threshold=0", r"threshold is 0\. It must be above 0 and at most 1\."),
        ("cka.rbf:t=0", r"t is 0\. It must be above 0\."),
        ("cka.rbf:t=-1", r"t is -1\. It must be above 0\."),
        ("cka.rbf:t=nan", r"t is nan\. It must be above 0\."),
    ],
)
def test_values_an_option_cannot_have_are_refused_when_used(asked, message, layers):
    x, y = layers(20, [3, 4])
    with pytest.raises(SpecError, match=message):
        closed_form(asked)(x, y)
