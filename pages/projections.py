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
    names = ", ".join(dict.fromkeys(item.model.label for item in spec.sources))
    layer = "last layer" if spec.layer == -1 else f"layer {spec.layer}"
    title = f"{spec.method.upper()} of {names}, {' and '.join(spec.names)}, {layer}, {spec.items} samples"
    if running.finished(spec, title=title, verb="Project", at_once=projecting.at_once(spec)):
        result = cached.projection(spec.key)
        picked = projecting.pictures(result, spec)
        projecting.numbers(result)
        projecting.points(result, picked)
