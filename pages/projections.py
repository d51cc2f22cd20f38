"""What an encoder does to the rows: before and after, side by side."""

import streamlit as st

from pages._ui import cached, guard, projecting, router, running

router.ensure()
st.title("What does the encoder see?")
st.markdown(
    "Rows of one layer in two dimensions: as the model has them, and as a trained encoder has them. Colour is the "
    "sample, shape its language or its model. Draw a loop around points in either picture to find them in the other."
)
with guard.guarded():
    spec = projecting.from_link() or projecting.request()
    title = f"{spec.method.upper()} of {', '.join(dict.fromkeys(item.model.label for item in spec.sources))}"
    if running.finished(spec, title=title, verb="Project"):
        result = cached.projection(spec.key)
        picked = projecting.pictures(result, spec)
        projecting.numbers(result)
        projecting.points(result, picked)
