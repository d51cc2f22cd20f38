"""Every page: what it shows of finished work, what it offers without, and what it says of bad addresses."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("overview", "compare", "train_encoder", "benchmarks", "projections", "jobs", "about")


def charts(app):
    return [json.loads(item.proto.spec) for item in app.get("plotly_chart")]


def text(app):
    parts = [
        item.value
        for kind in ("title", "header", "subheader", "markdown", "caption", "info", "error")
        for item in app.get(kind)
    ]
    return "\n".join(str(part) for part in parts)


def button(app, label):
    return next(item for item in app.button if item.label == label)


@pytest.mark.parametrize("name", PAGES)
def test_page_opens_by_a_cold_link(page, name):
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    app.switch_page(str(ROOT / f"pages/{name}.py")).run()
    assert not app.exception
    assert app.title[0].value


def test_compare_draws_four_finished_grids(page, finished):
    app = page("compare", **finished.link)
    assert not app.exception
    drawn = [chart for chart in charts(app) if chart["data"][0]["type"] == "heatmap"]
    assert len(drawn) == 3  # contrasim, linear CKA, Procrustes: no relative encoder is there
    scales = {(chart["data"][0]["zmin"], chart["data"][0]["zmax"]) for chart in drawn}
    assert len(scales) == 1
    assert "layers find their counterpart" in text(app)
    assert "n = 96" in text(app)


def test_compare_opens_the_cell_of_the_address(page, finished):
    app = page("compare", **finished.link, i="1", j="2")
    assert not app.exception
    assert [box.value for box in app.selectbox if box.label.startswith("Layer of")] == [1, 2]
    assert "Most alike in both layers" in text(app)
    table = next(
        item.value for item in app.dataframe if "measure" in item.value.columns and "rank" in item.value.columns
    )
    assert len(table) == 13
    assert "Linear CKA" in set(table["measure"])


def test_compare_chooses_measures_by_address(page, finished):
    app = page("compare", **finished.link, m="svcca~dot")
    titles = [chart["data"][1]["hovertemplate"] for chart in charts(app) if chart["data"][0]["type"] == "heatmap"]
    assert ["SVCCA" in titles[0], "Dot product" in titles[1]] == [True, True]


def test_compare_of_something_new_waits_for_a_worker(page, finished):
    app = page("compare", n="50")
    assert "No worker is connected" in text(app)
    button(app, "Compare").click().run()
    assert not app.exception
    from contrasim_core.engine.jobs import JobTable

    waiting = [job for job in JobTable(finished.root).jobs() if job.active]
    assert [(job.kind, job.state) for job in waiting] == [("comparison", "queued")]
    again = page("compare", n="50")  # a second browser
    assert any(item.label == "Cancel" for item in again.button)
    button(again, "Cancel").click().run()
    assert not JobTable(finished.root).job(waiting[0].id).active


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"a": "no such model"}, "Unknown model 'no such model'"),
        ({"d": "no such data"}, "Unknown data set 'no such data'"),
    ],
)
def test_compare_tells_bad_names(page, parameters, message):
    app = page("compare", **parameters)
    assert not app.exception
    assert message in app.error[0].value


def test_meaningless_parameters_are_ignored(page):
    app = page("compare", p="nonsense", la="x.y", n="many", i="first", m="nonsense", enc="../..")
    assert not app.exception
    assert not app.error


def test_train_shows_curves_and_links_to_compare(page, finished):
    app = page("train_encoder", run=finished.encoder.key)
    assert not app.exception
    lines = charts(app)[0]["data"]
    assert len(lines) == 4  # two seeds, loss and accuracy
    assert "held-out cases after 2 epochs" in text(app)


def test_train_offers_a_run(page):
    app = page("train_encoder", kind="deepdot")
    assert not app.exception
    assert button(app, "Train")


def test_a_link_to_what_is_not_there_says_so(page):
    for name in ("train_encoder", "benchmarks", "projections"):
        app = page(name, run="0123456789abcdef")
        assert re.match(r"No [\w-]+ 0123456789abcdef in ", app.error[0].value)


def test_benchmark_shows_bars_table_and_mistakes(page, finished):
    app = page("benchmarks", run=finished.benchmark.key)
    assert not app.exception
    bars = charts(app)[0]["data"]
    assert [trace["name"] for trace in bars] == ["seen models", "unseen models"]
    assert len(bars[0]["y"]) == 3
    assert "of layers" in app.subheader[0].value


def test_benchmark_protocols_by_address(page, finished):
    app = page("benchmarks", run=finished.benchmark.key, protocols="unseen")
    assert [trace["name"] for trace in charts(app)[0]["data"]] == ["unseen models"]


def test_jobs_lists_runs_and_opens_one(page, finished):
    from contrasim_core.engine.jobs import JobTable

    table = JobTable(finished.root)
    job, _ = table.submit(finished.benchmark, "The benchmark")
    table.finish(job.id, "done")
    app = page("jobs", job=job.id)
    assert not app.exception
    listed = next(item.value for item in app.dataframe if "state" in item.value.columns)
    assert "✓ done" in set(listed["state"])
    assert "The benchmark" in set(listed["what"])


def test_about_has_every_measure_with_its_source(page):
    from contrasim_core.measure.facts import measure_facts

    app = page("about")
    shown = text(app)
    for facts in measure_facts().values():
        assert facts.source in shown
    assert len(app.expander) == len(measure_facts())


def test_parameters_of_a_result_that_is_not_there_yet_stay(page):
    app = page("compare", n="77", m="svcca", i="1", j="2")
    parameters = {name: value[0] if isinstance(value, list) else value for name, value in app.query_params.items()}
    assert parameters == {"n": "77", "m": "svcca", "i": "1", "j": "2"}


RAW = {"cls", "spatial-mean", "faiss", "pca", "umap", "supcon", "eq3", "quick", "closed-form", "transfer", "disjoint"}


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("compare", {}),
        ("train_encoder", {}),
        ("benchmarks", {}),
        ("benchmarks", {"task": "multilingual"}),
        ("benchmarks", {"task": "image-caption"}),
        ("projections", {}),
        ("jobs", {}),
    ],
)
def test_no_raw_id_is_shown(page, finished, name, parameters):
    """Neither in a control's options nor in a finished result's captions."""
    runs = {"benchmarks": finished.benchmark, "projections": finished.projection}
    links = [parameters, {"run": runs[name].key}] if name in runs and not parameters else [parameters]
    for link in [*links, finished.link] if name == "compare" else links:
        app = page(name, **link)
        assert not app.exception
        for control in (*app.selectbox, *app.multiselect, *app.get("button_group")):
            assert not RAW & set(getattr(control, "options", ())), control.label
        for caption in app.caption:
            assert not any(f"pooling {raw}" in caption.value for raw in RAW), caption.value


def test_compare_opens_on_the_finished_example(page, monkeypatch, tmp_path):
    """Its controls, left alone, name the very run that comes with the code: nothing has to be computed."""
    monkeypatch.setenv("CONTRASIM_CACHE", str(tmp_path))
    app = page("compare")
    assert not any(item.label == "Compare" for item in app.button)
    assert any("This run is finished." in caption.value for caption in app.caption)
