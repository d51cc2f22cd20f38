"""Every control of the page Train encoder reaches the request."""

import pytest

from contrasim_core.encoder.spec import ENCODER_KINDS, PAPER
from contrasim_core.models.find import bundled_names
from contrasim_core.zoo.families import quick_for

pytestmark = pytest.mark.skipif(not bundled_names(), reason="no bundled models in this checkout")

REQUEST = """
import streamlit as st
from pages._ui import training, url

url.begin("train_encoder")
st.session_state["spec"] = training.request()
url.flush()
"""
CONTROLS = {
    "Epochs": ("epochs", 3), "Rows per step": ("batch_rows", 33), "Temperature τ": ("temperature", 0.25),
    "Learning rate": ("learning_rate", 0.02), "Anchors (relative kind)": ("anchors", 17),
}  # fmt: skip


def draw(**parameters):
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_string(REQUEST, default_timeout=60)
    for name, value in parameters.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def control(items, label):
    return next(item for item in items if item.label == label)


def test_the_request_starts_from_the_preset():
    assert draw().session_state["spec"].encoder == quick_for("digits-cnn")
    assert draw(models="docs-bert").session_state["spec"].encoder == quick_for("docs-bert")
    assert draw(preset="paper").session_state["spec"].encoder == PAPER
    assert draw().session_state["spec"].layers is None


@pytest.mark.parametrize("label", CONTROLS)
def test_a_number_reaches_its_option_and_no_other(label):
    app = draw(preset="paper")
    name, value = CONTROLS[label]
    control(app.number_input, label).set_value(value).run()
    assert app.session_state["spec"].encoder == PAPER.replace(**{name: value})


def test_loss_kind_seeds_and_models_reach_the_request():
    app = draw(preset="paper", models="digits-vit-1,digits-vit-4")
    control(app.selectbox, "Loss").set_value("eq3").run()
    assert app.session_state["spec"].encoder == PAPER.replace(loss="eq3")
    control(app.number_input, "Seeds").set_value(3).run()
    assert app.session_state["spec"].seeds == (0, 1, 2)
    assert [source.model.name for source in app.session_state["spec"].sources] == ["digits-vit-1", "digits-vit-4"]
    control(app.text_input, "Training data").set_value("photo-patches").run()
    assert {source.data.name for source in app.session_state["spec"].sources} == {"photo-patches"}


@pytest.mark.parametrize("kind", ENCODER_KINDS)
def test_a_kind_reaches_the_request(kind):
    assert draw(kind=kind, preset="paper").session_state["spec"].encoder == PAPER.replace(encoder=kind)
