"""What a finished benchmark shows, in plain sentences that its intervals support.

Two accuracies count as different only if their 95 % intervals do not overlap. Over several layers the interval is the
mean of the layers' intervals, which is wider than that of the mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from contrasim_core.figures.words import Insight, Share
from contrasim_core.measure.facts import LEARNED_IDS, label_of
from contrasim_core.runs.retrieval.result import RetrievalResult

THING = {"multilingual": "translations", "image-caption": "captions"}


REFERENCE = "cka.linear"


LEAST_BATCHES = 5


def of_retrieval(result: RetrievalResult) -> list[Insight]:
    """Return sentences about the multilingual or the image-caption benchmark."""
    lines = result.summary()
    lines = lines[lines["accuracy"].notna()]
    insights = [*_hardness(result, lines), *_winners(result, lines), *_layers(result, lines), *_sharing(lines)]
    return insights + (list(_models(result)) if result.task == "image-caption" else [])


def _shares(lines: pd.DataFrame, group: str = "all") -> dict[tuple[str, str], Share]:
    """Return means over the layers, by measure and negatives."""
    part = lines[lines["pair_group"] == group]
    return {
        (str(names[0]), str(names[1])): _share(rows)
        for names, rows in part.groupby(["measure", "negatives"], sort=False)
    }


def _share(rows: pd.DataFrame) -> Share:
    return Share(*(float(100 * rows[name].mean()) for name in ("accuracy", "low", "high")))


def _hardness(result: RetrievalResult, lines: pd.DataFrame) -> Iterator[Insight]:
    """Say how much retrieved distractors cost the measure that suffers most, and the one that suffers least."""
    shares = _shares(lines)
    drops = {
        measure: (share, shares[measure, "faiss"])
        for (measure, negatives), share in shares.items()
        if negatives == "random" and (measure, "faiss") in shares and share.above(shares[measure, "faiss"])
    }
    if len(drops) < 2:
        return
    order = sorted(drops, key=lambda name: drops[name][0].value - drops[name][1].value)
    least, most = order[0], order[-1]
    lost = {name: drops[name][0].value - drops[name][1].value for name in (least, most)}
    yield Insight(
        f"Retrieved distractors are harder than random ones: they cost {label_of(most)} {lost[most]:.0f} points and "
        f"{label_of(least)} {lost[least]:.0f}.",
        (least, most),
        ("random", "faiss"),
    )


def _winners(result: RetrievalResult, lines: pd.DataFrame) -> Iterator[Insight]:
    """Say whether a learned measure beats every closed-form one, or the reverse."""
    shares = _shares(lines)
    for negatives in ("random", "faiss"):
        here = {measure: share for (measure, kind), share in shares.items() if kind == negatives}
        learned = {name: share for name, share in here.items() if name in LEARNED_IDS}
        formulas = {name: share for name, share in here.items() if name not in LEARNED_IDS}
        if not learned or not formulas:
            continue
        a, b = (max(part, key=lambda name: part[name].value) for part in (learned, formulas))
        first, second = (a, b) if here[a].value >= here[b].value else (b, a)
        if here[first].above(here[second]):
            kind, others = ("learned", learned) if second == a else ("closed-form", formulas)
            which = f"the best of the {len(others)} {kind} measures" if len(others) > 1 else f"the only {kind} measure"
            yield Insight(
                f"Against {'retrieved' if negatives == 'faiss' else 'random'} distractors, {label_of(first)} finds "
                f"{here[first].value:.0f} % of {THING[result.task]}; {which} run here, {label_of(second)}, finds "
                f"{here[second].value:.0f} %.",
                (first, second),
                (negatives,),
            )


def _layers(result: RetrievalResult, lines: pd.DataFrame) -> Iterator[Insight]:
    """Say where in the network a measure finds the counterparts best and worst."""
    if len(result.layers) < 3:
        return
    part = lines[(lines["pair_group"] == "all") & (lines["negatives"] == "faiss")]
    for measure in ("contrasim", REFERENCE):
        rows = part[part["measure"] == measure]
        if not len(rows):
            continue
        layers = {str(name): _share(group) for name, group in rows.groupby("layer", sort=False)}
        best, worst = (pick(layers, key=lambda name: layers[name].value) for pick in (max, min))
        if layers[best].above(layers[worst]):
            yield Insight(
                f"{label_of(measure)} finds counterparts best in layer {best} ({layers[best].value:.0f} %) "
                f"and worst in layer {worst} ({layers[worst].value:.0f} %).",
                (measure,),
                ("faiss",),
            )


def _sharing(lines: pd.DataFrame) -> Iterator[Insight]:
    """Say how much accuracy an encoder loses on languages it was not trained on."""
    both, none = _shares(lines, "both"), _shares(lines, "none")
    for measure in ("contrasim", "contrasim.relative"):
        key = (measure, "faiss")
        if key in both and key in none and both[key].above(none[key]):
            yield Insight(
                f"{label_of(measure)} finds {both[key].value:.0f} % in the languages it was trained on, "
                f"{none[key].value:.0f} % in two others.",
                (measure,),
                ("faiss",),
                "both",
            )


def _models(result: RetrievalResult) -> Iterator[Insight]:
    """Name two models that one measure separates and another does not: the difference lies in the measure.

    The criterion is the gap between the two models in each batch, which both models see: by 95 % intervals over
    batches, the gap of the reference is not zero, that of the learned measure is within half of it, and it is smaller.
    """
    for first, second in combinations(sorted({b for _, b in result.pairs}), 2):
        for negatives in ("faiss", "random"):
            gaps = [_gaps(result, measure, negatives, first, second) for measure in (REFERENCE, "contrasim")]
            if any(gap is None or len(gap) < LEAST_BATCHES for gap in gaps):
                continue
            reference, learned = (np.asarray(gap) for gap in gaps)
            sign = 1 if reference.mean() >= 0 else -1
            half = abs(reference.mean()) / 2
            low, high = _mean_interval(learned)
            if _mean_interval(sign * reference)[0] > 0 and -half < low and high < half:
                if _mean_interval(sign * (reference - learned))[0] <= 0:
                    continue
                names = [result.sources[place] for place in (first, second)]
                yield Insight(
                    f"{label_of(REFERENCE)} separates {names[0]} from {names[1]} by "
                    f"{100 * abs(reference.mean()):.0f} points, {label_of('contrasim')} by "
                    f"{100 * abs(learned.mean()):.0f}: most of that difference comes from the measure, not the models.",
                    (REFERENCE, "contrasim"),
                    (negatives,),
                )
                break


def _gaps(result: RetrievalResult, measure: str, negatives: str, first: int, second: int) -> NDArray[np.float64] | None:
    """Return [batches] share of trials won with one model's captions minus the other's; None if not judged."""
    made = result.choices.get(f"{measure}|{negatives}|all")
    if made is None:
        return None
    sides = [[place for place, pair in enumerate(result.pairs) if pair[1] == text] for text in (first, second)]
    won = [made.won[places].astype(np.float64).mean((0, 1)) for places in sides]
    gap = won[0] - won[1]
    return gap if bool(np.isfinite(gap).all()) else None


def _mean_interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % t interval of a mean."""
    margin = float(stdtrit(len(values) - 1, 0.975)) * float(values.std(ddof=1)) / math.sqrt(len(values))
    return float(values.mean()) - margin, float(values.mean()) + margin
