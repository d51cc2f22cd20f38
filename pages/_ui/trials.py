"""The lost trials behind a point of a figure: the query, the right answer, and what was mistaken for it."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from contrasim_core.measure.facts import LEARNED_IDS, label_of
from contrasim_core.runs.retrieval.result import RetrievalResult
from pages._ui.wording import DISTRACTORS

ALL_PAIRS = "all pairs"


def clicked(chart: str) -> None:
    """A click on a point or bar chooses the measure, the distractors, the layer and the pair below."""
    event = st.session_state.get(chart)
    points = event["selection"]["points"] if event else []
    if points and points[0].get("customdata"):
        data = points[0]["customdata"]
        values = list(data.values()) if isinstance(data, dict) else list(data)
        pair = str(values[3]) if len(values) > 3 else ALL_PAIRS
        st.session_state["_failing"] = (str(values[0]), str(values[1]), int(values[2]), pair)
        st.toast(
            f"The failing trials of {label_of(str(values[0]))} are listed below.", icon=":material/arrow_downward:"
        )


def failing(result: RetrievalResult, measures: list[str], negatives: list[str], group: str) -> None:
    """The lost trials of one point: the query, the right answer, the distractor that was taken for it, the scores."""
    st.subheader("Failing trials")
    names = [name for name in measures if f"{name}|{negatives[0]}|all" in result.choices]
    if not names:
        st.caption("No trials were judged for these measures.")
        return
    wanted = st.session_state.pop("_failing", None)
    if wanted and wanted[0] in names and wanted[1] in negatives:
        st.session_state["fail-measure"], st.session_state["fail-negatives"] = wanted[0], wanted[1]
        st.session_state["fail-layer"], st.session_state["fail-pair"] = wanted[2], wanted[3]
    for name, value in (("fail-negatives", negatives[-1]), ("fail-layer", len(result.layers) - 1)):
        st.session_state.setdefault(name, value)  # where most is lost: the nearest distractors, the last layer
    if st.session_state["fail-negatives"] not in negatives:
        st.session_state["fail-negatives"] = negatives[-1]
    st.session_state["fail-layer"] = min(st.session_state["fail-layer"], len(result.layers) - 1)
    pairs = [ALL_PAIRS, *(result.pair_name(place) for place in range(len(result.pairs)))]
    if st.session_state.get("fail-pair") not in pairs:
        st.session_state["fail-pair"] = ALL_PAIRS
    several = len(result.layers) > 1
    columns = st.columns(4 if several else 3)
    measure = columns[0].selectbox("Measure", names, key="fail-measure", format_func=label_of)
    kind = columns[1].selectbox("Distractors", negatives, key="fail-negatives", format_func=DISTRACTORS.__getitem__)
    places = range(len(result.layers))
    pair = columns[2].selectbox("Pair", pairs, key="fail-pair")
    layer = 0
    if several:
        layer = columns[3].selectbox("Layer", places, key="fail-layer", format_func=lambda at: result.layers[at])
    shown = group if f"{measure}|{kind}|{group}" in result.choices else "all"
    lost = result.failures(measure, kind, shown, layer)
    total = result.judged(measure, kind, shown, layer)
    if pair != ALL_PAIRS:
        lost = lost[lost["pair"] == pairs.index(pair) - 1].reset_index(drop=True)
        total //= len(result.pairs)
    first = " (of the first encoder of each pair)" if measure in LEARNED_IDS else ""
    if not len(lost):
        st.caption(f"{label_of(measure)} lost none of {total} trials here{first}. Choose another measure or layer.")
        return
    st.caption(
        f"{len(lost)} of {total} trials lost{first}, the clearest first. Click a point in the figure or choose above; "
        "then click a row."
    )
    table = pd.DataFrame(
        {
            "pair": [result.pair_name(at) for at in lost["pair"]],
            "batch": lost["batch"] + 1,
            "outcome": lost["outcome"],
            "chosen": [f"distractor {at}" if at else "–" for at in lost["chosen"]],
            "right score": lost["right"].round(4),
            "chosen score": lost["distractor"].round(4),
        }
    )
    event: Any = st.dataframe(
        table, hide_index=True, key="failing", on_select="rerun", selection_mode="single-row", height=220,
        alt=f"Lost trials of {measure}",
    )  # fmt: skip
    rows = event["selection"]["rows"] if event else []
    place = rows[0] if rows and rows[0] < len(lost) else 0
    trial = {str(name): value for name, value in lost.iloc[place].to_dict().items()}
    _trial(result, trial, kind, layer)


def _trial(result: RetrievalResult, trial: dict[str, Any], negatives: str, layer: int) -> None:
    """One lost trial in full."""
    pair, batch, chosen = int(trial["pair"]), int(trial["batch"]), int(trial["chosen"])
    anchor, candidates = (result.sources[place] for place in result.pairs[pair])
    rows = result.batches[batch]
    name = f"**{result.pair_name(pair)}, batch {batch + 1}.**"
    if trial["outcome"] == "undefined":
        st.markdown(
            f"{name} This trial is not defined: a score is missing (its rows do not vary, or hold NaN), or the rows "
            "have too few neighbours that are not copies of them. It counts as lost."
        )
        return
    taken = result.candidates(negatives, pair, layer, batch)[chosen - 1]
    other = "a distractor the same" if trial["outcome"] == "tie" else f"the chosen one {trial['distractor']:.4f}"
    st.markdown(f"{name} The right batch scores {trial['right']:.4f}, {other}.")
    query, right, wrong = (
        _contents(result, name, part) for name, part in ((anchor, rows), (candidates, rows), (candidates, taken))
    )
    columns: dict[str, Any] = {"query": query, "right answer": right, "chosen distractor": wrong}
    images = isinstance(query[0], bytes | bytearray) or not isinstance(query[0], str)
    if images:
        _with_images(result, rows, right, wrong)
        return
    st.dataframe(pd.DataFrame(columns), hide_index=True, key="trial", alt="The texts of the trial")


def _contents(result: RetrievalResult, source: str, rows: Any) -> list[Any]:
    texts = result.samples.get(source, ())
    return [texts[row] for row in rows] if texts else [None] * len(rows)


def _with_images(result: RetrievalResult, rows: Any, right: list[Any], wrong: list[Any]) -> None:
    """Images as queries: the first few of the batch, each over its caption and the distractor's."""
    shown = min(8, len(rows))
    columns = st.columns(4)
    for place in range(shown):
        with columns[place % 4], st.container(border=True):
            if result.thumbnails is not None:
                st.image(result.thumbnails[rows[place]], width=72, alt=f"Query {place + 1}: {right[place]}")
            st.markdown(f"✓ {right[place]}  \n✗ {wrong[place]}")
    if len(rows) > shown:
        st.caption(f"The first {shown} of {len(rows)} rows of the batch.")
