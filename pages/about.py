"""What the numbers mean: words, formulas, sources, limits, versions."""

import streamlit as st

from contrasim_core import __version__
from contrasim_core.measure.facts import measure_facts
from contrasim_core.result import versions
from pages._ui import guard, router
from pages._ui.wording import ABOUT, GLOSSARY, LIMITS

router.ensure()
st.title("About")
st.markdown(ABOUT)
with guard.guarded():
    st.header("Measures")
    for facts in measure_facts().values():
        with st.expander(f"{facts.label} (`{facts.id}`)"):
            st.latex(facts.formula)
            low, high = ("∞" if bound is None else f"{bound:g}" for bound in facts.bounds)
            unchanged = ", ".join(facts.invariant_to) or "nothing"
            st.markdown(
                f"Range {'−' if low == '∞' else ''}{low} to {high}; high means alike. "
                f"{'Symmetric' if facts.symmetric else 'Not symmetric'}. Unchanged by: {unchanged}. "
                f"Needs at least {facts.min_samples} samples"
                f"{' and equal widths' if facts.same_width else ''}."
            )
            if facts.saturates:
                st.markdown("Close to its maximum for any data once there are no more samples than features.")
            st.caption(f"Source: {facts.source}")
    st.header("Words")
    st.table(GLOSSARY)
    st.header("Limits")
    st.markdown(LIMITS)
    st.header("Versions")
    st.caption(f"contrasim {__version__}; " + ", ".join(f"{name} {value}" for name, value in versions().items()))
