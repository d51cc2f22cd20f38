"""Projections: points coloured by sample and shaped by source, before and after an encoder."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

import plotly.colors as palette
import plotly.graph_objects as go

from contrasim_core.figures.theme import CHOSEN, INK, MUTED, OKABE_ITO, SHAPES, Mode, styled
from contrasim_core.runs.projection.result import Projection

FEW = len(OKABE_ITO)
"""Most samples that get separate colours from the palette; more than that share a scale."""


DIM = 0.18


SIZE = 11


def projection_scatter(
    result: Projection,
    which: Literal["before", "after"],
    *,
    picked: Collection[int] = (),
    mode: Mode = "light",
    height: int = 430,
    loop: bool = True,
) -> go.Figure:
    """Draw one of the two pictures; both have the same colours, shapes and picked points.

    Args:
        result: the points.
        which: the picture.
        picked: numbers of points to highlight; none to highlight all.
        mode: light or dark page.
        height: in pixels.
        loop: whether dragging draws a loop around points instead of scrolling the page.
    """
    points = result.before if which == "before" or result.after is None else result.after
    colours = item_colours(len(result.ids))
    figure = go.Figure()
    for place, name in enumerate(result.sources):
        numbers = [number for number, source in enumerate(result.source) if int(source) == place]
        figure.add_trace(
            go.Scatter(
                name=name,
                x=[float(points[number, 0]) for number in numbers],
                y=[float(points[number, 1]) for number in numbers],
                mode="markers",
                marker={
                    "symbol": SHAPES[place % len(SHAPES)],
                    "size": SIZE,
                    "color": [colours[int(result.item[number])] for number in numbers],
                    "opacity": [1.0 if not picked or number in picked else DIM for number in numbers],
                    "line": {
                        "width": [2.5 if number in picked else 0.8 for number in numbers],
                        "color": [CHOSEN if number in picked else INK[mode] for number in numbers],
                    },
                },
                showlegend=False,
                legendgroup=name,
                customdata=numbers,
                text=[_said(result, number) for number in numbers],
                hovertemplate="%{text}<extra>" + name + "</extra>",
            )
        )
        mark = {"symbol": SHAPES[place % len(SHAPES)], "size": SIZE, "color": MUTED[mode]}
        figure.add_trace(go.Scatter(name=name, x=[None], y=[None], mode="markers", marker=mark, legendgroup=name))
    hidden = {"showticklabels": False, "ticks": "", "title": None, "showgrid": False}
    figure.update_xaxes(**hidden, constrain="domain", fixedrange=not loop)
    figure.update_yaxes(**hidden, scaleanchor="x", fixedrange=not loop)
    return styled(figure, mode, height=height, dragmode="lasso" if loop else False)


def before_and_after(result: Projection, *, mode: Mode = "light") -> go.Figure:
    """Draw both pictures in one figure, for a separate page."""
    from plotly.subplots import make_subplots

    parts: tuple[Literal["before", "after"], ...] = ("before", "after")
    shown = parts if result.after is not None else parts[:1]
    figure = make_subplots(cols=len(shown), subplot_titles=[name.capitalize() for name in shown])
    for column, which in enumerate(shown, 1):
        for trace in projection_scatter(result, which, mode=mode).data:
            trace.showlegend = trace.showlegend is not False and column == 1
            figure.add_trace(trace, row=1, col=column)
    figure.update_xaxes(showticklabels=False, ticks="", showgrid=False)
    figure.update_yaxes(showticklabels=False, ticks="", showgrid=False)
    return styled(figure, mode, height=460)


def item_colours(count: int) -> list[str]:
    """Return one colour per sample."""
    if count <= FEW:
        return list(OKABE_ITO[:count])
    return list(palette.sample_colorscale("HSV", [number / count for number in range(count)]))


def _said(result: Projection, number: int) -> str:
    """Return the hover text of a point."""
    name = result.ids[int(result.item[number])]
    text = result.texts[number] if result.texts else ""
    return _wrapped(text) + f"<br>{name}" if text else name


def _wrapped(text: str, width: int = 48) -> str:
    """Wrap text into lines, for hover boxes."""
    lines: list[str] = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) > width and lines[-1]:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "<br>".join(lines)


def most_moved(result: Projection, count: int) -> Sequence[int]:
    """Return the numbers of the points that moved most, the farthest first."""
    return [int(number) for number in result.moved.argsort()[::-1][:count]]
