"""One layer of A against all layers of B, under every measure of a comparison."""

from __future__ import annotations

from collections.abc import Mapping

import plotly.graph_objects as go

from contrasim_core.figures.theme import INK, OKABE_ITO, SHAPES, Mode, styled
from contrasim_core.measure.result import SimilarityGrid


def row_profile(
    grids: Mapping[str, SimilarityGrid], row: int, column: int, *, mode: Mode = "light", height: int = 300
) -> go.Figure:
    """Draw one line per measure with its 95 % interval; the chosen column is marked.

    Args:
        grids: grids of the same layers by measure id.
        row: layer of A.
        column: layer of B.
        mode: light or dark page.
        height: in pixels.
    """
    figure = go.Figure()
    for place, grid in enumerate(grids.values()):
        spread = {}
        if grid.low is not None and grid.high is not None:
            spread = {
                "error_y": {
                    "type": "data",
                    "array": grid.high[row] - grid.values[row],
                    "arrayminus": grid.values[row] - grid.low[row],
                    "thickness": 1,
                    "width": 3,
                }
            }
        figure.add_trace(
            go.Scatter(
                x=[layer.label for layer in grid.columns],
                y=grid.values[row],
                name=grid.label,
                mode="lines+markers",
                line={"color": OKABE_ITO[place % len(OKABE_ITO)], "width": 1.8},
                marker={"symbol": SHAPES[place % len(SHAPES)], "size": 8},
                hovertemplate=f"{grid.label}, layer %{{x}}: %{{y:.3f}}<extra></extra>",
                **spread,
            )
        )
    first = next(iter(grids.values()))
    figure.add_vline(x=column, line={"color": INK[mode], "dash": "dot", "width": 1.2})
    figure.update_xaxes(title_text=f"layer of {first.columns[0].model}", type="category")
    figure.update_yaxes(title_text="similarity")
    return styled(figure, mode, height=height, dragmode=False, margin={"t": 60})
