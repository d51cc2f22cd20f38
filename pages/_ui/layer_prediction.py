"""Controls and details of the page Benchmarks."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from contrasim_core.figures.heatmap import named, similarity_heatmap
from contrasim_core.measure.facts import expand_measures, label_of
from contrasim_core.runs.comparison.words import words_of_grid
from contrasim_core.runs.layer_prediction.figures import NAMES
from contrasim_core.runs.layer_prediction.presets import benchmark_spec
from contrasim_core.runs.layer_prediction.result import BenchmarkResult
from contrasim_core.runs.layer_prediction.spec import PROTOCOLS, BenchmarkSpec
from contrasim_core.runs.retrieval.spec import RetrievalSpec
from contrasim_core.zoo.recipes import RECIPES
from pages._ui import frame, links, url, views, widgets

SETS = {
    "all": "All measures",
    "closed-form": "Closed-form measures",
    "learned": "Learned measures",
    "kornblith": "Kornblith et al. 2019, Table 2",
}


PAIRS = {"all": "All ordered pairs", "disjoint": "Disjoint pairs"}
TASKS = {
    "layer-prediction": "Layer prediction",
    "multilingual": "Multilingual",
    "image-caption": "Image and caption",
}


def task() -> str:
    """Which of the three benchmarks."""
    names = list(TASKS)
    key = url.start("task", names[0], lambda raw: raw if raw in TASKS else None)
    if st.session_state[key] not in TASKS:
        st.session_state[key] = names[0]
    picked = st.segmented_control("Benchmark", names, key=key, format_func=lambda name: TASKS[name])
    url.keep("task", picked, names[0])
    return picked or names[0]


def from_link() -> BenchmarkSpec | RetrievalSpec | None:
    """The finished benchmark that the address names; None to show the controls."""
    spec = links.finished_run("New benchmark", "retrieval", "benchmark")
    return spec if isinstance(spec, BenchmarkSpec | RetrievalSpec) else None


def request() -> BenchmarkSpec:
    """What to run, from the controls."""
    families = [item.family for item in RECIPES if item.task == "layer-prediction"]
    left, middle, right = st.columns(3)
    with left:
        models = widgets.choice(
            "models", "Models", families, families[0], free=True,
            help="A bundled family, or names separated by commas: one architecture, several seeds.",
        )  # fmt: skip
    known = models in families
    with middle:
        measures = widgets.choice(
            "set",
            "Measures",
            list(SETS),
            "all",
            format_func=SETS.__getitem__,
            help="Closed-form measures take seconds; the others train encoders first.",
        )
    with right:
        pairs = widgets.choice(
            "pairs",
            "Pairs of models",
            list(PAIRS),
            "all",
            format_func=PAIRS.__getitem__,
            help="The paper uses disjoint pairs; all ordered pairs give narrower intervals.",
        )
    data = None if known else st.text_input("Data (with a train and a test split)", "digits", help=widgets.HELP_DATA)
    return benchmark_spec(models, measures=expand_measures(measures), data=data, pairs=pairs)


def shown(result: BenchmarkResult) -> pd.DataFrame:
    """The summary, for the protocols the viewer wants."""
    summary = result.summary()
    there = [name for name in PROTOCOLS if name in set(summary["protocol"])]
    key = url.start("protocols", there, lambda raw: [name for name in url.words(raw) if name in there])
    st.session_state[key] = [name for name in st.session_state[key] if name in there] or there
    picked = st.pills(
        "Judged on",
        there,
        selection_mode="multi",
        key=key,
        format_func=lambda name: NAMES[name],
        help="Seen models are those the encoder was trained on.",
    )
    url.keep("protocols", picked, there, url.joined)
    measures = list(dict.fromkeys(summary["measure"]))
    chosen = url.start("lm", [], lambda raw: [name for name in url.words(raw) if name in measures])
    st.session_state[chosen] = [name for name in st.session_state[chosen] if name in measures]
    wanted = st.multiselect("Measures shown", measures, key=chosen, format_func=label_of, placeholder="All")
    url.keep("lm", wanted, [], url.joined)
    return summary[summary["protocol"].isin(picked or there) & summary["measure"].isin(wanted or measures)]


def reasons(summary: pd.DataFrame) -> None:
    """Why some measures have no bar."""
    for row in summary[summary["accuracy"].isna()].to_dict("records"):
        st.caption(f"{label_of(str(row['measure']))} ({row['protocol']}): {row['reason']}")


def detail(result: BenchmarkResult) -> None:
    """One measure: its mean grid, and which layers it takes for which."""
    st.subheader("One measure")
    names = list(result.grids)
    left, right = st.columns([1, 1])
    with left:
        chosen = widgets.choice("one", "Measure and protocol", names, names[0], format_func=_grid_label)
        grid = named(result.grids[chosen], "the first model", "the second model")
        words = words_of_grid(grid)
        views.picture(similarity_heatmap(grid, mode=frame.mode()), words, "mean-grid", grid.to_pandas())
    with right:
        st.markdown("**Which layers are confused**")
        st.dataframe(mistakes(result, chosen), hide_index=True, key="mistakes", alt=f"Wrong choices of {chosen}")
        st.caption("Each row: a layer of the first model, the layer chosen instead, and in how many pairs.")


def _grid_label(name: str) -> str:
    """`cka.linear|seen` for people."""
    measure, *rest = name.split("|")
    return ", ".join([label_of(measure), *(f"{part} models" if part in PROTOCOLS[:2] else part for part in rest)])


def mistakes(result: BenchmarkResult, name: str) -> pd.DataFrame:
    """Wrong choices of one measure, the most frequent first (of the first seed, for learned measures)."""
    key = next(key for key in result.predictions if key == name or key.startswith(f"{name}|"))
    counts: dict[tuple[str, str], int] = {}
    for choices in result.predictions[key]:
        for layer, choice in enumerate(choices):
            if choice != layer:
                taken = "tie" if choice < 0 else result.layers[choice]
                counts[result.layers[layer], taken] = counts.get((result.layers[layer], taken), 0) + 1
    rows = [{"layer": a, "confused with": b, "pairs": count} for (a, b), count in counts.items()]
    return pd.DataFrame(rows, columns=["layer", "confused with", "pairs"]).sort_values("pairs", ascending=False)
