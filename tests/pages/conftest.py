"""A small finished store for the pages: real runs on the bundled models, done once per session."""

from pathlib import Path

import pytest

from contrasim_core.encoder.spec import QUICK
from contrasim_core.measure.facts import CLOSED_FORM_IDS
from contrasim_core.models.find import bundled_names
from contrasim_core.runs.comparison.spec import CompareSpec
from contrasim_core.runs.extraction.presets import extraction_spec
from contrasim_core.runs.layer_prediction.presets import benchmark_spec
from contrasim_core.runs.projection.spec import ProjectionSpec
from contrasim_core.runs.retrieval import presets as presets_paired
from contrasim_core.runs.training.presets import train_spec
from contrasim_core.store import Store

ROOT = Path(__file__).resolve().parents[2]
MODELS = "digits-vit-0,digits-vit-1,digits-vit-2,digits-vit-3"


FRAME = """
import runpy
import streamlit as st
from pages._ui import router, url

st.navigation(router.pages())
url.begin("{name}")
st.session_state[router.FRAMED] = True
try:
    runpy.run_path("pages/{name}.py")
finally:
    url.flush()
"""
# As app.py does, but for one page: AppTest enters pages it switches to without app.py, so that clicks would be lost.


class Finished:
    """Where the store is, and what is in it."""

    def __init__(self, root):
        from contrasim_core.runs.keep import run

        self.root = root
        store = Store(root)
        tiny = QUICK.replace(epochs=2, batch_rows=256)
        self.encoder = train_spec(MODELS, encoder=tiny, seeds=(0, 1), rows=256)
        sides = [
            extraction_spec(f"digits-vit-{seed}", "digits", pooling="cls", limit=96, layers=(1, 2, 3))
            for seed in (0, 1)
        ]
        self.comparison = CompareSpec(
            a=sides[0],
            b=sides[1],
            measures=(*CLOSED_FORM_IDS, "contrasim"),
            encoders=(self.encoder,),
        )
        self.benchmark = benchmark_spec(
            MODELS,
            measures=("cka.linear", "procrustes", "contrasim"),
            protocols=("seen", "unseen"),
            unseen_models=2,
            rows=256,
            encoder=tiny,
            seeds=(0, 1),
        )
        few = tiny.replace(batch_rows=64)
        self.multilingual = presets_paired.multilingual_spec(
            measures=("cka.linear", "contrasim", "cca.mean"),
            languages=("en", "ar", "tr"),
            rows=(128, 80),
            encoder=few,
        )
        self.captions = presets_paired.caption_spec(
            measures=("cka.linear", "contrasim"), rows=(128, 128), batch=16, encoder=few, seeds=(0, 1)
        )
        self.projection = ProjectionSpec(
            sources=self.multilingual.test[:2], training=self.multilingual.training("contrasim"), items=6
        )
        self.scenes = ProjectionSpec(
            sources=(self.captions.test[0], self.captions.test[2]),
            training=self.captions.training("contrasim"),
            items=6,
        )
        for spec in (
            self.encoder,
            self.comparison,
            self.benchmark,
            self.multilingual,
            self.captions,
            self.projection,
            self.scenes,
        ):
            run(spec, store=store)
        self.link = {"n": "96", "la": "1.2.3", "lb": "1.2.3", "enc": self.encoder.key}


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The store."""
    if not bundled_names():
        pytest.skip("no bundled models in this checkout")
    return Finished(tmp_path_factory.mktemp("store"))


@pytest.fixture
def page(finished, monkeypatch):
    """A function that opens a page with parameters and returns the `AppTest`."""
    import streamlit as st
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv("CONTRASIM_CACHE", str(finished.root))
    monkeypatch.chdir(ROOT)
    st.cache_resource.clear()

    def open_page(name="overview", **parameters):
        app = AppTest.from_string(FRAME.format(name=name), default_timeout=60)
        for key, value in parameters.items():
            app.query_params[key] = value
        return app.run()

    yield open_page
    st.cache_resource.clear()
