"""Colours and the plotly template of all figures.

Categories use Okabe-Ito (and shapes, since not everybody can tell colours apart), amounts use Cividis. Figures set
their template themselves, because importing Streamlit changes plotly's default template.
"""

from __future__ import annotations

from typing import Literal

import plotly.graph_objects as go

from contrasim_core.measure.facts import measure_facts

Mode = Literal["light", "dark"]
OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
SHAPES = ("circle", "square", "diamond", "cross", "x", "triangle-up")
AMOUNT = "Cividis"
DIFFERENCE = "PuOr"
CHOSEN = "#D55E00"
SMALLEST_TEXT = 12
INK = {"light": "#1d2433", "dark": "#e6e9f0"}
FAINT = {"light": "rgba(29,36,51,0.14)", "dark": "rgba(230,233,240,0.16)"}
MUTED = {"light": "#5b6475", "dark": "#a8b0c0"}


def template(mode: Mode) -> go.layout.Template:
    """Return the template for a light or a dark page; backgrounds are transparent."""
    axis = {
        "showgrid": True,
        "gridcolor": FAINT[mode],
        "zeroline": False,
        "linecolor": MUTED[mode],
        "ticks": "outside",
        "tickcolor": MUTED[mode],
        "title": {"standoff": 8},
        "automargin": True,
    }
    return go.layout.Template(
        layout={
            "font": {"family": "system-ui, 'Segoe UI', sans-serif", "size": 13, "color": INK[mode]},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "colorway": list(OKABE_ITO),
            "xaxis": axis,
            "yaxis": axis,
            "margin": {"l": 8, "r": 8, "t": 36, "b": 8},
            "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0, "title": {"text": ""}},
            "hoverlabel": {"font": {"size": 13}},
            "modebar": {"orientation": "v"},
        }
    )


def measure_style(measure: str) -> tuple[str, str]:
    """Return colour and shape of a measure's marks, the same in every figure."""
    facts = measure_facts().get(measure.partition(":")[0])
    place = facts.colour if facts else len(measure_facts())
    turn, colour = divmod(place, len(OKABE_ITO))
    return OKABE_ITO[colour], SHAPES[(colour + turn) % len(SHAPES)]


def styled(figure: go.Figure, mode: Mode, **layout: object) -> go.Figure:
    """Apply our template to a figure."""
    figure.update_layout(template=template(mode), **layout)
    return figure
