"""Controls and pictures of the page Projections."""

from __future__ import annotations

from typing import Any, Literal

import pandas as pd
import streamlit as st

from contrasim_core.encoder.spec import ENCODER_KINDS
from contrasim_core.measure.facts import label_of
from contrasim_core.models.find import depth_of, resolve_model
from contrasim_core.runs import plan
from contrasim_core.runs.projection.figures import most_moved, projection_scatter
from contrasim_core.runs.projection.result import Projection
from contrasim_core.runs.projection.spec import ProjectionSpec
from contrasim_core.runs.projection.words import words_of_projection
from contrasim_core.runs.retrieval import presets as presets_paired
from contrasim_core.runs.retrieval.spec import RetrievalSpec
from pages._ui import cached, frame, links, url, views, widgets

MODELS = ["phrases-bert-0", "phrases-roberta-0", "image and caption", "CLIP"]
METHODS = {"pca": "PCA", "umap": "UMAP"}
DEFAULT_ITEMS = 5
FEWEST, MOST = 4, 400  # samples shown
MOVED = 8
PICKED = "_picked"


def from_link() -> ProjectionSpec | None:
    """The finished projection that the address names; None to show the controls."""
    spec = links.finished_run("New projection", "projection")
    return spec if isinstance(spec, ProjectionSpec) else None


def _encoder(name: str) -> str:
    return "None" if name == "none" else label_of(name)


def request() -> ProjectionSpec:
    """What to project, from the controls."""
    left, middle, right = st.columns(3)
    with left:
        model = widgets.choice(
            "model", "Model", MODELS, MODELS[0], help="Bundled models. The Python library projects any other."
        )
    kinds = [*ENCODER_KINDS, "none"]
    with middle:
        kind = widgets.choice(
            "kind", "Encoder", kinds, "contrasim", format_func=_encoder,
            help="Trained first if it does not exist yet.",
        )  # fmt: skip
    with right:
        method = widgets.choice(
            "method", "Method", list(METHODS), "pca", format_func=METHODS.__getitem__,
            help="PCA is immediate; UMAP takes up to a minute.",
        )  # fmt: skip
    st.button(
        "Figure 5 of the paper", on_click=_figure_5, icon=":material/article:",
        help="Five sentences in English and Arabic, before and after ContraSim, by UMAP.",
    )  # fmt: skip
    base = _base(model, kind)
    names = list(base.names)
    left, middle, right = st.columns(3)
    with left:
        default = ["en", "ar"] if "en" in names else names[:2] if model == "CLIP" else [names[0], names[2]]
        key = url.start("sources", default, lambda raw: [name for name in url.words(raw) if name in names] or None)
        st.session_state[key] = [name for name in st.session_state[key] if name in names] or default
        chosen = st.multiselect("Sources", names, key=key, help="The encoder is trained on the first two.")
        url.keep("sources", chosen, default, url.joined)
    chosen = chosen or default
    with middle:
        items = st.number_input("Samples", FEWEST, MOST, key=url.start("n", DEFAULT_ITEMS, _items))
        url.keep("n", items, DEFAULT_ITEMS)
    layer = -1
    if base.task == "multilingual":
        with right:
            depth = depth_of(resolve_model(model)) or 1
            at = url.start("layer", depth, lambda raw: int(raw) if raw.isdigit() and 1 <= int(raw) <= depth else None)
            layer = st.slider("Layer", 1, depth, key=at)
            url.keep("layer", layer, depth)
    return _spec(base, names, chosen, kind, layer, int(items), "umap" if method == "umap" else "pca")


def _items(raw: str) -> int | None:
    return min(MOST, max(FEWEST, int(raw))) if raw.isdigit() else None


def _figure_5() -> None:
    """The controls as the paper has them."""
    page = st.session_state[url.STATE]["page"]
    values = {"model": MODELS[0], "kind": "contrasim", "method": "umap", "sources": ["en", "ar"], "n": DEFAULT_ITEMS}
    for name, value in values.items():
        st.session_state[f"{page}.{name}"] = value
    st.session_state[f"{page}.layer"] = depth_of(resolve_model(MODELS[0]))


def at_once(spec: ProjectionSpec) -> bool:
    """Whether all that a projection needs is there, so that it is made without being asked for."""
    return spec.method == "pca" and len(plan(spec, cached.store()).missing) == 1


