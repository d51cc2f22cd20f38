"""Which measure can be trusted? Layer prediction, translations, captions."""

import streamlit as st

from contrasim_core import figures, insights
from contrasim_core.specs import RetrievalSpec
from pages._ui import benching, cached, frame, guard, retrieving, router, running, views

router.ensure()
st.title("Which measure can be trusted?")
with guard.guarded():
    spec = benching.from_link()
    task = spec.task if spec is not None else benching.task()
    if task == "layer-prediction":
        st.markdown(
            "**Which measure finds the right layer?** Two models of one architecture differ in their initial weights "
            "alone. For each layer of the first, is the most similar layer of the second the one at the same depth? A "
            "tie is a miss."
        )
        spec = spec or benching.request()
        title = f"Layer prediction, {len(spec.models)} models on {spec.test.label}"
        if running.finished(spec, title=title, verb="Run the benchmark"):
            result = cached.benchmark(spec.key)
            summary = benching.shown(result)
            words = figures.words_of_benchmark(result, summary)
            st.subheader(words.title)
            views.picture(figures.accuracy_bars(summary, mode=frame.mode()), words, "bars", summary, spec)
            benching.reasons(summary)
            retrieving.said(insights.of_layer_prediction(result))
            benching.detail(result)
    else:
        st.markdown(f"**{retrieving.TITLES[task]}** {retrieving.ABOUT[task]}")
        asked = spec if isinstance(spec, RetrievalSpec) else retrieving.request(task)
        retrieving.show(asked)
