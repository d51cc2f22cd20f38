"""Runs in a thread of this process: done, failed, cancelled, and one run for two askers."""

import json
import threading
import time

import pytest

from contrasim_core.activations.spec import ExtractionSpec
from contrasim_core.data import resolve_data
from contrasim_core.encoder.spec import EncoderSpec
from contrasim_core.engine import nodes as board
from contrasim_core.engine.base import LocalEngine
from contrasim_core.engine.execute import THREADS, execute
from contrasim_core.engine.jobs import JobTable
from contrasim_core.engine.nodes import NodeProgress, Nodes
from contrasim_core.errors import RunCancelled, SpecError
from contrasim_core.models.find import resolve_model
from contrasim_core.refs import DatasetRef, ModelRef
from contrasim_core.runs import keep
from contrasim_core.runs.retrieval.presets import multilingual_spec
from contrasim_core.store import Store

SPEC = ExtractionSpec(model=ModelRef(name="m", kind="hub"), data=DatasetRef(name="digits", kind="bundled"))


@pytest.fixture
def engine(tmp_path):
    return LocalEngine(tmp_path)


@pytest.fixture
def run(monkeypatch):
    """Replace what making a node does; keeps the specs that were made."""
    started = []

    def replace(action):
        def fake(spec, *, store, context, failed):
            started.append(spec)
            return action(context.progress)

        monkeypatch.setattr(keep, "make_node", fake)
        monkeypatch.setattr(board, "WRITE_EVERY", 0.0)
        return started

    return replace


def node(engine):
    """The folder of the node of SPEC."""
    return engine.table.folder / "nodes" / f"{SPEC.kind}-{SPEC.key}"


def test_a_real_run_leaves_its_artifact(engine, tiny):
    spec = ExtractionSpec(model=resolve_model(tiny("vit")), data=resolve_data("digits", limit=4))
    job = engine.wait(engine.submit(spec, "tiny-vit on digits").id, 60)
    assert (job.state, job.share, job.message, job.error, job.starts) == ("done", 1.0, "Done", "", 1)
    assert "process" in job.worker and job.ended >= job.created
    assert Store(engine.root).find(spec.kind, spec.key) is not None
    assert engine.workers()[0].name == "this process" and engine.workers()[0].busy == 0


def test_progress_is_in_the_status_file_while_it_runs(engine, run):
    seen, go = threading.Event(), threading.Event()

    def action(progress):
        progress(1, 4, "one of four", loss=0.5)
        seen.set()
        go.wait(30)

    run(action)
    job = engine.submit(SPEC, "title")
    assert seen.wait(30)
    now = engine.table.job(job.id)
    assert (now.state, now.done, now.total, now.message) == ("running", 1, 4, "one of four")
    assert json.loads((node(engine) / "status.json").read_text())["done"] == 1
    assert engine.table.facts(job.id) == [{"loss": 0.5}] and engine.workers()[0].busy == 1
    go.set()
    assert engine.wait(job.id, 30).state == "done"


def test_errors_for_the_user_end_the_job_with_their_words(engine, run):
    def action(_progress):
        raise SpecError("There is no such layer. Choose another.")

    run(action)
    job = engine.wait(engine.submit(SPEC, "title").id, 30)
    assert (job.state, job.error) == ("failed", "There is no such layer. Choose another.")
    assert not (engine.table.folder / job.id / "traceback.txt").exists()


def test_bugs_end_the_job_with_a_traceback_kept(engine, run):
    run(lambda _progress: 1 / 0)
    job = engine.wait(engine.submit(SPEC, "title").id, 30)
    assert job.state == "failed"
    assert job.error == "ZeroDivisionError: division by zero. This is a bug; the traceback is stored with the job."
    assert "1 / 0" in (engine.table.folder / job.id / "traceback.txt").read_text()


def test_a_running_job_stops_at_its_next_report(engine, run):
    seen = threading.Event()

    def action(progress):
        for number in range(10_000):
            progress(number, 10_000, f"step {number}")
            seen.set()
            time.sleep(0.01)

    run(action)
    job = engine.submit(SPEC, "title")
    assert seen.wait(30)
    assert engine.cancel(job.id).state in ("cancelling", "cancelled")  # it may have seen it already
    ended = engine.wait(job.id, 30)
    assert ended.state == "cancelled" and ended.error.startswith("Cancelled at: step ")


def test_a_job_cancelled_before_it_began_is_never_run(tmp_path, run):
    started = run(lambda _progress: None)
    table = JobTable(tmp_path)
    job, _ = table.submit(SPEC, "title")
    table.cancel(job.id)
    assert execute(job.id, str(tmp_path)) == "cancelled"
    assert started == []


