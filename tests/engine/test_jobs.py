"""The job table: one active job per spec, told apart from a finished one; statuses from files; safe under threads."""

import sqlite3
import threading
import time

import pytest

from contrasim_core.engine.jobs import JobTable
from contrasim_core.errors import MissingArtifactError
from contrasim_core.refs import DatasetRef, ModelRef
from contrasim_core.specs import ExtractionSpec

SPEC = ExtractionSpec(model=ModelRef(name="m", kind="hub"), data=DatasetRef(name="digits", kind="bundled"))
OTHER = SPEC.replace(pooling="cls")


@pytest.fixture
def table(tmp_path):
    return JobTable(tmp_path)


def rows(table):
    with sqlite3.connect(table.root / "jobs.sqlite") as base:
        return dict(base.execute("SELECT id, state FROM jobs").fetchall())


def test_a_request_is_queued_and_keeps_its_spec(table):
    job, new = table.submit(SPEC, "A title")
    assert new and job.active and job.share == 0
    assert (job.state, job.kind, job.key, job.title) == ("queued", "activations", SPEC.key, "A title")
    assert table.job(job.id) == job and table.spec(job.id) == SPEC
    assert JobTable(table.root).jobs() == [job]  # on disk


def test_the_same_request_is_the_same_job_while_it_is_active(table):
    first, _ = table.submit(SPEC, "first")
    assert table.submit(SPEC, "again") == (first, False)
    other, new = table.submit(OTHER, "other")
    assert new and other.id != first.id
    table.write_status(first.id, state="running", starts=1)
    again, new = table.submit(SPEC, "again")
    assert not new and again.id == first.id and again.state == "running"


@pytest.mark.parametrize("state", ["done", "failed", "cancelled"])
def test_a_request_can_be_made_again_when_only_the_status_file_tells_of_the_end(state, table):
    """Nobody has looked at the table in between, so its row still says that the job is queued."""
    first, _ = table.submit(SPEC, "first")
    table.write_status(first.id, state=state, ended=time.time(), starts=1)
    assert rows(table) == {first.id: "queued"}
    second, new = table.submit(SPEC, "second")
    assert new and second.id != first.id and second.active
    assert rows(table) == {first.id: state, second.id: "queued"}
    assert table.latest(SPEC.kind, SPEC.key).id == second.id


def test_threads_that_ask_at_the_same_time_share_one_job(table):
    barrier, found = threading.Barrier(8), []

    def ask():
        mine = JobTable(table.root)
        barrier.wait()
        found.append(mine.submit(SPEC, "title"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 8 and sum(new for _, new in found) == 1
    assert len({job.id for job, _ in found}) == 1 and len(rows(table)) == 1


def test_status_files_are_merged_and_read_as_one_job(table):
    job, _ = table.submit(SPEC, "title")
    table.write_status(job.id, state="running", worker="w", starts=1)
    table.write_status(job.id, done=3, total=4, message="three of four")
    now = table.job(job.id)
    assert (now.state, now.worker, now.starts, now.message, now.share) == ("running", "w", 1, "three of four", 0.75)
    table.write_status(job.id, done=9)
    assert table.job(job.id).share == 1.0
    assert [path.name for path in (table.folder / job.id).iterdir()] == ["status.json"]


def test_ends_are_folded_into_the_table(table):
    job, _ = table.submit(SPEC, "title")
    table.write_status(job.id, state="failed", error="no memory", ended=123.0)
    (seen,) = table.jobs()
    assert (seen.state, seen.error, seen.ended, seen.active) == ("failed", "no memory", 123.0, False)
    (table.folder / job.id / "status.json").unlink()  # the table knows it by now
    assert (table.job(job.id).state, table.job(job.id).error) == ("failed", "no memory")


def test_jobs_are_listed_newest_first(table):
    specs = [SPEC.replace(max_length=length) for length in (1, 2, 3)]
    ids = [table.submit(spec, "title")[0].id for spec in specs]
    assert [job.id for job in table.jobs()] == ids[::-1]
    assert [job.id for job in table.jobs(limit=2)] == ids[:0:-1]
    assert table.latest("activations", specs[0].key).id == ids[0]
    assert table.latest("activations", "unknown") is None


def test_a_waiting_job_is_cancelled_at_once(table):
    job, _ = table.submit(SPEC, "title")
    cancelled = table.cancel(job.id)
    assert (cancelled.state, cancelled.error) == ("cancelled", "Cancelled before it began.")
    assert cancelled.ended and table.cancel_asked(job.id) and rows(table) == {job.id: "cancelled"}
    assert table.submit(SPEC, "again")[1]


def test_a_running_job_is_asked_to_stop(table):
    job, _ = table.submit(SPEC, "title")
    table.write_status(job.id, state="running", starts=1)
    assert not table.cancel_asked(job.id)
    asked = table.cancel(job.id)
    assert asked.state == "cancelling" and asked.active and table.cancel_asked(job.id)
    table.write_status(job.id, state="running", done=1)  # the worker has not seen it yet
    assert table.job(job.id).state == "cancelling"
    assert table.submit(SPEC, "again") == (table.job(job.id), False)
    table.write_status(job.id, state="cancelled")
    assert table.job(job.id).state == "cancelled"


def test_a_job_may_be_done_before_it_can_be_cancelled(table):
    job, _ = table.submit(SPEC, "title")
    table.write_status(job.id, state="running", starts=1)
    table.cancel(job.id)
    table.write_status(job.id, state="done")
    assert table.job(job.id).state == "done"
    assert table.cancel(job.id).state == "done"


def test_an_end_can_be_set_from_outside(table):
    job, _ = table.submit(SPEC, "title")
    ended = table.finish(job.id, "failed", "The worker died.")
    assert (ended.state, ended.error) == ("failed", "The worker died.")
    assert table.job(job.id).state == "failed" and rows(table) == {job.id: "failed"}


def test_numbers_are_appended_and_half_a_line_is_left_out(table):
    job, _ = table.submit(SPEC, "title")
    assert table.facts(job.id) == []
    table.add_facts(job.id, {"epoch": 1, "loss": 0.5})
    table.add_facts(job.id, {"epoch": 2, "loss": 0.25})
    with (table.folder / job.id / "facts.jsonl").open("a") as stream:
        stream.write('{"epoch": 3, "lo')
    assert table.facts(job.id) == [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}]


@pytest.mark.parametrize("verb", ["job", "spec", "cancel"])
def test_unknown_jobs_are_told(verb, table):
    with pytest.raises(MissingArtifactError, match=r"^There is no job 0123 in "):
        getattr(table, verb)("0123")
