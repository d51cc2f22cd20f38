"""Pictures on a page: each with its caption, a text alternative, a table twin and exports."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from contrasim_core.figures.heatmap import difference_heatmap, shared_range, similarity_heatmap
from contrasim_core.figures.profile import row_profile
from contrasim_core.figures.theme import styled
from contrasim_core.figures.words import Words
from contrasim_core.measure.result import SimilarityGrid
from contrasim_core.runs.comparison.result import Comparison
from contrasim_core.runs.comparison.words import words_of_grid
from contrasim_core.runs.snippets import python_lines
from contrasim_core.spec import Spec
from pages._ui import frame, url

CAMERA = {"toImageButtonOptions": {"format": "svg", "filename": "contrasim"}, "displaylogo": False}
EXAMPLES = 6


def _config() -> dict[str, Any]:
    """Of plotly: on a phone its buttons would lie over the legend all the time."""
    return {**CAMERA, "displayModeBar": False} if frame.touch() else CAMERA


def _events(events: dict[str, Any]) -> dict[str, Any]:
    """On a phone a chart that can be clicked takes every swipe for itself, so only loops are left there."""
    return {} if frame.touch() and events.get("selection_mode") == "points" else events


def picture(drawn: Any, words: Words, key: str, table: pd.DataFrame, spec: Spec | None = None, **events: Any) -> None:
    """A figure with everything that goes with it.

    Args:
        drawn: plotly figure.
        words: its caption and text alternative.
        key: of the chart on this page.
        table: the numbers behind it.
        spec: what reproduces it.
        events: for selections, as `st.plotly_chart` takes them.
    """
    st.plotly_chart(drawn, theme=None, key=key, alt=words.alt, config=_config(), **_events(events))
    st.caption(words.caption)
    with st.popover("Table, export", icon=":material/download:"):
        st.dataframe(table, key=f"{key}-table", alt=words.alt)
        st.download_button("CSV", lambda: table.to_csv(), f"{key}.csv", "text/csv", key=f"{key}-csv", on_click="ignore")
        page = styled(type(drawn)(drawn), "light", paper_bgcolor="white")
        st.download_button(
            "HTML, one file",
            lambda: page.to_html(include_plotlyjs=True),
            f"{key}.html",
            "text/html",
            key=f"{key}-html",
            on_click="ignore",
        )
        if not frame.touch():
            st.caption("For SVG, use the camera icon in the corner of the figure.")
        if spec is not None:
            reproduce(spec, key)


def reproduce(spec: Spec, key: str) -> None:
    """The spec as JSON, and the Python lines that run it."""
    st.download_button(
        "Spec (JSON)", spec.to_json(), f"{key}.spec.json", "application/json", key=f"{key}-spec", on_click="ignore"
    )
    st.code(python_lines(spec), language="python")


def pick_cell(event: Any) -> tuple[int, int] | None:
    """Row and column of a clicked cell, from a chart's selection; None if nothing is selected."""
    points = event["selection"]["points"] if event else []
    if not points:
        return None
    data = points[0]["customdata"]
    return (int(data["0"]), int(data["1"])) if isinstance(data, dict) else (int(data[0]), int(data[1]))


def _clicked(chart: str, row_key: str, column_key: str) -> None:
    cell = pick_cell(st.session_state.get(chart))
    if cell is not None:
        st.session_state[row_key], st.session_state[column_key] = cell


def heatmaps(result: Comparison, shown: list[str], spec: Spec) -> None:
    """Measures side by side on one scale; a click on a cell opens it below."""
    grids = [result.grids[name] for name in shown]
    bounded = [grid for grid in grids if None not in grid.bounds]
    between = shared_range(bounded) if bounded else None
    row_key, column_key = (
        url.start(name, None, lambda raw: int(raw) if raw.isdigit() else None) for name in ("i", "j")
    )
    chosen = _chosen(grids[0], row_key, column_key)
    columns = st.columns(2) if len(grids) > 1 else [st.container()]
    for place, grid in enumerate(grids):
        with columns[place % len(columns)]:
            words = words_of_grid(grid)
            st.markdown(f"**{words.title}**")
            scale = between if grid in bounded else None
            drawn = similarity_heatmap(grid, mode=frame.mode(), between=scale, chosen=chosen)
            chart = f"grid-{grid.measure}"
            picture(
                drawn, words, chart, grid.to_pandas(), spec,
                on_select=lambda chart=chart: _clicked(chart, row_key, column_key), selection_mode="points",
            )  # fmt: skip
    for name, reason in result.skipped.items():
        st.caption(f"{name}: {reason}")
    if len(grids) > 1:
        _difference(grids, chosen, row_key, column_key)


