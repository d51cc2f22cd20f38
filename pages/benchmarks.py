"""Which measure can be trusted? Layer prediction, translations, captions."""

import streamlit as st

from contrasim_core.runs.layer_prediction.figures import accuracy_bars
from contrasim_core.runs.layer_prediction.insights import of_layer_prediction
from contrasim_core.runs.layer_prediction.words import words_of_benchmark
from contrasim_core.runs.retrieval.spec import RetrievalSpec
from pages._ui import cached, frame, guard, layer_prediction, retrieval, router, running, views

router.ensure()
st.title("Which measure can be trusted?")
with guard.guarded():
    spec = layer_prediction.from_link()
    task = spec.task if spec is not None else layer_prediction.task()
    if task == "layer-prediction":
        st.markdown(
            "**Which measure finds the right layer?** Two models of one architecture differ in their initial weights "
            "alone. For each layer of the first, is the most similar layer of the second the one at the same depth? A "
            "tie is a miss."
        )
        spec = spec or layer_prediction.request()
        if running.finished(spec, verb="Run the benchmark"):
            result = cached.result(spec.kind, spec.key)
            summary = layer_prediction.shown(result)
            words = words_of_benchmark(result, summary)
            st.subheader(words.title)
            views.picture(accuracy_bars(summary, mode=frame.mode()), words, "bars", summary, spec)
            layer_prediction.reasons(summary)
            retrieval.said(of_layer_prediction(result))
            layer_prediction.detail(result)
    else:
        st.markdown(f"**{retrieval.TITLES[task]}** {retrieval.ABOUT[task]}")
        asked = spec if isinstance(spec, RetrievalSpec) else retrieval.request(task)
        retrieval.show(asked)
