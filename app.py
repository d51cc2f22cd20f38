"""The dashboard: `make app`, or `streamlit run app.py`."""

import streamlit as st

from pages._ui import frame, router, url

st.set_page_config(page_title="contrasim", page_icon=":material/grid_on:", layout="wide")
page = st.navigation(router.pages())
url.begin(page.url_path)
frame.badge()
st.session_state[router.FRAMED] = True
try:
    page.run()
finally:
    url.flush()
