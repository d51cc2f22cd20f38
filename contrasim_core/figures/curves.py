"""Training curves: loss, and accuracy on held-out samples."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from contrasim_core.encoder.result import TrainingCurve
from contrasim_core.figures.theme import INK, OKABE_ITO, SHAPES, Mode, styled
from contrasim_core.measure.facts import label_of


def training_curves(curves: Sequence[TrainingCurve], *, mode: Mode = "light", height: int = 320) -> go.Figure:
    """Draw loss on the left and held-out layer-prediction accuracy on the right, with one line per encoder.

    Args:
        curves: one curve per encoder; encoders of one kind share a colour.
        mode: light or dark page.
        height: in pixels.
    """
    figure = make_subplots(cols=2, subplot_titles=("Loss", "Held-out accuracy (%)"), horizontal_spacing=0.12)
    kinds = list(dict.fromkeys(curve.encoder for curve in curves))
    shown: set[str] = set()
    for curve in curves:
        place = kinds.index(curve.encoder) % len(OKABE_ITO)
        line = {"color": OKABE_ITO[place], "width": 1.6}
        name = label_of(curve.encoder)
        for column, values in ((1, curve.loss), (2, tuple(100 * value for value in curve.accuracy))):
            figure.add_trace(
                go.Scatter(
                    x=list(range(1, len(values) + 1)),
                    y=values,
                    name=name,
                    legendgroup=name,
                    showlegend=name not in shown and column == 1,
                    mode="lines+markers",
                    line=line,
                    marker={"symbol": SHAPES[place], "size": 5},
                    hovertemplate=f"{name}, seed {curve.seed}, epoch %{{x}}: %{{y:.3g}}<extra></extra>",
                ),
                row=1,
                col=column,
            )
        shown.add(name)
    if curves and any(curve.accuracy for curve in curves):
        chance = 100 * curves[0].chance
        figure.add_hline(y=chance, line={"dash": "dash", "color": INK[mode], "width": 1.2}, col=2)
        figure.add_annotation(
            text=f"chance {chance:.0f} %", x=1, xref="x2 domain", xanchor="right", y=chance, yref="y2",
            yanchor="bottom", showarrow=False, font={"size": 12},
        )  # fmt: skip
        figure.update_yaxes(range=[0, 104], col=2)
    figure.update_xaxes(title_text="epoch")
    return styled(figure, mode, height=height, dragmode=False, margin={"t": 64}, legend={"y": 1.12})
