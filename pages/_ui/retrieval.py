"""The multilingual and the image-caption benchmark on the page Benchmarks."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from contrasim_core.figures.words import Insight
from contrasim_core.measure.facts import LEARNED_IDS, expand_measures, label_of
from contrasim_core.refs import POOLING_NAMES
from contrasim_core.runs.retrieval import presets as presets_paired
from contrasim_core.runs.retrieval.figures import caption_bars, layer_lines
from contrasim_core.runs.retrieval.insights import of_retrieval
from contrasim_core.runs.retrieval.spec import RetrievalSpec
from contrasim_core.runs.retrieval.words import words_of_retrieval
from pages._ui import cached, frame, guard, running, trials, url, views, widgets
from pages._ui.wording import DISTRACTORS

SETS = {
    "paper": "cka.linear,deepcka,deepdot,contrasim",
    "closed-form": "closed-form",
    "learned": "learned",
    "all": "all",
}
SET_NAMES = {
    "paper": "Those of the paper",
    "closed-form": "Closed-form measures",
    "learned": "Learned measures",
    "all": "All measures",
}
TITLES = {"multilingual": "Which measure finds the translation?", "image-caption": "Which measure finds the caption?"}
ABOUT = {
    "multilingual": "A batch of sentences, and eleven batches in another language: its translation and ten "
    "distractors, drawn at random or made of the nearest sentences. Which is most alike? A tie is a miss.",
    "image-caption": "A batch of images, and eleven batches of captions: theirs and ten distractors, drawn at random "
    "or made of the nearest captions. Which is most alike? A tie is a miss.",
}
FIRST = ("cka.linear", "deepcka", "deepdot", "contrasim", "dot", "contrasim.relative")
PHRASE_MODELS = ("phrases-bert-0", "phrases-roberta-0")
SHARED = {"all": "every untrained pair", "none": "none", "one": "one", "both": "both"}
LINES = 6
"""Measures that can be told apart by colour and shape."""


def show(spec: RetrievalSpec) -> None:
    """The benchmark: run it, or its pictures."""
    if not running.finished(spec, verb="Run the benchmark"):
        return
    result = cached.result(spec.kind, spec.key)
    summary = result.summary()
    measures = _measures(summary)
    negatives = _negatives(summary)
    group = _group(summary)
    untrained = ~summary["measure"].isin(LEARNED_IDS)
    of_group = (summary["pair_group"] == group) | (untrained & (summary["pair_group"] == "all"))
    drawn = summary[summary["measure"].isin(measures) & summary["negatives"].isin(negatives) & of_group]
    if not len(drawn):
        st.info(
            "None of these measures was judged on this group of pairs. Choose another group.", icon=":material/info:"
        )
        return
    words = words_of_retrieval(result, drawn)
    st.subheader(words.title)
    if len(result.layers) > 1:
        picture = layer_lines(drawn, mode=frame.mode(), height=620 if frame.touch() else 440)
    else:
        records = result.to_pandas()
        picture = caption_bars(
            records[records["measure"].isin(measures) & records["negatives"].isin(negatives)], mode=frame.mode()
        )
    views.picture(
        picture, words, "retrieval", drawn, spec, on_select=lambda: trials.clicked("retrieval"), selection_mode="points"
    )
    if group != "all" and not set(measures) <= set(LEARNED_IDS):
        st.caption("Closed-form measures are not trained, so they are always drawn over all pairs.")
    for row in drawn[drawn["accuracy"].isna()].drop_duplicates("measure").to_dict("records"):
        st.caption(f"{label_of(str(row['measure']))}: {row['reason']}.")
    said(of_retrieval(result))
    trials.failing(result, measures, negatives, group)


def request(task: str) -> RetrievalSpec:
    """What to run, from the controls."""
    left, middle, right = st.columns(3)
    with right:
        chosen = widgets.choice(
            "measures",
            "Measures",
            list(SETS),
            "paper",
            format_func=SET_NAMES.__getitem__,
            help="Closed-form measures take seconds. Encoders are trained first, which takes minutes.",
        )
    measures = expand_measures(SETS[chosen])
    if task == "multilingual":
        with left:
            model = widgets.choice(
                "model", "Model", list(PHRASE_MODELS), PHRASE_MODELS[0], free=True,
                help="Bundled, a folder, or a hub id.",
            )  # fmt: skip
        with middle:
            pooling = widgets.choice(
                "p", "Pooling", ["cls", "mean"], "cls", format_func=POOLING_NAMES.__getitem__,
                help="How the positions of a sentence become one row.",
            )  # fmt: skip
        data: str | None = None
        languages: tuple[str, ...] = presets_paired.LANGUAGES
        if model not in PHRASE_MODELS:
            data = widgets.text(
                "d", "Parallel texts", "", help="A .csv or .tsv with a column per language, or a hub id."
            )
            named = widgets.text("lang", "Languages", ",".join(languages), help="Columns of the texts.")
            languages = tuple(part.strip() for part in named.split(",") if part.strip())
            if not data:
                st.info("Enter the parallel texts for this model.", icon=":material/edit:")
                raise guard.Enough
        return presets_paired.multilingual_spec(
            model, measures=measures, data=data, languages=languages,
            pooling="mean" if pooling == "mean" else "cls",
        )  # fmt: skip
    with left:
        models = widgets.choice(
            "sides", "Models", ["2 x 2", "CLIP"], "2 x 2", help="ViT and ConvNeXt with BERT and GPT-2; or CLIP."
        )  # fmt: skip
    if models == "CLIP":
        return presets_paired.clip_spec(measures=measures)
    return presets_paired.caption_spec(measures=measures)


def _measures(summary: pd.DataFrame) -> list[str]:
    there = list(dict.fromkeys(summary["measure"]))
    default = [name for name in FIRST if name in there][:LINES] or there[:LINES]
    key = url.start("m", default, lambda raw: [name for name in url.words(raw) if name in there] or None)
    st.session_state[key] = [name for name in st.session_state[key] if name in there] or default
    picked = st.multiselect("Measures shown", there, key=key, format_func=label_of, max_selections=LINES)
    url.keep("m", picked, default, url.joined)
    return picked or default


def _negatives(summary: pd.DataFrame) -> list[str]:
    there = list(dict.fromkeys(summary["negatives"]))
    key = url.start("neg", there, lambda raw: [name for name in url.words(raw) if name in there] or None)
    st.session_state[key] = [name for name in st.session_state[key] if name in there] or there
    left, right = st.columns(2)
    with left:
        picked = st.pills(
            "Distractors", there, selection_mode="multi", key=key, format_func=lambda name: DISTRACTORS[name],
            help="Random ones are solid; nearest neighbours of the right answer are dashed or hatched.",
        )  # fmt: skip
    url.keep("neg", picked, there, url.joined)
    st.session_state["_retrieval_right"] = right
    return picked or there


def _group(summary: pd.DataFrame) -> str:
    there = [name for name in ("all", "none", "one", "both") if name in set(summary["pair_group"])]
    if len(there) < 3:
        return "all"
    key = url.start("group", "all", lambda raw: raw if raw in there else None)
    if st.session_state[key] not in there:
        st.session_state[key] = "all"
    with st.session_state.pop("_retrieval_right"):
        picked = st.segmented_control(
            "Languages shared with training", there, key=key, format_func=lambda name: SHARED[name],
            help="Learned measures only: pairs of languages of which the encoder met none, one or both in training.",
        )  # fmt: skip
    url.keep("group", picked, "all")
    return picked or "all"


def said(found: list[Insight]) -> None:
    """Sentences, each with the figure it is about."""
    if not found:
        return
    st.subheader("What the numbers say")
    for number, insight in enumerate(found):
        text, button = st.columns([6, 1])
        text.markdown(f"- {insight.text}")
        button.button("Show", key=f"insight-{number}", on_click=_show_insight, args=(insight,), help="Draw just this.")


def _show_insight(insight: Insight) -> None:
    page = st.session_state[url.STATE]["page"]
    st.toast("Drawn above.", icon=":material/arrow_upward:")
    if insight.protocols:
        st.session_state[f"{page}.protocols"] = list(insight.protocols)
        st.session_state[f"{page}.lm"] = list(insight.measures)
        return
    st.session_state[f"{page}.m"] = list(insight.measures)
    st.session_state[f"{page}.neg"] = list(insight.negatives)
    if f"{page}.group" in st.session_state:
        st.session_state[f"{page}.group"] = insight.pair_group
