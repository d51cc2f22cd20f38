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


def pages() -> dict[str, list[Any]]:
    """Navigation in groups."""
    return {
        "Start": [st.Page(OVERVIEW, title="Overview", icon=":material/home:", default=True)],
        "Work": [
            st.Page(COMPARE, title="Compare", icon=":material/grid_on:"),
            st.Page(TRAIN, title="Train encoder", icon=":material/model_training:"),
            st.Page(BENCHMARKS, title="Benchmarks", icon=":material/leaderboard:"),
            st.Page(PROJECTIONS, title="Projections", icon=":material/scatter_plot:"),
        ],
        "Behind it": [
            st.Page(JOBS, title="Jobs", icon=":material/list_alt:"),
            st.Page(ABOUT, title="About", icon=":material/info:"),
        ],
    }


def ensure() -> None:
    """First line of every page.

    A server that has shown nothing yet runs `pages/x.py` alone for a link to `/x`, without app.py and its frame.
    Declaring the navigation once and running again mends that; address and parameters stay.
    """
    if not st.session_state.pop(FRAMED, False):
        st.navigation(pages())
        st.rerun()