def test_two_threads_that_ask_for_the_same_share_one_run(engine, run):
    go, barrier, jobs = threading.Event(), threading.Barrier(2), []
    started = run(lambda _progress: go.wait(30))

    def ask():
        barrier.wait()
        jobs.append(engine.submit(SPEC, "title"))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    go.set()
    assert jobs[0].id == jobs[1].id
    assert engine.wait(jobs[0].id, 30).state == "done" and len(started) == 1


def test_a_finished_job_can_be_asked_for_again(engine, run):
    started = run(lambda _progress: None)
    first = engine.wait(engine.submit(SPEC, "title").id, 30)
    second = engine.wait(engine.submit(SPEC, "title").id, 30)
    assert first.id != second.id and second.state == "done" and len(started) == 2


def test_a_node_that_is_run_again_says_so(tmp_path, run):
    """As after the death of a worker: the status file says running, and there is another start."""
    messages = []
    table, nodes = JobTable(tmp_path), Nodes(tmp_path)
    run(lambda _progress: messages.append(table.job(job.id).message))
    job, _ = table.submit(SPEC, "title")
    nodes.begin(f"{SPEC.kind}-{SPEC.key}", "another worker")
    assert execute(job.id, str(tmp_path)) == "done"
    assert messages == ["Starting again (worker restarted 1 times)"] and table.job(job.id).starts == 2


def test_status_is_not_written_at_every_report(tmp_path):
    nodes = Nodes(tmp_path)
    nodes.want(["n"], "job")
    nodes.begin("n", "worker")
    progress = NodeProgress(nodes, "n")
    for number in range(100):
        progress(number, 100, f"step {number}")
    assert nodes.status(board.NodeName(name="n", title="t")).message == "step 0"
    nodes.unwant(["n"], "job")
    progress._written = 0.0
    with pytest.raises(RunCancelled, match=r"^Cancelled at: last$"):
        progress(100, 100, "last")


def test_a_node_that_two_jobs_want_goes_on_when_one_is_cancelled(tmp_path):
    nodes = Nodes(tmp_path)
    nodes.want(["n"], "one")
    nodes.want(["n"], "two")
    progress = NodeProgress(nodes, "n")
    nodes.unwant(["n"], "one")
    progress(1, 2, "goes on")
    nodes.unwant(["n"], "two")
    progress._written = 0.0
    with pytest.raises(RunCancelled):
        progress(2, 2, "stops")


def test_a_benchmark_is_done_node_by_node(engine):
    """Real models: two extractions and one search for each language, then the benchmark itself."""
    spec = multilingual_spec(measures=("dot",), languages=("en", "tr"), rows=(48, 60))
    job = engine.wait(engine.submit(spec, "title").id, 120)
    assert job.state == "done", job.error
    nodes = engine.table.nodes(job.id)
    assert [item.node.name.partition("-")[0] for item in nodes] == [
        "activations", "activations", "neighbours", "neighbours", "retrieval",
    ]  # fmt: skip
    assert {item.state for item in nodes} == {"done"} and nodes[-1].share == 1.0


def test_a_node_that_fails_ends_the_nodes_that_need_it(engine):
    spec = multilingual_spec(measures=("dot",), languages=("en", "tr"), rows=(48, 60), layers=(99,))
    job = engine.wait(engine.submit(spec, "title").id, 120)
    assert job.state == "failed" and job.error.startswith("phrases-bert-0 has no layer 99. Its layers are 0 to 6")
    assert [item.state for item in engine.table.nodes(job.id)] == ["done", "done", "failed", "failed", "failed"]


def test_an_encoder_that_cannot_be_trained_does_not_end_a_benchmark(engine):
    """More anchors than samples: the measure has no score, and the others are judged."""
    few = EncoderSpec(epochs=1, batch_rows=32, anchors=999)
    spec = multilingual_spec(
        measures=("dot", "contrasim.relative"), languages=("en", "tr"), rows=(48, 60), encoder=few,
        negatives=("random",),
    )  # fmt: skip
    job = engine.wait(engine.submit(spec, "title").id, 120)
    assert job.state == "done", job.error
    lines = {line.measure: line for line in keep.load(spec, Store(engine.root)).lines}
    assert "EncoderSpec.anchors is 999, but there are only" in lines["contrasim.relative"].reason
    assert lines["dot"].accuracy > 0.3 and lines["dot"].reason == ""


def test_a_worker_has_as_many_threads_as_it_was_given(engine, run, monkeypatch):
    import torch

    seen, before = [], torch.get_num_threads()
    run(lambda _progress: seen.append(torch.get_num_threads()))
    monkeypatch.setenv(THREADS, "3")
    try:
        assert engine.wait(engine.submit(SPEC, "title").id, 30).state == "done" and seen == [3]
    finally:
        torch.set_num_threads(before)
