"""Looking measures up by id, with options; and the table that everything else about them follows from."""

import re

import pytest

from contrasim_core.encoder.measures import LEARNED
from contrasim_core.encoder.spec import ENCODER_KINDS
from contrasim_core.errors import SpecError, UnknownMeasureError
from contrasim_core.figures.theme import measure_style
from contrasim_core.measure import facts
from contrasim_core.measure.base import formulas_of
from contrasim_core.measure.closed_form import MEASURES, closed_form
from contrasim_core.measure.table import TABLE


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


# ---- the table, and what follows from it


def test_the_lists_of_ids_follow_the_table():
    assert tuple(spec.id for spec in MEASURES) == facts.CLOSED_FORM_IDS
    assert facts.LEARNED_IDS == tuple(spec.id for spec in LEARNED) == ENCODER_KINDS
    assert tuple(facts.measure_facts()) == (*facts.CLOSED_FORM_IDS, *facts.LEARNED_IDS)


def test_the_indexes_of_kornblith_are_those_of_their_table():
    assert ",".join(facts.KORNBLITH_IDS) == (
        "cca.mean,cca.r2,svcca,svcca:summary=r2,pwcca,regression.r2,hsic.linear,"
        "cka.linear,cka.rbf:t=0.2,cka.rbf:t=0.4,cka.rbf"
    )
    for name in facts.KORNBLITH_IDS:
        assert closed_form(name).id == name


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.id)
def test_every_row_is_whole(row):
    forms = formulas_of(row.formulas)
    assert row.invariant_to == tuple(sorted(row.invariant_to))
    assert (forms.all_pairs is not None) == row.learned, "what is trained needs a score to train on"
    assert not (row.learned and row.streams), "encodings are made of whole layers"
    assert not (forms.sums is not None and not row.streams), "the sums come from covariances and row lengths"
    assert row.saturates or forms.filled_by(3, 4, **row.options) is None


def test_every_measure_has_a_colour_and_shape_of_its_own():
    assert len({row.colour for row in TABLE}) == len({measure_style(row.id) for row in TABLE}) == len(TABLE)
    assert measure_style("svcca:summary=r2") == measure_style("svcca")
    assert measure_style("no.measure") not in {measure_style(row.id) for row in TABLE}
