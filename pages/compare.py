"""Compare two models layer by layer: the main job."""

import streamlit as st

from contrasim_core.presets import estimate
from pages._ui import cached, guard, router, running, views, widgets

router.ensure()
st.title("Compare two models, layer by layer")
with guard.guarded():
    spec = widgets.comparison()
    store = cached.store()
    st.caption(estimate(spec, store))
    title = f"{spec.a.model.label} × {spec.b.model.label} on {spec.a.data.label}"
    if running.finished(spec, title=title, verb="Compare"):
        result = cached.comparison(spec.key)
        shown = widgets.shown_measures(list(result.grids))
        views.heatmaps(result, shown, spec)
        views.cell(result, shown)
