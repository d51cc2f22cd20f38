"""Grids as heatmaps with clickable cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go

from contrasim_core.figures.theme import AMOUNT, CHOSEN, DIFFERENCE, INK, SMALLEST_TEXT, Mode, styled
from contrasim_core.measure.result import Array, SimilarityGrid

ANNOTATED = 16
"""Largest number of layers for which cells show their values."""


def named(grid: SimilarityGrid, rows: str, columns: str) -> SimilarityGrid:
    """Return the grid with other names for its models, as needed for a mean over many pairs."""
    return replace(
        grid,
        rows=tuple(replace(layer, model=rows) for layer in grid.rows),
        columns=tuple(replace(layer, model=columns) for layer in grid.columns),
    )


def shared_range(grids: Sequence[SimilarityGrid]) -> tuple[float, float] | None:
    """Return a colour range for all grids; None if one of them needs its own, as unbounded measures do."""
    if any(None in grid.bounds for grid in grids):
        return None
    values = np.concatenate([grid.values[np.isfinite(grid.values)] for grid in grids])
    return (min(0.0, float(values.min())), 1.0) if len(values) else (0.0, 1.0)


def similarity_heatmap(
    grid: SimilarityGrid,
    *,
    mode: Mode = "light",
    between: tuple[float, float] | None = None,
    chosen: tuple[int, int] | None = None,
    height: int = 380,
) -> go.Figure:
    """Draw layers of A (rows) against layers of B (columns), with the best match of each row outlined.

    Args:
        grid: the grid to show.
        mode: light or dark page.
        between: colour range; None for the range of the values.
        chosen: row and column of the selected cell.
        height: in pixels.
    """
    figure = _cells(grid, grid.values, between, AMOUNT, None, f"{grid.label}: %{{customdata[2]}}")
    for row, column in enumerate(grid.row_best()):
        if column is not None:
            _outline(figure, row, column, INK[mode], 1.6)
    return _framed(figure, grid, mode, chosen, height)


def difference_heatmap(
    a: SimilarityGrid,
    b: SimilarityGrid,
    *,
    mode: Mode = "light",
    chosen: tuple[int, int] | None = None,
    height: int = 380,
) -> go.Figure:
    """Draw the value of `a` minus that of `b`, cell by cell, for two measures of the same layers."""
    values = a.values - b.values
    finite = values[np.isfinite(values)]
    most = float(np.abs(finite).max()) if len(finite) else 1.0
    figure = _cells(a, values, (-most, most), DIFFERENCE, 0.0, f"{a.label} − {b.label}: %{{customdata[2]}}")
    return _framed(figure, a, mode, chosen, height)


def _cells(
    grid: SimilarityGrid,
    values: Array,
    between: tuple[float, float] | None,
    scale: str,
    middle: float | None,
    hover: str,
) -> go.Figure:
    rows, columns = values.shape
    shown = [["–" if not np.isfinite(value) else f"{value:.2f}" for value in row] for row in values]
    low, high = between if between is not None else (None, None)
    written = max(rows, columns) <= ANNOTATED
    figure = go.Figure(
        go.Heatmap(
            z=values,
            text=shown if written else None,
            texttemplate="%{text}" if written else None,
            textfont={"size": SMALLEST_TEXT},
            colorscale=scale,
            zmin=low,
            zmax=high,
            zmid=middle,
            xgap=1,
            ygap=1,
            hoverinfo="skip",
            colorbar={"thickness": 10, "outlinewidth": 0, "len": 0.9},
        )
    )
    places = [(row, column) for row in range(rows) for column in range(columns)]
    names = [
        (row, column, shown[row][column], str(grid.rows[row]), str(grid.columns[column])) for row, column in places
    ]
    figure.add_trace(
        go.Scatter(  # markers report clicks, heatmap cells do not
            x=[column for _, column in places],
            y=[row for row, _ in places],
            mode="markers",
            marker={"symbol": "square", "size": max(6, min(34, 300 // max(rows, columns))), "color": "rgba(0,0,0,0)"},
            selected={"marker": {"opacity": 0}},
            unselected={"marker": {"opacity": 0}},
            customdata=names,
            hovertemplate=f"%{{customdata[3]}}<br>%{{customdata[4]}}<br>{hover}<extra></extra>",
            showlegend=False,
        )
    )
    return figure


def _outline(figure: go.Figure, row: int, column: int, colour: str, width: float) -> None:
    corners = {"x0": column - 0.46, "x1": column + 0.46, "y0": row - 0.46, "y1": row + 0.46}
    figure.add_shape(type="rect", line={"color": colour, "width": width}, **corners)


def _framed(
    figure: go.Figure, grid: SimilarityGrid, mode: Mode, chosen: tuple[int, int] | None, height: int
) -> go.Figure:
    rows, columns = len(grid.rows), len(grid.columns)
    if chosen is not None and chosen[0] < rows and chosen[1] < columns:
        _outline(figure, chosen[0], chosen[1], CHOSEN, 3)
    figure.update_xaxes(
        title_text=f"layer of {grid.columns[0].model}", range=[-0.5, columns - 0.5], showgrid=False, constrain="domain",
        fixedrange=True, **_ticks([layer.label for layer in grid.columns]),
    )  # fmt: skip
    figure.update_yaxes(
        title_text=f"layer of {grid.rows[0].model}", range=[rows - 0.5, -0.5], showgrid=False, scaleanchor="x",
        constrain="domain", fixedrange=True, **_ticks([layer.label for layer in grid.rows]),
    )  # fmt: skip
    return styled(figure, mode, height=height, clickmode="event+select", dragmode=False, margin={"t": 12})


def _ticks(labels: Sequence[str]) -> dict[str, object]:
    step = max(1, len(labels) // 12)
    places = list(range(0, len(labels), step))
    return {"tickmode": "array", "tickvals": places, "ticktext": [labels[place] for place in places]}
