"""What stands around every page: the worker badge, and how a page learns whether it is light or dark."""

from __future__ import annotations

import streamlit as st

from contrasim_core.figures.theme import Mode
from pages._ui import cached


def mode() -> Mode:
    """Whether this viewer's page is light or dark."""
    return "dark" if st.context.theme.type == "dark" else "light"


def touch() -> bool:
    """Whether this viewer's browser says that it is on a phone, where a drag is a swipe."""
    return "Mobi" in st.context.headers.get("User-Agent", "")


def badge() -> None:
    """One line in the sidebar: who is there to work, and what waits."""
    with st.sidebar:
        _badge()


@st.fragment(run_every=5.0)
def _badge() -> None:
    engine = cached.engine()
    engine.look()
    workers = engine.workers()
    active = [job for job in engine.table.jobs() if job.active]
    waiting = sum(job.state == "queued" for job in active)
    if not workers:
        st.badge("No worker; saved results still open", icon=":material/cloud_off:", color="gray")
    elif active:
        st.badge(f"{len(active) - waiting} running, {waiting} waiting", icon=":material/sync:", color="blue")
    else:
        count = f"{len(workers)} {workers[0].device} worker{'s' * (len(workers) > 1)}"
        st.badge(f"{count}, idle", icon=":material/check:", color="green")
