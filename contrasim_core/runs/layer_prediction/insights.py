"""What a finished layer prediction shows, in sentences that its intervals support."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contrasim_core.figures.words import Insight, Share
from contrasim_core.measure.facts import LEARNED_IDS, label_of
from contrasim_core.runs.layer_prediction.result import BenchmarkResult


def of_layer_prediction(result: BenchmarkResult) -> list[Insight]:
    """Return sentences about layer prediction."""
    table = result.summary()
    table = table[table["accuracy"].notna()]
    shares = {(str(row["measure"]), str(row["protocol"])): _row(row) for row in table.to_dict("records")}
    insights = []
    for measure in LEARNED_IDS:
        seen, unseen = shares.get((measure, "seen")), shares.get((measure, "unseen"))
        if seen and unseen and seen.above(unseen):
            insights.append(
                Insight(
                    f"{label_of(measure)} finds {seen.value:.0f} % of layers in models it was trained on, and "
                    f"{unseen.value:.0f} % in others: it is less accurate on models it has not seen.",
                    (measure,),
                    protocols=("seen", "unseen"),
                )
            )
    for protocol in ("seen", "unseen"):
        here = {name: share for (name, kind), share in shares.items() if kind == protocol}
        if len(here) >= 2:
            first, second = sorted(here, key=lambda name: -here[name].value)[:2]
            if here[first].above(here[second]):
                insights.append(
                    Insight(
                        f"On {protocol} models, {label_of(first)} leads the {len(here) - 1} other measures run here: "
                        f"{here[first].value:.0f} %, and next {label_of(second)} with {here[second].value:.0f} %.",
                        (first, second),
                        protocols=(protocol,),
                    )
                )
    beaten = [
        name for (name, kind), share in shares.items() if kind == "seen" and share.high < 100 / len(result.layers)
    ]
    if beaten:
        text = f"Below chance: {', '.join(map(label_of, beaten))}."
        insights.append(Insight(text, tuple(beaten), protocols=("seen",)))
    return insights


def _row(row: Mapping[Any, Any]) -> Share:
    return Share(*(float(100 * row[name]) for name in ("accuracy", "low", "high")))
