"""A link to a comparison sets every control of the page, so that the page asks for the very same comparison."""

import pytest

from contrasim_core.measure.facts import CLOSED_FORM_IDS
from contrasim_core.models.find import bundled_names, depth_of, resolve_model
from contrasim_core.runs import example
from contrasim_core.runs.comparison.spec import CompareSpec
from contrasim_core.runs.extraction.presets import extraction_spec
from pages._ui import links, router, url

pytestmark = pytest.mark.skipif(not bundled_names(), reason="no bundled models in this checkout")

CONTROLS = """
import streamlit as st
from pages._ui import router, url, widgets

st.navigation(router.pages())
url.begin("compare")
st.session_state["spec"] = widgets.comparison()
url.flush()
"""


@pytest.fixture
def controls(tmp_path, monkeypatch):
    """A function that draws the page's controls with parameters and returns the `AppTest`."""
    import streamlit as st
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv("CONTRASIM_CACHE", str(tmp_path / "cache"))
    st.cache_resource.clear()

    def draw(parameters):
        app = AppTest.from_string(CONTROLS, default_timeout=60)
        for name, value in parameters.items():
            app.query_params[name] = value
        app.run()
        assert not app.exception
        return app

    yield draw
    st.cache_resource.clear()


def parameters_of(app):
    return {name: value[0] if isinstance(value, list) else value for name, value in app.query_params.items()}


def comparison(a, b, *, pooling="spatial-mean", limit=50, encoders=(), learned=()):
    sides = [extraction_spec(name, "digits", pooling=pooling, limit=limit, layers=layers) for name, layers in (a, b)]
    return CompareSpec(a=sides[0], b=sides[1], measures=(*CLOSED_FORM_IDS, *learned), encoders=encoders)


SIDES = {
    "two families": (("digits-cnn-2", (1, 3)), ("digits-vit-1", (0, 2, 6))),
    "all layers of A": (("digits-vit-3", "all"), ("digits-cnn-0", (2,))),
    "all layers of B": (("digits-vit-3", (5,)), ("digits-cnn-0", "all")),
    "one model": (("digits-vit-0", (1, 2)), ("digits-vit-0", (3,))),
}


@pytest.mark.parametrize("name", SIDES)
def test_a_link_leads_to_the_same_key(name, controls):
    spec = comparison(*SIDES[name])
    page, parameters = links.target(spec)
    assert page == router.COMPARE
    app = controls(parameters)
    assert app.session_state["spec"] == spec
    assert app.session_state["spec"].key == spec.key
    again = controls(parameters_of(app))  # the address that the page wrote
    assert again.session_state["spec"].key == spec.key


def test_a_link_keeps_all_samples_and_no_encoders(controls):
    """Even where the page would suggest fewer samples, and encoders that know both models."""
    docs = [
        extraction_spec(name, "python-docs", pooling="word", layers=(1, 2)) for name in ("docs-bert-0", "docs-bert-1")
    ]
    digits = comparison(("digits-vit-0", (1, 2)), ("digits-vit-1", (1, 3)), pooling="cls", limit=None)
    for spec in (CompareSpec(a=docs[0], b=docs[1], measures=CLOSED_FORM_IDS), digits):
        app = controls(links.target(spec)[1])
        assert app.session_state["spec"] == spec
        assert controls(parameters_of(app)).session_state["spec"] == spec


def test_a_link_keeps_the_encoders(controls):
    spec = example.comparison_spec()
    assert controls(links.target(spec)[1]).session_state["spec"] == spec
    for training in spec.encoders:
        one = spec.replace(encoders=(training,), measures=(*CLOSED_FORM_IDS, training.encoder.encoder))
        assert controls(links.target(one)[1]).session_state["spec"] == one


def test_the_page_suggests_all_layers_but_the_embeddings(controls):
    app = controls({"a": "digits-vit-0", "b": "digits-cnn-0"})
    spec = app.session_state["spec"]
    for side in (spec.a, spec.b):
        assert side.layers == tuple(range(1, depth_of(resolve_model(side.model)) + 1))
    assert "la" not in parameters_of(app) and "lb" not in parameters_of(app)


def test_layers_chosen_on_the_page_are_those_of_their_own_side(controls):
    app = controls({"a": "digits-vit-0", "b": "digits-vit-1"})
    app.multiselect(key="compare.lb").set_value([4, 2]).run()
    assert (app.session_state["spec"].a.layers, app.session_state["spec"].b.layers) == ((1, 2, 3, 4, 5, 6), (2, 4))
    assert {name: value for name, value in parameters_of(app).items() if name in ("la", "lb")} == {"lb": "2.4"}


@pytest.mark.parametrize("count", [url.LONGEST - 1, url.LONGEST, url.LONGEST + 1, 100_000])
def test_a_parameter_is_cut_where_it_is_too_long(count, monkeypatch):
    import streamlit as st

    assert url.LONGEST == 500
    monkeypatch.setattr(st, "session_state", {})
    monkeypatch.setattr(st, "query_params", {"x": "y" * count})
    url.begin("compare")
    seen = []
    key = url.start("x", "", lambda raw: seen.append(raw) or raw)
    assert seen == ["y" * min(count, 500)] == [st.session_state[key]]
