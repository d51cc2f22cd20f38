"""The benchmarks on pairs and the projections: pictures of finished work, failing trials, sentences, and controls."""

import pytest

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
    assert [trace["name"] for trace in lines] == ["ContraSim, retrieved (FAISS)"]


def test_a_measure_without_accuracy_gives_its_reason(page, finished):
    app = page("benchmarks", run=finished.multilingual.key, m="cca.mean~cka.linear")
    assert not app.exception
    assert "is at its maximum for any data" in text(app)


def test_failing_trials_show_query_answer_and_distractor(page, finished):
    app = page("benchmarks", run=finished.multilingual.key)
    assert not app.exception
    assert box(app, "Distractors of the trial").value == "faiss"
    lost = table(app, "score of the right one")
    assert len(lost) > 0
    margin = lost["of the chosen"] - lost["score of the right one"]
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
    from contrasim_core import insights
    from contrasim_core.retrieval_results import RetrievalResult
    from contrasim_core.store import Store

    folder = Store(finished.root).need("retrieval", finished.multilingual.key)
    said = insights.of_retrieval(RetrievalResult.load(folder))
    assert said
    app = page("benchmarks", run=finished.multilingual.key)
    for insight in said:
        assert insight.text in text(app)
    next(item for item in app.button if item.key == "insight-0").click().run()
    assert not app.exception
    parameters = app.query_params
    assert parameters["m"] in ("~".join(said[0].measures), ["~".join(said[0].measures)])


@pytest.mark.parametrize("which", ["projection", "scenes"])
def test_projection_draws_before_and_after_alike(page, finished, which):
    app = page("projections", run=getattr(finished, which).key)
    assert not app.exception
    before, after = charts(app)
    for left, right in zip(before["data"], after["data"], strict=True):
        assert left["name"] == right["name"]
        assert left["marker"]["symbol"] == right["marker"]["symbol"]
        assert left["marker"]["color"] == right["marker"]["color"]
        assert left["x"] != right["x"]
    assert len({trace["marker"]["symbol"] for trace in before["data"]}) == 2
    assert "moved most" in text(app)
    assert "retrieval" in set(table(app, "of all dimensions")["of all dimensions"])


def test_picked_points_stand_out_in_both_pictures(page, finished):
    app = page("projections", run=finished.projection.key)
    app.session_state["_picked"] = [0, 7]
    app.run()
    for chart in charts(app):
        opacity = [value for trace in chart["data"] for value in trace["marker"]["opacity"]]
        assert sorted(opacity)[-2:] == [1.0, 1.0] and sorted(opacity)[-3] < 0.5
    assert "Picked points" in text(app)
    shown = next(item.value for item in app.dataframe if list(item.value.columns)[:2] == ["sample", "source"])
    assert any(
        list(item.value.columns) == ["sample", "source", "text", "moved"] and len(item.value) == 2
        for item in app.dataframe
    ), shown
    next(item for item in app.button if item.label.startswith("Forget")).click().run()
    assert "moved most" in text(app)


def test_projection_asks_for_figure_5_at_first(page, finished):
    app = page("projections")
    assert not app.exception
    assert button(app, "Project")
    assert next(item.value for item in app.multiselect if item.label == "Sources") == ["en", "ar"]
    assert next(item.value for item in app.slider if item.label == "Layer") == 6


@pytest.mark.parametrize("model", ["CLIP", "image and caption"])
def test_projection_of_images_and_captions_is_offered(page, model):
    app = page("projections", model=model, method="umap")
    assert not app.exception
    assert button(app, "Project")
