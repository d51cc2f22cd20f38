"""Which measure can be trusted? The layer-prediction benchmark."""

import streamlit as st

from contrasim_core import figures
from pages._ui import benching, cached, frame, guard, router, running, views

router.ensure()
st.title("Which measure finds the right layer?")
st.markdown(
    "Two models of one architecture differ in their initial weights alone. For each layer of the first, is the most "
    "similar layer of the second the one at the same depth? A tie is a miss."
)
with guard.guarded():
    spec = benching.from_link() or benching.request()
    title = f"Layer prediction, {len(spec.models)} models on {spec.test.label}"
    if running.finished(spec, title=title, verb="Run the benchmark"):
        result = cached.benchmark(spec.key)
        words = figures.words_of_benchmark(result)
        st.subheader(words.title)
        summary = benching.shown(result)
        drawn = figures.accuracy_bars(summary, mode=frame.mode())
        views.picture(drawn, words, "bars", summary, spec)
        benching.reasons(summary)
        benching.detail(result)
