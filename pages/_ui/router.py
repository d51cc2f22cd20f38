"""Which pages there are, and the guard against links that open a page without the frame around it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

FRAMED = "_framed"
FOLDER = Path(__file__).resolve().parents[1]
OVERVIEW = str(FOLDER / "overview.py")
COMPARE = str(FOLDER / "compare.py")
TRAIN = str(FOLDER / "train_encoder.py")
BENCHMARKS = str(FOLDER / "benchmarks.py")
PROJECTIONS = str(FOLDER / "projections.py")
JOBS = str(FOLDER / "jobs.py")
ABOUT = str(FOLDER / "about.py")


GROUPS = {
    "Start": ((OVERVIEW, "Overview", ":material/home:"),),
    "Work": (
        (COMPARE, "Compare", ":material/grid_on:"),
        (TRAIN, "Train encoder", ":material/model_training:"),
        (BENCHMARKS, "Benchmarks", ":material/leaderboard:"),
        (PROJECTIONS, "Projections", ":material/scatter_plot:"),
    ),
    "System": ((JOBS, "Jobs", ":material/list_alt:"), (ABOUT, "About", ":material/info:")),
}


def path(name: str) -> str:
    """The file of a page, as Streamlit's links take it."""
    return str(FOLDER / f"{name}.py")


def pages() -> list[Any]:
    """All pages. They have no icons: a page's icon becomes the tab's, which browsers fetch from a server elsewhere."""
    return [
        st.Page(path, title=title, default=path == OVERVIEW)
        for group in GROUPS.values()
        for path, title, _icon in group
    ]


def menu() -> None:
    """The pages in groups, in the sidebar."""
    with st.sidebar:
        for name, group in GROUPS.items():
            st.caption(name)
            for path, title, icon in group:
                st.page_link(path, label=title, icon=icon)


def ensure() -> None:
    """First line of every page.

    A server that has shown nothing yet runs `pages/x.py` alone for a link to `/x`, without app.py and its frame.
    Declaring the navigation once and running again mends that; address and parameters stay.
    """
    if not st.session_state.pop(FRAMED, False):
        st.navigation(pages(), position="hidden")
        st.rerun()
