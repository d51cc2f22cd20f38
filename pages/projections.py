"""What an encoder does to the rows: before and after, side by side."""

import streamlit as st

from pages._ui import cached, guard, projection, router, running

router.ensure()
st.title("What does the encoder see?")
st.markdown(
    "Rows of one layer in two dimensions, before and after a trained encoder. Colour is the "
    "sample, shape its language or its model. Draw a loop around points in either picture to find them in the other."
)
with guard.guarded():
    spec = projection.from_link() or projection.request()
    if running.finished(spec, verb="Project", at_once=projection.at_once(spec)):
        result = cached.result(spec.kind, spec.key)
        picked = projection.pictures(result, spec)
        projection.numbers(result)
        projection.points(result, picked)
