"""Numbers, names and requests of the pages, from small results made by hand."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from contrasim_core.encoder.result import TrainingCurve
from contrasim_core.encoder.spec import EncoderSpec, TrainSpec
from contrasim_core.measure.result import SimilarityGrid
from contrasim_core.models.find import bundled_names
from contrasim_core.refs import LayerRef
from contrasim_core.runs import example
from contrasim_core.runs.extraction.presets import extraction_spec
from contrasim_core.runs.retrieval import presets
from pages._ui import cached, layer_prediction, projection, training, trials, url, views, widgets

needs_models = pytest.mark.skipif(not bundled_names(), reason="no bundled models in this checkout")


def grid(values, **options):
    values = np.array(values, dtype=float)
    rows, columns = (
        tuple(LayerRef(name, k, f"block {k}") for k in range(count))
        for name, count in zip("ab", values.shape, strict=True)
    )
    return SimilarityGrid(
        values=values, rows=rows, columns=columns, measure="cka.linear", label="Linear CKA", direction="similarity",
        bounds=(0, 1), n=9, **options,
    )  # fmt: skip


def test_a_cell_has_its_rank_in_its_row_and_its_own_interval():
    made = grid(
        [[0.9, 0.2, 0.5], [0.1, 0.4, 0.4]], low=np.full((2, 3), 0.05), high=np.full((2, 3), 0.95),
        null=np.array([[0.01, 0.02, 0.03], [0.04, 0.05, 0.06]]),
    )  # fmt: skip
    ranks = [[views._line(made, row, column)["rank"] for column in range(3)] for row in range(2)]
    assert ranks == [[1, 3, 2], [3, 1, 1]], "ties share the better rank"
    line = views._line(made, 0, 2)
    assert (line["value"], line["95 %"], line["chance"]) == ("0.500", "[0.050, 0.950]", "0.030")
    line = views._line(grid([[np.nan, 1.0]]), 0, 0)
    assert (line["value"], line["95 %"], line["chance"], line["rank"]) == ("nan", "", "", None)


@pytest.fixture
def shown(monkeypatch):
    """What a page would show: titles and tables, in order."""
    found = []
    fake = SimpleNamespace(
        markdown=found.append, caption=lambda _: None, dataframe=lambda frame, **_: found.append(frame),
        session_state={}, toast=lambda *_, **__: None,
    )  # fmt: skip
    for module in (views, trials):
        monkeypatch.setattr(module, "st", fake)
    return SimpleNamespace(found=found, state=fake.session_state)


def test_samples_are_those_of_the_chosen_cell_the_most_alike_first(shown):
    agreement = np.zeros((2, 3, 8), dtype=np.float32)
    agreement[0, 2] = [0.1, 0.8, 0.3, 0.4, 0.5, 0.6, 0.7, 0.2]
    result = SimpleNamespace(agreement=agreement, thumbnails=None, samples=tuple("abcdefgh"))
    views._samples(result, 0, 2)
    first, most, second, least = shown.found
    assert ("Most alike" in first, "Least alike" in second) == (True, True)
    assert most["sample"].tolist() == ["b", "g", "f", "e", "d", "c"]
    assert least["sample"].tolist() == ["a", "h", "c", "d", "e", "f"]
    assert most["agreement"].tolist()[0] == "0.80"


@needs_models
def test_the_link_to_compare_takes_the_first_two_models():
    spec = example.encoder_specs()[0]
    assert training.compare_link(spec) == {"a": "digits-vit-0", "b": "digits-vit-1", "p": "cls", "enc": spec.key}


def test_curves_as_a_table_count_epochs_from_one():
    curve = TrainingCurve(encoder="contrasim", seed=4, loss=(3.0, 2.0), accuracy=(0.5, 0.75), chance=0.25)
    without = TrainingCurve(encoder="deepdot", seed=1, loss=(1.0,), accuracy=(), chance=0.25)
    table = training.table([curve, without])
    assert table["epoch"].tolist() == [1, 2, 1] and table["seed"].tolist() == [4, 4, 1]
    assert table["loss"].tolist() == [3.0, 2.0, 1.0]
    assert table["held-out accuracy"].tolist()[:2] == [0.5, 0.75] and pd.isna(table["held-out accuracy"].iloc[2])


def test_mistakes_count_ties_and_leave_out_what_was_right():
    result = SimpleNamespace(
        predictions={"dot|seen|0": [[0, 2, 2], [0, 2, -1]], "dot|seen|1": [[2, 2, 2]], "dot|unseen|0": [[1, 1, 1]]},
        layers=("x", "y", "z"),
    )
    assert layer_prediction.mistakes(result, "dot|seen").values.tolist() == [["y", "z", 2], ["z", "tie", 1]]
    assert layer_prediction.mistakes(result, "dot|unseen").values.tolist() == [["x", "y", 1], ["z", "y", 1]]


@needs_models
@pytest.mark.parametrize(("chosen", "pair"), [(["en", "ar"], (0, 1)), (["tr", "zh"], (2, 4)), (["zh", "tr"], (2, 4))])
def test_a_projection_takes_the_encoder_of_its_first_two_sources(chosen, pair):
    base = presets.multilingual_spec(measures=("contrasim",))
    spec = projection._spec(base, list(base.names), [*chosen, "ru"], "contrasim", 3, 9, "umap")
    assert spec.training == base.training("contrasim") and spec.training.pairs[spec.pair] == pair
    assert spec.sources == tuple(base.test[base.names.index(name)] for name in (*chosen, "ru"))
    assert (spec.layer, spec.items, spec.method, spec.neighbours) == (3, 9, "umap", 15)
    few = projection._spec(base, list(base.names), chosen, "none", -1, 5, "pca")
    assert (few.training, few.neighbours, few.layer) == (None, presets.NEIGHBOURS_OF_FEW, -1)


@pytest.mark.parametrize(
    ("event", "wanted"),
    [
        ({"customdata": ["dot", "faiss", 3]}, ("dot", "faiss", 3, trials.ALL_PAIRS)),
        ({"customdata": {"0": "norm", "1": "random", "2": "1", "3": "en → ar"}}, ("norm", "random", 1, "en → ar")),
        ({"customdata": []}, None),
    ],
)
def test_a_click_chooses_a_trial(event, wanted, shown):
    shown.state["chart"] = {"selection": {"points": [event]}}
    trials.clicked("chart")
    assert shown.state.get("_failing") == wanted


@pytest.mark.parametrize(("outcome", "words"), [("wrong", "the chosen one 0.8000"), ("tie", "a distractor the same")])
def test_a_trial_shows_the_texts_of_its_own_rows(outcome, words, shown):
    result = SimpleNamespace(
        pairs=((1, 0), (0, 1)), sources=("en", "ar"), batches=np.array([[0, 1], [2, 3]]),
        samples={"en": tuple("abcdef"), "ar": tuple("ABCDEF")}, pair_name=lambda at: f"pair {at}",
        candidates=lambda negatives, pair, layer, batch: {("faiss", 1, 5, 1): [[0, 1], [4, 5]]}[
            negatives, pair, layer, batch
        ],
    )  # fmt: skip
    trial = {"pair": 1, "batch": 1, "chosen": 2, "outcome": outcome, "right": 0.5, "distractor": 0.8}
    trials._trial(result, trial, "faiss", 5)
    text, table = shown.found
    assert "pair 1, batch 2" in text and "scores 0.5000" in text and words in text
    assert table["query"].tolist() == ["c", "d"]
    assert table["right answer"].tolist() == ["C", "D"]
    assert table["chosen distractor"].tolist() == ["E", "F"]


@needs_models
def test_encoders_are_suggested_that_know_both_models_and_the_pooling(monkeypatch):
    def trained(*models, pooling="cls", kind="contrasim"):
        return TrainSpec(
            encoder=EncoderSpec(encoder=kind),
            sources=tuple(extraction_spec(name, "digits", pooling=pooling, split="train") for name in models),
        )

    specs = {
        "new": trained("digits-vit-0", "digits-vit-1"),
        "old": trained("digits-vit-0", "digits-vit-1", "digits-vit-2"),
        "others": trained("digits-vit-2", "digits-vit-3", kind="deepdot"),
        "pooled": trained("digits-vit-0", "digits-vit-1", pooling="mean", kind="deepcka"),
        "relative": trained("digits-vit-0", "digits-vit-1", kind="contrasim.relative"),
    }
    suggested = []
    state = {url.STATE: {"page": "compare", "written": {}, "kept": {}, "entered": True, "now": {}, "claimed": set()}}
    offered = []

    def multiselect(_label, options, *, key, **_):
        offered.append(list(options))
        suggested.append(list(state[key]))
        return state[key]

    fake = SimpleNamespace(session_state=state, query_params={}, multiselect=multiselect)
    monkeypatch.setattr(widgets, "st", fake)
    monkeypatch.setattr(url, "st", fake)
    monkeypatch.setattr(cached, "trained", lambda: specs)
    sides = [extraction_spec(name, "digits", pooling="cls") for name in ("digits-vit-0", "digits-vit-1")]
    assert widgets.encoder_keys(sides) == ["new", "relative"], "the newest of each kind, in the order of kinds"
    assert offered == [["new", "old", "others", "relative"]]
    assert sorted(suggested[0]) == ["new", "relative"]
