"""Train ContraSim's encoder, or one of its ablations, and watch it learn."""

import streamlit as st

from contrasim_core.figures.curves import training_curves
from contrasim_core.runs.training.words import words_of_curves
from pages._ui import frame, guard, router, running, training, views

router.ensure()
st.title("Train an encoder")
st.markdown(
    "A learned measure is trained to see the same layer of several models as alike and all other layers as different. "
    "A plain encoder knows only the models it was trained on; the *relative* kind reads any model."
)
with guard.guarded():
    spec = training.from_link() or training.request()
    if running.finished(spec, verb="Train"):
        curves = training.compared(spec)
        words = words_of_curves(curves)
        st.subheader(words.title)
        views.picture(training_curves(curves, mode=frame.mode()), words, "curves", training.table(curves), spec)
        st.page_link(
            router.COMPARE,
            label="Use it in Compare",
            icon=":material/grid_on:",
            query_params=training.compare_link(spec),
        )