def _base(model: str, kind: str) -> RetrievalSpec:
    """The benchmark whose data and training this projection shows: what it trained is used again."""
    measures = ("dot" if kind == "none" else kind,)
    if model == "image and caption":
        return presets_paired.caption_spec(measures=measures)
    if model == "CLIP":
        return presets_paired.clip_spec(measures=measures)
    return presets_paired.multilingual_spec(model, measures=measures)


def _spec(
    base: RetrievalSpec,
    names: list[str],
    chosen: list[str],
    kind: str,
    layer: int,
    items: int,
    method: Literal["pca", "umap"],
) -> ProjectionSpec:
    places = [names.index(name) for name in chosen]
    training, pair = None, 0
    if kind != "none":
        training = base.training(kind)  # type: ignore[arg-type]
        wanted = (min(places[:2]), max(places[:2]))
        pair = training.pairs.index(wanted) if wanted in training.pairs else 0
    return ProjectionSpec(
        sources=tuple(base.test[place] for place in places),
        training=training, pair=pair, layer=layer, items=items, method=method,
        neighbours=presets_paired.NEIGHBOURS_OF_FEW if items <= DEFAULT_ITEMS else 15,
    )  # fmt: skip


def pictures(result: Projection, spec: ProjectionSpec) -> list[int]:
    """Before and after; what is picked in one stands out in both. Returns the numbers of the picked points."""
    words = words_of_projection(result)
    st.subheader(words.title)
    if st.session_state.get("_picked_of") != spec.key:
        st.session_state[PICKED], st.session_state["_picked_of"] = [], spec.key
    picked: list[int] = [number for number in st.session_state[PICKED] if number < len(result.item)]
    loop = not frame.touch() or st.toggle("Select points with a loop", help="When off, a swipe scrolls the page.")
    which: list[Literal["before", "after"]] = ["before", "after"] if result.after is not None else ["before"]
    for place, column in zip(which, st.columns(len(which)), strict=True):
        with column:
            st.markdown(f"**{place.capitalize()}**")
            drawn = projection_scatter(result, place, picked=picked, mode=frame.mode(), loop=loop)
            chart = f"points-{place}"
            views.picture(
                drawn, words, chart, result.to_pandas(), spec,
                on_select=lambda chart=chart: _selected(chart),
                selection_mode=("lasso", "box", "points") if loop else "points",
            )  # fmt: skip
    if picked and st.button(f"Clear selection ({len(picked)})", icon=":material/deselect:"):
        st.session_state[PICKED] = []
        st.rerun()
    return picked


def _selected(chart: str) -> None:
    event: Any = st.session_state.get(chart)
    points = event["selection"]["points"] if event else []
    numbers = [point["customdata"] for point in points if point.get("customdata") is not None]
    found = [
        int(item[0] if isinstance(item, list) else item["0"] if isinstance(item, dict) else item) for item in numbers
    ]
    if found:
        st.session_state[PICKED] = sorted(set(found))


def numbers(result: Projection) -> None:
    """How well the rows are sorted, before and after."""
    table = pd.DataFrame(result.numbers).rename_axis("of all dimensions").reset_index()
    st.dataframe(
        table, hide_index=True, key="numbers", alt="Separation before and after the encoder",
        column_config={name: st.column_config.NumberColumn(format="%.2f") for name in result.numbers},
    )  # fmt: skip
    judged = result.recipe.get("samples judged", len(result.ids))
    st.caption(
        f"Of the first {judged} samples. retrieval: share of points whose nearest point in another source is the same "
        "sample. silhouette: 1 sorted, 0 mixed, -1 the wrong way. trustworthiness, of the points shown: how true the "
        "picture is to the neighbours of all dimensions."
    )


def points(result: Projection, picked: list[int]) -> None:
    """The picked points, or those that moved most."""
    if picked:
        st.subheader("Selected points")
        shown = picked
    elif len(result.moved):
        st.subheader("Points that moved most")
        shown = list(most_moved(result, MOVED))
    else:
        return
    table = result.to_pandas().iloc[shown]
    columns = [name for name in ("sample", "source", "text", "moved") if name in table]
    st.dataframe(table[columns], hide_index=True, key="some-points", alt="Points")
    if "moved" in columns:
        st.caption("moved: how far a point is in after from where it was in before, in units of the points' spread.")
    if result.thumbnails is not None:
        items = list(dict.fromkeys(int(result.item[number]) for number in shown))[:MOVED]
        st.image(
            [result.thumbnails[item] for item in items],
            caption=[result.ids[item] for item in items],
            alt=[f"Sample {result.ids[item]}" for item in items],
            width=72,
        )
