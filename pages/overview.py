"""Three finished pictures, and where to go from them."""

import streamlit as st

from contrasim_core.runs import example
from pages._ui import guard, overview, router

router.ensure()
st.title("How similar are the representations inside these networks?")
st.markdown(
    "And can you believe the number? Below: two small vision transformers that differ only in their random "
    "initialisation, compared layer by layer; a benchmark that tells which measure to trust; and how the learned "
    "measure was trained."
)
with guard.guarded():
    keys = example.read()
    if keys is None:
        st.info("The finished example is missing. `make example` computes it; the other pages work without it.")
        raise guard.Enough
    overview.heatmaps(keys)
    overview.bars(keys)
    overview.curves(keys)
    overview.next_steps()