def _chosen(grid: SimilarityGrid, row_key: str, column_key: str) -> tuple[int, int] | None:
    row, column = st.session_state[row_key], st.session_state[column_key]
    if row is None or column is None or row >= len(grid.rows) or column >= len(grid.columns):
        return None
    return row, column


def _difference(grids: list[SimilarityGrid], chosen: tuple[int, int] | None, row_key: str, column_key: str) -> None:
    """The difference of two of the measures shown."""
    if not st.toggle("Difference of two measures"):
        return
    names = [grid.label for grid in grids]
    left, right = st.columns(2)
    first = left.selectbox("This measure", names)
    second = right.selectbox("minus this one", names, index=1)
    a, b = grids[names.index(first)], grids[names.index(second)]
    drawn = difference_heatmap(a, b, mode=frame.mode(), chosen=chosen)
    text = f"{first} minus {second}; zero is white."
    events = _events(
        {"on_select": lambda: _clicked("difference", row_key, column_key), "selection_mode": "points"}
    )  # fmt: skip
    st.plotly_chart(drawn, theme=None, key="difference", alt=f"Heatmap of {text}", config=_config(), **events)
    st.caption(text)


def cell(result: Comparison, shown: list[str]) -> None:
    """One pair of layers: every measure, the profile of those shown, and the samples they agree on most and least."""
    first = next(iter(result.grids.values()))
    st.subheader("One pair of layers")
    left, right = st.columns(2)
    row = _layer(left, "i", f"Layer of {first.rows[0].model}", first.rows)
    column = _layer(right, "j", f"Layer of {first.columns[0].model}", first.columns)
    if row is None or column is None:
        st.info("Click a cell of a heatmap, or choose two layers here.", icon=":material/touch_app:")
        return
    values, profile = st.columns(2)
    with values:
        table = pd.DataFrame([_line(grid, row, column) for grid in result.grids.values()])
        st.dataframe(
            table,
            hide_index=True,
            key="cell-table",
            height="content",
            alt="The chosen pair of layers under every measure",
        )
        st.caption("Rank: position among the layers of B; 1 is the most similar. Brackets: 95 % jackknife interval.")
    with profile:
        lines = {name: result.grids[name] for name in shown if None not in result.grids[name].bounds}
        lines = lines or {name: result.grids[name] for name in shown[:1]}
        st.plotly_chart(
            row_profile(lines, row, column, mode=frame.mode()), theme=None, key="profile", config=_config(),
            alt=f"Similarity of layer {first.rows[row].label} to every layer of {first.columns[0].model}",
        )  # fmt: skip
    _samples(result, row, column)


def _layer(place: Any, name: str, label: str, layers: Any) -> int | None:
    key = url.start(name, None, lambda raw: int(raw) if raw.isdigit() else None)
    if st.session_state[key] is not None and st.session_state[key] >= len(layers):
        st.session_state[key] = None
    value: int | None = place.selectbox(
        label, range(len(layers)), key=key, format_func=lambda at: layers[at].label, placeholder="none"
    )
    url.keep(name, value, None)
    return value


def _line(grid: SimilarityGrid, row: int, column: int) -> dict[str, Any]:
    value = grid.values[row, column]
    better = sum(other > value for other in grid.values[row]) + 1 if value == value else None
    interval = ""
    if grid.low is not None and grid.high is not None and value == value:
        interval = f"[{grid.low[row, column]:.3f}, {grid.high[row, column]:.3f}]"
    null = "" if grid.null is None else f"{grid.null[row, column]:.3f}"
    return {"measure": grid.label, "value": f"{value:.3f}", "95 %": interval, "chance": null, "rank": better}


def _samples(result: Comparison, row: int, column: int) -> None:
    """The samples whose relations to all others agree most, and least, between the two layers."""
    scores = result.agreement[row, column]
    order = scores.argsort()
    for title, places in (("Most alike in both layers", order[::-1][:EXAMPLES]), ("Least alike", order[:EXAMPLES])):
        st.markdown(f"**{title}**")
        if result.thumbnails is None:
            st.dataframe(
                pd.DataFrame([{"agreement": f"{scores[at]:.2f}", "sample": result.samples[at]} for at in places]),
                hide_index=True, alt=title,
            )  # fmt: skip
        else:
            st.image(
                [result.thumbnails[at] for at in places],
                caption=[f"{scores[at]:.2f}" for at in places],
                alt=[f"Sample {result.samples[at]}, agreement {scores[at]:.2f}" for at in places],
                width=72,
            )
    st.caption("Agreement: the cosine between a sample's rows in the two centred Gram matrices; linear CKA adds it up.")
