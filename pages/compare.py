"""Compare two models layer by layer: the main job."""

import streamlit as st

from contrasim_core.runs.estimate import estimate
from pages._ui import cached, guard, router, running, views, widgets

router.ensure()
st.title("Compare two models, layer by layer")
with guard.guarded():
    spec = widgets.comparison()
    st.caption(estimate(spec, cached.store()))
    if running.finished(spec, verb="Compare"):
        result = cached.result(spec.kind, spec.key)
        shown = widgets.shown_measures(list(result.grids))
        views.heatmaps(result, shown, spec)
        views.cell(result, shown)
