"""Runs in a thread of this process: done, failed, cancelled, and one run for two askers."""

import json
import threading
import time

import pytest

from contrasim_core import runs
from contrasim_core.data import resolve_data
from contrasim_core.engine import execute as module
from contrasim_core.engine.base import LocalEngine
from contrasim_core.engine.execute import StatusProgress, execute
from contrasim_core.engine.jobs import JobTable
from contrasim_core.errors import RunCancelled, SpecError
from contrasim_core.models import resolve_model
from contrasim_core.refs import DatasetRef, ModelRef
from contrasim_core.specs import ExtractionSpec
from contrasim_core.store import Store

SPEC = ExtractionSpec(model=ModelRef(name="m", kind="hub"), data=DatasetRef(name="digits", kind="bundled"))


@pytest.fixture
def engine(tmp_path):
    return LocalEngine(tmp_path)


@pytest.fixture
def run(monkeypatch):
    """Replace what a run does; keeps the specs that were run."""
    started = []

    def replace(action):
        def fake(spec, *, store, progress):
            started.append(spec)
            return action(progress)

        monkeypatch.setattr(runs, "run", fake)
        monkeypatch.setattr(module, "WRITE_EVERY", 0.0)
        return started

    return replace


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
    assert json.loads((engine.table.folder / job.id / "status.json").read_text())["done"] == 1
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
    assert job.error == "ZeroDivisionError: division by zero. This is a bug; the traceback is kept with the job."
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


def test_a_job_that_is_run_again_says_so(tmp_path, run):
    """As after the death of a worker: the status file says running, and there is another start."""
    messages = []
    table = JobTable(tmp_path)
    run(lambda _progress: messages.append(table.job(job.id).message))
    job, _ = table.submit(SPEC, "title")
    table.write_status(job.id, state="running", starts=1)
    assert execute(job.id, str(tmp_path)) == "done"
    assert messages == ["Starting again (worker restarted 1 times)"] and table.job(job.id).starts == 2


def test_status_is_not_written_at_every_report(tmp_path):
    table = JobTable(tmp_path)
    job, _ = table.submit(SPEC, "title")
    progress = StatusProgress(table, job.id)
    for number in range(100):
        progress(number, 100, f"step {number}")
    assert table.job(job.id).message == "step 0"
    table.write_status(job.id, state="running", starts=1)
    table.cancel(job.id)
    progress._written = 0.0
    with pytest.raises(RunCancelled, match=r"^Cancelled at: last$"):
        progress(100, 100, "last")
