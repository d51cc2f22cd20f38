"""The dashboard: `make app`, or `streamlit run app.py`."""

from pathlib import Path

import streamlit as st

from pages._ui import frame, router, url

ICON = (
    Path(__file__).resolve().parent / "pages" / "_ui" / "icon.png"
)  # one of our own: others are fetched from elsewhere
st.set_page_config(page_title="contrasim", page_icon=ICON, layout="wide")
page = st.navigation(router.pages(), position="hidden")
router.menu()
url.begin(page.url_path)
frame.badge()
st.session_state[router.FRAMED] = True
try:
    page.run()
finally:
    url.flush()
