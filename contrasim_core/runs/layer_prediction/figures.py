"""Benchmark accuracies as bars with intervals and the chance line."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from contrasim_core.figures.theme import INK, OKABE_ITO, Mode, styled
from contrasim_core.measure.facts import label_of

PATTERNS = {"seen": "", "unseen": "/", "transfer": "."}


NAMES = {"seen": "seen models", "unseen": "unseen models", "transfer": "second data set"}


ROW = 20  # pixels per bar


def accuracy_bars(summary: pd.DataFrame, *, mode: Mode = "light", height: int | None = None) -> go.Figure:
    """Draw one group of horizontal bars per measure, with one bar per protocol.

    Args:
        summary: the output of `BenchmarkResult.summary`: one row per measure and protocol.
        mode: light or dark page.
        height: in pixels; None for a height that fits the number of bars.
    """
    figure = go.Figure()
    measures = list(dict.fromkeys(summary["measure"]))
    protocols = [name for name in NAMES if name in set(summary["protocol"])]
    for place, protocol in enumerate(protocols):
        part = summary[summary["protocol"] == protocol].set_index("measure").reindex(measures)
        share = part["accuracy"] * 100
        figure.add_trace(
            go.Bar(
                name=NAMES[protocol],
                y=[label_of(measure) for measure in measures],
                x=share,
                orientation="h",
                marker={"color": OKABE_ITO[place], "pattern": {"shape": PATTERNS[protocol], "fgopacity": 0.6}},
                error_x={
                    "type": "data",
                    "array": (part["high"] - part["accuracy"]) * 100,
                    "arrayminus": (part["accuracy"] - part["low"]) * 100,
                    "color": INK[mode],
                    "thickness": 1.4,
                    "width": 3,
                },
                customdata=list(zip(measures, [protocol] * len(measures), part["trials"], part["seeds"], strict=True)),
                hovertemplate="%{y}, " + NAMES[protocol] + ": %{x:.1f} % of %{customdata[2]} trials<extra></extra>",
            )
        )
    chance = float(summary["chance"].iloc[0]) * 100
    figure.add_vline(x=chance, line={"color": INK[mode], "dash": "dash", "width": 1.5})
    figure.add_annotation(
        x=chance, y=1, yref="paper", yanchor="bottom", text=f"chance {chance:.0f} %", showarrow=False, font={"size": 12}
    )
    figure.update_xaxes(title_text="layers found (%)", range=[0, 103], showgrid=True)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    bars = len(measures) * max(1, len(protocols))
    legend = {"x": 1, "xanchor": "right", "y": 1, "traceorder": "normal"}
    return styled(
        figure, mode, height=height or 110 + ROW * bars, barmode="group", bargap=0.25, dragmode=False, legend=legend
    )
