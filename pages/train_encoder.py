"""Train ContraSim's encoder, or one of its ablations, and watch it learn."""

import streamlit as st

from contrasim_core import figures
from pages._ui import frame, guard, router, running, training, views

router.ensure()
st.title("Train an encoder")
st.markdown(
    "A learned measure sees the same layer of several models as alike and all other layers as different. "
    "A plain encoder knows only the models it was trained on; the *relative* kind reads any model."
)
with guard.guarded():
    spec = training.from_link() or training.request()
    title = f"{spec.encoder.encoder}, {len(spec.sources)} models on {spec.sources[0].data.label}"
    if running.finished(spec, title=title, verb="Train"):
        curves = training.compared(spec)
        words = figures.words_of_curves(curves)
        st.subheader(words.title)
        views.picture(figures.training_curves(curves, mode=frame.mode()), words, "curves", training.table(curves), spec)
        st.page_link(
            router.COMPARE,
            label="Use it on the page Compare",
            icon=":material/grid_on:",
            query_params=training.compare_link(spec),
        )
