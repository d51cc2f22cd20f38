"""A real scheduler and a real worker, as processes of their own: run, share, cancel, kill -9, end.

One cluster serves all tests of this file, in their order; only processes it started are ever ended.
"""

import os
import signal
import threading
import time

import psutil
import pytest

from contrasim_core.activations.shards import valid_info
from contrasim_core.activations.spec import ExtractionSpec
from contrasim_core.data import resolve_data
from contrasim_core.engine.cluster import down, find, up
from contrasim_core.engine.dask import DaskEngine
from contrasim_core.models.find import resolve_model
from contrasim_core.store import Store
from tests.tiny import WORDS

PATIENCE = 240  # seconds; a busy machine takes long to import torch
MANY = 30_000

pytestmark = pytest.mark.slow


def until(condition, patience=PATIENCE):
    """Wait until the condition gives something true, and return it."""
    limit = time.monotonic() + patience
    while time.monotonic() < limit:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it took too long")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("engine") / "cache"


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    """So many texts that a run takes a while."""
    path = tmp_path_factory.mktemp("texts") / "many.txt"
    path.write_text("\n".join(f"{WORDS[i % 30]} {WORDS[i % 23]} {WORDS[i % 17]}" for i in range(MANY)))
    return path


@pytest.fixture(scope="module")
def specs(tiny, lines):
    """A quick request, and slow ones that differ in a detail."""
    bert = resolve_model(tiny("bert"))
    slow = ExtractionSpec(model=bert, data=resolve_data(lines))
    return {
        "waiting": ExtractionSpec(model=resolve_model(tiny("vit")), data=resolve_data("digits", limit=20)),
        "quick": ExtractionSpec(model=bert, data=resolve_data(lines, limit=10)),
        "wrong": ExtractionSpec(model=bert, data=resolve_data(lines, limit=10), layers=(99,)),
        "cancelled": slow,
        "killed": slow.replace(pooling="cls"),
        "behind": slow.replace(pooling="last"),
    }


@pytest.fixture(scope="module")
def early(root, specs):
    """A job that was asked for before there was a cluster."""
    return DaskEngine(root).submit(specs["waiting"], "asked for too early")


@pytest.fixture(scope="module")
def running(root, early):
    assert early.state == "queued"
    found, new = up(root)
    assert new
    try:
        yield found
    finally:
        processes = [psutil.Process(pid) for pid in found.pids if psutil.pid_exists(pid)]
        down(root)
        for process in processes:
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                process.kill()


@pytest.fixture
def engine(root, running):
    opened = DaskEngine(root)
    yield opened
    opened.close()


def processes_of(cluster):
    """Scheduler, nannies, and the workers under them."""
    parents = [psutil.Process(pid) for pid in cluster.pids]
    return [*parents, *(child for parent in parents for child in parent.children(recursive=True))]


def worker_of(cluster):
    """The process that does the work: the child that a nanny looks after."""
    (nanny,) = (psutil.Process(pid) for pid in cluster.workers)
    return next((child for child in nanny.children() if "spawn_main" in " ".join(child.cmdline())), None)


def ended(engine, job):
    return until(lambda: (now := engine.table.job(job.id)) and not now.active and now)


def test_what_waited_is_sent_when_a_cluster_is_up(engine, early, root):
    assert engine.recover() == [early.id]
    job = ended(engine, early)
    assert (job.state, job.error, job.starts) == ("done", "", 1)
    assert str(os.getpid()) not in job.worker
    assert Store(root).find(job.kind, job.key) is not None
    assert engine.recover() == []


def test_up_again_is_the_same_cluster(root, running):
    assert up(root) == (running, False) and find(root) == running


def test_one_worker_is_there(engine):
    (worker,) = until(engine.workers)
    assert worker.name.startswith("tcp://127.0.0.1:")


def test_every_port_is_on_this_machine_only(running, engine):
    until(engine.workers)
    found = [
        connection.laddr
        for process in processes_of(running)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(found) >= 3, "scheduler, nanny and worker"
    assert {address.ip for address in found} == {"127.0.0.1"}


def test_a_job_is_done_and_asked_for_again(engine, specs, root):
    first = ended(engine, engine.submit(specs["quick"], "quick"))
    second = ended(engine, engine.submit(specs["quick"], "quick"))
    assert first.state == second.state == "done" and first.id != second.id
    manifest = Store(root).manifest(first.kind, first.key)
    assert manifest["process"] == worker_of(find(root)).pid, "it was computed in the worker"


def test_a_failed_job_says_why(engine, specs):
    job = ended(engine, engine.submit(specs["wrong"], "wrong"))
    assert job.state == "failed" and job.error.startswith("tiny-bert has no layer 99. Its layers are 0")


def test_one_job_for_two_askers_progress_cancel_and_the_queue(engine, specs, root):
    other, jobs, barrier = DaskEngine(root), [], threading.Barrier(2)

    def ask(who):
        barrier.wait()
        jobs.append(who.submit(specs["cancelled"], "slow"))

    threads = [threading.Thread(target=ask, args=(who,)) for who in (engine, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert jobs[0].id == jobs[1].id, "two browsers, one job"
    waiting = other.submit(specs["behind"], "waits behind it")
    now = until(lambda: (job := engine.table.job(jobs[0].id)).done > 0 and job)
    assert now.state == "running" and now.total == MANY and now.message.startswith("tiny-bert: ")
    assert engine.table.job(waiting.id).state == "queued"
    assert other.cancel(waiting.id).state == "cancelled"
    assert other.cancel(jobs[0].id).state in ("cancelling", "cancelled")
    stopped = ended(engine, jobs[0])
    assert stopped.state == "cancelled" and stopped.error.startswith("Cancelled at: ") and stopped.share < 1
    assert Store(root).find(waiting.kind, waiting.key) is None
    assert engine.table.job(waiting.id).starts == 0
    other.close()


def test_killed_worker_is_replaced_and_the_job_goes_on_from_its_shards(engine, specs, root, running):
    spec = specs["killed"]
    folder = Store(root).folder(spec.kind, spec.key)
    job = engine.submit(spec, "killed in the middle")
    until(lambda: valid_info(folder, 2) is not None)
    victim = worker_of(running)
    os.kill(victim.pid, signal.SIGKILL)
    until(lambda: not victim.is_running())
    finished = [index for index in range(100) if valid_info(folder, index) is not None]
    assert Store(root).find(spec.kind, spec.key) is None, "it was in the middle"
    before = {path: path.stat().st_ino for path in folder.glob("shard-*.safetensors")}
    done = ended(engine, job)
    assert (done.state, done.starts) == ("done", 2)
    assert worker_of(running).pid != victim.pid
    manifest = Store(root).manifest(spec.kind, spec.key)
    assert manifest["computed_shards"] <= manifest["shards"] - len(finished) and len(finished) >= 3
    kept = [path for path in before if int(path.stem.removeprefix("shard-")) in finished]
    assert all(path.stat().st_ino == before[path] for path in kept)


def test_down_ends_every_process_and_jobs_wait_again(root, running, specs):
    """Last: it takes the cluster away."""
    everyone = processes_of(running)
    assert sorted(down(root)) == sorted(running.pids)
    until(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in everyone))
    assert find(root) is None and down(root) == []
    engine = DaskEngine(root)
    assert engine.submit(specs["behind"], "waits").state == "queued" and engine.workers() == []
