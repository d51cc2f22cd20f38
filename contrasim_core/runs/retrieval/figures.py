"""Accuracy layer by layer: one line per measure, solid for random distractors and dashed for retrieved ones."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from contrasim_core.figures.theme import INK, Mode, measure_style, styled
from contrasim_core.measure.facts import label_of

DASH = {"random": "solid", "faiss": "dash"}


WORD = {"random": "random", "faiss": "nearest-neighbour"}
"""What people call the kinds of distractors."""


FAINT_BAND = 0.14


def layer_lines(summary: pd.DataFrame, *, mode: Mode = "light", height: int = 440) -> go.Figure:
    """Draw one line per measure and kind of distractor, over the layers, with its interval as a band.

    Args:
        summary: one group of pairs from the output of `RetrievalResult.summary`.
        mode: light or dark page.
        height: in pixels.
    """
    figure = go.Figure()
    for measure in dict.fromkeys(summary["measure"]):
        colour, shape = measure_style(measure)
        for negatives in (name for name in DASH if name in set(summary["negatives"])):
            part = summary[(summary["measure"] == measure) & (summary["negatives"] == negatives)]
            if not len(part) or part["accuracy"].isna().all():
                continue
            layers = part["layer"].astype(str).tolist()
            low, high = (part["low"] * 100).tolist(), (part["high"] * 100).tolist()
            figure.add_trace(
                go.Scatter(
                    x=layers + layers[::-1],
                    y=high + low[::-1],
                    mode="lines",
                    fill="toself",
                    fillcolor=_clear(colour),
                    line={"width": 0},
                    hoverinfo="skip",
                    showlegend=False,
                )
            )
            figure.add_trace(
                go.Scatter(
                    name=f"{label_of(measure)}, {WORD[negatives]}",
                    x=layers,
                    y=(part["accuracy"] * 100).tolist(),
                    mode="lines+markers",
                    line={"color": colour, "dash": DASH[negatives], "width": 2},
                    marker={"symbol": shape + ("-open" if negatives == "faiss" else ""), "size": 9},
                    customdata=[[measure, negatives, at] for at in range(len(layers))],
                    hovertemplate="layer %{x}: %{y:.1f} %<extra>"
                    + f"{label_of(measure)}, {WORD[negatives]}"
                    + "</extra>",
                )
            )
    _chance(figure, summary, mode)
    figure.update_xaxes(title_text="layer", type="category", fixedrange=True)
    figure.update_yaxes(title_text="true batch found (%)", range=[0, 103], fixedrange=True)
    return styled(figure, mode, height=height, dragmode=False, legend={"y": 1.02})


def caption_bars(records: pd.DataFrame, *, mode: Mode = "light", height: int | None = None) -> go.Figure:
    """Draw groups of bars by pair of models: measures by colour, retrieved distractors hatched.

    Args:
        records: one layer from the output of `RetrievalResult.to_pandas`.
        mode: light or dark page.
        height: in pixels; None for a height that fits the number of bars.
    """
    figure = go.Figure()
    table = records[records["accuracy"].notna()]
    mean = table.groupby(["measure", "negatives", "pair"], sort=False)[["accuracy", "low", "high"]].mean().reset_index()
    pairs = list(dict.fromkeys(mean["pair"]))
    for measure in dict.fromkeys(mean["measure"]):
        for negatives in (name for name in DASH if name in set(mean["negatives"])):
            part = mean[(mean["measure"] == measure) & (mean["negatives"] == negatives)]
            part = part.set_index("pair").reindex(pairs)
            figure.add_trace(
                go.Bar(
                    name=f"{label_of(measure)}, {WORD[negatives]}",
                    y=[pair.replace(" → ", "<br>→ ") for pair in pairs],
                    x=part["accuracy"] * 100,
                    orientation="h",
                    marker={
                        "color": measure_style(measure)[0],
                        "pattern": {"shape": "" if negatives == "random" else "/", "fgopacity": 0.6},
                    },
                    error_x={
                        "type": "data",
                        "array": (part["high"] - part["accuracy"]) * 100,
                        "arrayminus": (part["accuracy"] - part["low"]) * 100,
                        "color": INK[mode],
                        "thickness": 1.2,
                        "width": 2,
                    },
                    customdata=[[measure, negatives, 0, pair] for pair in pairs],
                    hovertemplate="%{y}: %{x:.1f} %<extra>" + f"{label_of(measure)}, {WORD[negatives]}" + "</extra>",
                )
            )
    chance = float(records["chance"].iloc[0]) * 100
    figure.add_vline(x=chance, line={"color": INK[mode], "dash": "dot", "width": 1.5})
    figure.add_annotation(
        x=chance, y=1, yref="paper", yanchor="bottom", xanchor="left", text=f"chance {chance:.0f} %", showarrow=False
    )
    figure.update_xaxes(title_text="true batch found (%)", range=[0, 103], fixedrange=True)
    figure.update_yaxes(autorange="reversed", showgrid=False, fixedrange=True)
    bars = len(pairs) * max(1, len(figure.data))
    return styled(
        figure, mode, height=height or 150 + 15 * bars, barmode="group", bargap=0.2, dragmode=False, legend={"y": 1.06}
    )


def _chance(figure: go.Figure, summary: pd.DataFrame, mode: Mode) -> None:
    chance = float(summary["chance"].iloc[0]) * 100
    figure.add_hline(y=chance, line={"color": INK[mode], "dash": "dot", "width": 1.5})
    figure.add_annotation(
        x=1, xref="paper", y=chance, yanchor="bottom", xanchor="right", text=f"chance {chance:.0f} %", showarrow=False
    )


def _clear(colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{FAINT_BAND})"
