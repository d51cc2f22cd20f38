"""The benchmarks on pairs and the projections: pictures of finished work, failing trials, sentences, and controls."""

import pytest

from contrasim_core.runs import example
from tests.pages.test_pages import button, charts, text


def box(app, label):
    return next(item for item in app.selectbox if item.label == label)


def table(app, column):
    return next(item.value for item in app.dataframe if column in item.value.columns)


@pytest.mark.parametrize("task", ["multilingual", "image-caption"])
def test_a_task_is_chosen_by_address_and_offers_a_run(page, task):
    app = page("benchmarks", task=task)
    assert not app.exception
    assert button(app, "Run the benchmark")
    assert {"multilingual": "translation", "image-caption": "caption"}[task] in text(app)


def test_multilingual_draws_lines_solid_and_dashed(page, finished):
    app = page("benchmarks", run=finished.multilingual.key)
    assert not app.exception
    lines = [trace for trace in charts(app)[0]["data"] if trace.get("mode") == "lines+markers"]
    assert {trace["line"]["dash"] for trace in lines} == {"solid", "dash"}
    assert {trace["name"].partition(",")[0] for trace in lines} == {"Linear CKA", "ContraSim"}
    assert all(len(trace["x"]) == 6 for trace in lines)
    assert "chance 9%" in text(app)


def test_a_group_of_pairs_is_chosen_by_address(page, finished):
    app = page("benchmarks", run=finished.multilingual.key, group="both", neg="faiss", m="contrasim")
    assert not app.exception
    lines = [trace for trace in charts(app)[0]["data"] if trace.get("mode") == "lines+markers"]
    assert [trace["name"] for trace in lines] == ["ContraSim, nearest-neighbour"]


def test_closed_form_measures_stay_beside_a_group_of_pairs(page, finished):
    app = page("benchmarks", run=finished.multilingual.key, group="both", neg="faiss", m="contrasim~cka.linear")
    lines = [trace["name"] for trace in charts(app)[0]["data"] if trace.get("mode") == "lines+markers"]
    assert set(lines) == {"ContraSim, nearest-neighbour", "Linear CKA, nearest-neighbour"}
    assert "they are always drawn over all pairs" in text(app)
    alone = page("benchmarks", run=finished.multilingual.key, group="both", m="cka.linear")
    assert not alone.exception and len(charts(alone)) == 1


def test_controls_of_one_task_do_not_leak_into_another(page):
    app = page("benchmarks")
    assert box(app, "Measures").value == "all"
    for task, expected in (("multilingual", "paper"), ("image-caption", "paper"), ("layer-prediction", "all")):
        app.session_state["benchmarks.task"] = task
        app.run()
        assert not app.exception
        assert box(app, "Measures").value == expected
    assert box(app, "Pairs of models").value == "all"


def test_failing_trials_of_one_pair(page, finished):
    app = page("benchmarks", run=finished.captions.key, neg="faiss")
    whole = table(app, "right score")
    pair = whole["pair"].iloc[0]
    app.session_state["fail-pair"] = pair
    app.run()
    assert not app.exception
    assert set(table(app, "right score")["pair"]) == {pair}
    assert box(app, "Pair").value == pair


def test_a_model_of_ones_own_asks_for_its_texts_and_keeps_them_in_the_address(page):
    app = page("benchmarks", task="multilingual", model="phrases-mine")
    assert "Enter the parallel texts for this model." in text(app)
    next(item for item in app.text_input if item.label == "Parallel texts").set_value("mine.tsv").run()
    assert app.query_params["d"] in ("mine.tsv", ["mine.tsv"])


def test_sentences_of_layer_prediction_show_their_measures(page):
    keys = example.read()
    assert keys is not None
    app = page("benchmarks", run=keys.benchmark)
    assert len(charts(app)[0]["data"][0]["y"]) > 12
    shown = next(item for item in app.button if item.key == "insight-0").click().run()
    assert not app.exception
    assert len(charts(shown)[0]["data"][0]["y"]) < 3


def test_a_measure_without_accuracy_gives_its_reason(page, finished):
    app = page("benchmarks", run=finished.multilingual.key, m="cca.mean~cka.linear")
    assert not app.exception
    assert "is at its maximum for any data" in text(app)


