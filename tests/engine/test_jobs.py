"""The job table: one active job per spec, told apart from a finished one; statuses from files; safe under threads."""

import sqlite3
import threading
import time

import pytest

from contrasim_core.activations.spec import ExtractionSpec
from contrasim_core.engine.jobs import JobTable
from contrasim_core.engine.nodes import NodeName, Nodes
from contrasim_core.errors import MissingArtifactError
from contrasim_core.refs import DatasetRef, ModelRef

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
    assert (cancelled.state, cancelled.error) == ("cancelled", "Cancelled before it started.")
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
    nodes, name = Nodes(table.root), f"{SPEC.kind}-{SPEC.key}"
    assert table.facts(job.id) == []
    nodes.begin(name, "worker")
    nodes.add_facts(name, {"epoch": 1, "loss": 0.5})
    nodes.add_facts(name, {"epoch": 2, "loss": 0.25})
    with (table.folder / "nodes" / name / "facts.jsonl").open("a") as stream:
        stream.write('{"epoch": 3, "lo')
    assert table.facts(job.id) == [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}]
    nodes.begin(name, "worker")
    assert table.facts(job.id) == [], "a new start has its own numbers"


def four(table):
    """A job of four nodes."""
    job, _ = table.submit(SPEC, "title")
    names = [NodeName(name=f"activations-{at}", title=f"model {at}", verb="Extracting", noun="models") for at in "abc"]
    table.set_nodes(job.id, [*names, NodeName(name=f"{SPEC.kind}-{SPEC.key}", title="all", verb="Comparing", noun="")])
    return job


def test_a_job_is_as_far_as_its_nodes(table):
    job, nodes = four(table), Nodes(table.root)
    assert table.job(job.id).state == "queued" and table.job(job.id).share == 0
    nodes.begin("activations-a", "w1")
    nodes.end("activations-a", "done")
    nodes.begin("activations-b", "w2")
    nodes.write("activations-b", done=5, total=10, message="model b: 5 of 10 samples")
    now = table.job(job.id)
    assert (now.state, now.share, now.worker) == ("running", 1.5 / 4, "w2")
    assert now.message == "Extracting 2 of 3 models: model b: 5 of 10 samples"
    assert [item.state for item in table.nodes(job.id)] == ["done", "running", "waiting", "waiting"]


def test_parts_of_a_node_are_taken_together(table):
    job, nodes = four(table), Nodes(table.root)
    for part, done in ((0, 4), (1, 8)):
        nodes.begin("activations-a", f"w{part}", part)
        nodes.write("activations-a", part, done=done, total=10, message=f"part {part}")
    first = table.nodes(job.id)[0]
    assert (first.state, first.worker) == ("running", "w0, w1") and first.share == pytest.approx(0.6)
    assert table.job(job.id).message == "Extracting 1 of 3 models: part 1"
    for part in (0, 1):
        nodes.end("activations-a", "done", part)
    nodes.begin("activations-a", "w0")
    nodes.end("activations-a", "done")
    assert table.nodes(job.id)[0].state == "done" and table.nodes(job.id)[0].share == 1.0


def test_cancelling_leaves_alone_what_others_want(table):
    job, nodes = four(table), Nodes(table.root)
    nodes.want(["activations-a"], "another job")
    nodes.begin("activations-a", "w1")
    cancelled = table.cancel(job.id)
    assert (cancelled.state, cancelled.error) == ("cancelled", "Cancelled; steps that other jobs need continue.")
    assert nodes.wanted_by("activations-a") == {"another job"} and nodes.wanted_by("activations-b") == set()


def test_cancelling_waits_for_a_node_of_ones_own(table):
    job, nodes = four(table), Nodes(table.root)
    nodes.begin("activations-a", "w1")
    assert table.cancel(job.id).state == "cancelling" and nodes.wanted_by("activations-a") == set()


@pytest.mark.parametrize(("state", "message"), [("done", "Done"), ("failed", ""), ("cancelled", "")])
def test_an_ended_job_wants_nothing_more_and_says_how_it_ended(state, message, table):
    job, nodes = four(table), Nodes(table.root)
    names = [node.name for node in table.node_names(job.id)]
    assert [nodes.wanted_by(name) for name in names] == [{job.id}] * 4
    table.finish(job.id, state, "why")
    assert [nodes.wanted_by(name) for name in names] == [set()] * 4
    assert (table.job(job.id).message, table.job(job.id).error) == (message, "why")


def test_a_node_is_reset_when_it_is_asked_for_again(table):
    job, nodes = four(table), Nodes(table.root)
    nodes.begin("activations-a", "w1")
    nodes.end("activations-a", "failed")
    assert nodes.attempt("activations-a") == 1
    table.finish(job.id, "failed", "x")
    again = four(table)
    assert [item.state for item in table.nodes(again.id)] == ["waiting"] * 4
    assert nodes.attempt("activations-a") == 1, "the next task has another name"


@pytest.mark.parametrize("verb", ["job", "spec", "cancel"])
def test_unknown_jobs_are_told(verb, table):
    with pytest.raises(MissingArtifactError, match=r"^No job 0123 in "):
        getattr(table, verb)("0123")
