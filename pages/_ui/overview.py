"""The pictures of the Overview, each with the link to its page in the same state."""

from __future__ import annotations

import streamlit as st

from contrasim_core.figures.curves import training_curves
from contrasim_core.figures.heatmap import shared_range, similarity_heatmap
from contrasim_core.runs.comparison.words import matched, words_of_grid
from contrasim_core.runs.example import Example
from contrasim_core.runs.layer_prediction.figures import accuracy_bars
from contrasim_core.runs.layer_prediction.words import words_of_benchmark
from contrasim_core.runs.training.words import words_of_curves
from pages._ui import cached, frame, links, router, training, views

PAIR = ("contrasim", "cka.linear")
BARS = (
    "cka.linear",
    "cka.rbf",
    "procrustes",
    "pwcca",
    "svcca",
    "contrasim",
    "contrasim.relative",
    "deepdot",
    "deepcka",
)
"""Measures of the bars; the page Benchmarks has all of them."""


def heatmaps(keys: Example) -> None:
    """ContraSim beside linear CKA."""
    result = cached.result("comparison", keys.comparison)
    spec = cached.spec_of("comparison", keys.comparison)
    grids = [result.grids[name] for name in PAIR]
    words = [words_of_grid(grid) for grid in grids]
    counts = [matched(grid) for grid in grids]
    parts = [
        f"{grid.label} finds {found[0]} of {found[1]} layers"
        for grid, found in zip(grids, counts, strict=True)
        if found
    ]
    st.subheader("; ".join(parts))
    between = shared_range(grids)
    for place, (grid, word, column) in enumerate(zip(grids, words, st.columns(2), strict=True)):
        with column:
            st.markdown(f"**{grid.label}**")
            drawn = similarity_heatmap(grid, mode=frame.mode(), between=between, height=340)
            views.picture(drawn, word, f"overview-{place}", grid.to_pandas(), spec)
    _link(keys.comparison, "comparison", "Open in Compare: click cells, choose other measures", ":material/grid_on:")


def bars(keys: Example) -> None:
    """The benchmark."""
    result = cached.result("benchmark", keys.benchmark)
    summary = result.summary()
    some = summary[summary["measure"].isin(BARS) & summary["protocol"].isin(("seen", "unseen"))]
    words = words_of_benchmark(result, some)
    st.subheader(words.title)
    drawn = accuracy_bars(some, mode=frame.mode())
    views.picture(drawn, words, "overview-bars", summary, cached.spec_of("benchmark", keys.benchmark))
    _link(keys.benchmark, "benchmark", "Open in Benchmarks", ":material/leaderboard:")


def curves(keys: Example) -> None:
    """How the encoders of the example learned."""
    found = [curve for key in keys.encoders for curve in cached.curves(key)]
    words = words_of_curves(found)
    st.subheader(words.title)
    drawn = training_curves(found, mode=frame.mode())
    views.picture(drawn, words, "overview-curves", training.table(found), cached.spec_of("encoders", keys.encoders[0]))
    _link(keys.encoders[0], "encoders", "Open in Train encoder", ":material/model_training:")


def _link(key: str, kind: str, label: str, icon: str) -> None:
    target = links.target(cached.spec_of(kind, key))
    if target is not None:
        st.page_link(target[0], label=label, icon=icon, query_params=target[1])


def next_steps() -> None:
    """Try your own."""
    st.subheader("Try your own")
    left, middle, right, last = st.columns(4)
    with left, st.container(border=True):
        st.markdown(
            "**Two models of yours**  \nA folder, a hub id, or a bundled model, on your own sentences or images."
        )
        st.page_link(router.COMPARE, label="Compare", icon=":material/grid_on:")
    with middle, st.container(border=True):
        st.markdown("**A measure for your models**  \nTrain an encoder on a family of models; minutes on a laptop.")
        st.page_link(router.TRAIN, label="Train encoder", icon=":material/model_training:")
    with right, st.container(border=True):
        st.markdown("**Which number to trust**  \nJudge every measure: layers, translations, captions.")
        st.page_link(router.BENCHMARKS, label="Benchmarks", icon=":material/leaderboard:")
    with last, st.container(border=True):
        st.markdown("**What an encoder sees**  \nSentences and images before and after it, side by side.")
        st.page_link(router.PROJECTIONS, label="Projections", icon=":material/scatter_plot:")
