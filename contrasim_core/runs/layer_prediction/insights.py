"""What a finished layer prediction says, in sentences that its intervals bear out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contrasim_core.figures.words import Insight, Share
from contrasim_core.measure.facts import LEARNED_IDS, label_of
from contrasim_core.runs.layer_prediction.result import BenchmarkResult


def of_layer_prediction(result: BenchmarkResult) -> list[Insight]:
    """Sentences about layer prediction."""
    table = result.summary()
    table = table[table["accuracy"].notna()]
    shares = {(str(row["measure"]), str(row["protocol"])): _row(row) for row in table.to_dict("records")}
    found = []
    for measure in LEARNED_IDS:
        seen, unseen = shares.get((measure, "seen")), shares.get((measure, "unseen"))
        if seen and unseen and seen.above(unseen):
            found.append(
                Insight(
                    f"{label_of(measure)} finds {seen.value:.0f} % of layers in models it was trained on, and "
                    f"{unseen.value:.0f} % in others: on a model that it has not seen it is worth less.",
                    (measure,),
                    protocols=("seen", "unseen"),
                )
            )
    for protocol in ("seen", "unseen"):
        here = {name: share for (name, kind), share in shares.items() if kind == protocol}
        if len(here) >= 2:
            first, second = sorted(here, key=lambda name: -here[name].value)[:2]
            if here[first].above(here[second]):
                found.append(
                    Insight(
                        f"On {protocol} models {label_of(first)} is ahead of the {len(here) - 1} other measures run "
                        f"here: {here[first].value:.0f} %, the next, {label_of(second)}, {here[second].value:.0f} %.",
                        (first, second),
                        protocols=(protocol,),
                    )
                )
    beaten = [
        name for (name, kind), share in shares.items() if kind == "seen" and share.high < 100 / len(result.layers)
    ]
    if beaten:
        found.append(Insight(f"Below chance: {', '.join(map(label_of, beaten))}.", tuple(beaten), protocols=("seen",)))
    return found


def _row(row: Mapping[Any, Any]) -> Share:
    return Share(*(float(100 * row[name]) for name in ("accuracy", "low", "high")))