def test_failing_trials_show_query_answer_and_distractor(page, finished):
    app = page("benchmarks", run=finished.multilingual.key)
    assert not app.exception
    assert box(app, "Distractors").value == "faiss"
    lost = table(app, "right score")
    assert len(lost) > 0
    margin = lost["chosen score"] - lost["right score"]
    assert (margin >= -1e-6).all()
    trial = table(app, "chosen distractor")
    assert len(trial) == 8
    assert not (trial["right answer"] == trial["chosen distractor"]).all()


def test_captions_draw_bars_and_show_images_of_failing_trials(page, finished):
    app = page("benchmarks", run=finished.captions.key, neg="faiss")
    assert not app.exception
    bars = [trace for trace in charts(app)[0]["data"] if trace["type"] == "bar"]
    assert len(bars) == 2 and len(bars[0]["y"]) == 4
    assert "✓" in text(app) and "✗" in text(app)


def test_sentences_are_made_from_the_numbers(page, finished):
    from contrasim_core.runs.retrieval.insights import of_retrieval
    from contrasim_core.runs.retrieval.result import RetrievalResult
    from contrasim_core.store import Store

    folder = Store(finished.root).need("retrieval", finished.multilingual.key)
    said = of_retrieval(RetrievalResult.load(folder))
    assert said
    app = page("benchmarks", run=finished.multilingual.key)
    for insight in said:
        assert insight.text in text(app)
    next(item for item in app.button if item.key == "insight-0").click().run()
    assert not app.exception
    parameters = app.query_params
    assert parameters["m"] in ("~".join(said[0].measures), ["~".join(said[0].measures)])


def points(chart):
    """Without the marks of the legend."""
    return [trace for trace in chart["data"] if "customdata" in trace]


@pytest.mark.parametrize("which", ["projection", "scenes"])
def test_projection_draws_before_and_after_alike(page, finished, which):
    app = page("projections", run=getattr(finished, which).key)
    assert not app.exception
    before, after = charts(app)
    for left, right in zip(points(before), points(after), strict=True):
        assert left["name"] == right["name"]
        assert left["marker"]["symbol"] == right["marker"]["symbol"]
        assert left["marker"]["color"] == right["marker"]["color"]
        assert left["x"] != right["x"]
    assert len({trace["marker"]["symbol"] for trace in points(before)}) == 2
    assert "moved most" in text(app)
    assert "retrieval" in set(table(app, "of all dimensions")["of all dimensions"])


def test_picked_points_stand_out_in_both_pictures(page, finished):
    app = page("projections", run=finished.projection.key)
    app.session_state["_picked"] = [0, 7]
    app.run()
    for chart in charts(app):
        opacity = [value for trace in points(chart) for value in trace["marker"]["opacity"]]
        assert sorted(opacity)[-2:] == [1.0, 1.0] and sorted(opacity)[-3] < 0.5
    assert "Selected points" in text(app)
    shown = next(item.value for item in app.dataframe if list(item.value.columns)[:2] == ["sample", "source"])
    assert any(
        list(item.value.columns) == ["sample", "source", "text", "moved"] and len(item.value) == 2
        for item in app.dataframe
    ), shown
    next(item for item in app.button if item.label.startswith("Clear selection")).click().run()
    assert "moved most" in text(app)


def test_projection_offers_english_and_arabic_at_first(page, finished):
    app = page("projections")
    assert not app.exception
    assert button(app, "Project")
    assert next(item.value for item in app.multiselect if item.label == "Sources") == ["en", "ar"]
    assert next(item.value for item in app.slider if item.label == "Layer") == 6


def test_one_button_asks_for_figure_5(page):
    app = page("projections", model="CLIP", kind="none", n="50")
    button(app, "Figure 5 of the paper").click().run()
    assert not app.exception
    chosen = [box(app, label).value for label in ("Model", "Encoder", "Method")]
    assert chosen == ["phrases-bert-0", "contrasim", "umap"]
    assert next(item.value for item in app.number_input if item.label == "Samples") == 5


@pytest.mark.parametrize(("asked", "given"), [("100000", 400), ("1", 4), ("many", 5)])
def test_too_many_samples_in_the_address_are_cut(page, asked, given):
    app = page("projections", n=asked)
    assert next(item.value for item in app.number_input if item.label == "Samples") == given


@pytest.mark.parametrize("model", ["CLIP", "image and caption"])
def test_projection_of_images_and_captions_is_offered(page, model):
    app = page("projections", model=model, method="umap")
    assert not app.exception
    assert button(app, "Project")
