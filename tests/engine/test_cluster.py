"""What is refused before anything is started, and what is told when nothing is running."""

import json
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from contrasim_core.activations.spec import ExtractionSpec
from contrasim_core.engine import cluster
from contrasim_core.engine.cluster import Cluster, Tls, check_host, down, find, record_path, up
from contrasim_core.engine.dask import DaskEngine
from contrasim_core.errors import EngineError
from contrasim_core.refs import DatasetRef, ModelRef

SPEC = ExtractionSpec(model=ModelRef(name="m", kind="hub"), data=DatasetRef(name="digits", kind="bundled"))
TLS = Tls(ca="ca.pem", cert="cert.pem", key="key.pem")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "localhost"])
def test_this_machine_needs_no_tls(host):
    check_host(host, Tls())


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.org", ""])  # noqa: S104 - refused
@pytest.mark.parametrize("tls", [Tls(), Tls(ca="ca.pem"), Tls(cert="cert.pem", key="key.pem")])
def test_other_hosts_are_refused_without_complete_tls(host, tls):
    with pytest.raises(
        EngineError,
        match=rf"^Refused to listen on {host} without TLS: anyone who reaches the scheduler can run code\. "
        r"Give --tls-ca, --tls-cert and --tls-key, or keep the default host 127\.0\.0\.1\.$",
    ):
        check_host(host, tls)


def test_other_hosts_are_taken_with_tls():
    check_host("192.168.1.7", TLS)
    assert TLS.complete and TLS.arguments() == [
        "--tls-ca-file", "ca.pem", "--tls-cert", "cert.pem", "--tls-key", "key.pem",
    ]  # fmt: skip
    assert Tls(ca="ca.pem").arguments() == []


def test_a_refused_host_starts_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "_start", lambda *_args: pytest.fail("a process was started"))
    with pytest.raises(EngineError):
        up(tmp_path, host="0.0.0.0")  # noqa: S104 - refused
    assert not (tmp_path / "run").exists()


def test_nothing_is_found_where_nothing_was_started(tmp_path):
    assert find(tmp_path) is None and down(tmp_path) == []


def test_a_record_of_dead_or_foreign_processes_is_no_cluster(tmp_path):
    """Process numbers are used again: a process that is not Dask's is neither found nor ended."""
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        record_path(tmp_path).parent.mkdir()
        record = {"scheduler_file": "x", "scheduler": other.pid, "workers": [2**22 + 1], "tls": {}}
        record_path(tmp_path).write_text(json.dumps(record))
        assert find(tmp_path) is None
        assert down(tmp_path) == [] and other.poll() is None
        assert not record_path(tmp_path).exists()
    finally:
        other.kill()
        other.wait()


def test_starting_and_ending_wait_for_each_other(tmp_path, monkeypatch):
    """A dashboard that ends must not forget the processes that the next one has just started."""
    record_path(tmp_path).parent.mkdir(parents=True)
    record_path(tmp_path).write_text("{}", encoding="utf-8")
    monkeypatch.setattr(cluster, "_end", lambda _path: [1])
    monkeypatch.setattr(cluster, "_new", lambda *_: "started")
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(down(tmp_path))),
        threading.Thread(target=lambda: found.append(up(tmp_path))),
    ]
    with cluster._alone(tmp_path):
        monkeypatch.setattr(cluster, "find", lambda _root: None)
        for thread in threads:
            thread.start()
            thread.join(0.3)
            assert thread.is_alive()
    for thread in threads:
        thread.join(10)
    assert sorted(map(str, found)) == ["('started', True)", "[1]"]


def test_workers_are_ended_before_their_scheduler():
    assert Cluster(scheduler_file="x", scheduler=1, workers=(2, 3), tls={}).pids == (2, 3, 1)


def test_a_scheduler_that_does_not_start_is_told_with_its_last_words(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "_start", lambda _module, log, _more: _dying(log))
    with pytest.raises(EngineError, match=r"^The scheduler did not start within 60 s\. Its last words:\nno such"):
        up(tmp_path)
    assert find(tmp_path) is None


def _dying(log):
    log.write_text("no such port\n")
    return subprocess.Popen([sys.executable, "-c", "raise SystemExit(1)"])


def test_a_scheduler_that_hangs_is_ended(tmp_path, monkeypatch):
    started = []

    def hanging(_module, log, _more):
        started.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]))
        log.write_text("")
        return started[0]

    monkeypatch.setattr(cluster, "_start", hanging)
    monkeypatch.setattr(cluster, "START_SECONDS", 0.3)
    with pytest.raises(EngineError, match="did not start"):
        up(tmp_path)
    assert started[0].poll() is not None


@pytest.mark.parametrize(("told", "code", "expected"), [("GPU 0: A\nGPU 1: B\n", 0, 2), ("", 0, 0), ("GPU 0", 9, 0)])
def test_gpus_are_counted_by_the_driver(told, code, expected, monkeypatch):
    monkeypatch.setattr(cluster.shutil, "which", lambda _: "nvidia-smi")
    done = subprocess.CompletedProcess([], code, stdout=told)
    monkeypatch.setattr(cluster.subprocess, "run", lambda *_args, **_more: done)
    assert cluster.gpu_count() == expected


def test_without_the_driver_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr(cluster.shutil, "which", lambda _: None)
    assert cluster.gpu_count() == 0


def test_without_a_cluster_jobs_wait_and_it_is_said(tmp_path):
    engine = DaskEngine(tmp_path)
    job = engine.submit(SPEC, "title")
    assert job.state == "queued" and engine.workers() == []
    engine.look()  # for pages that poll: no complaint
    with pytest.raises(EngineError, match=r"^No worker is connected\. Results stay readable and new runs wait\."):
        engine.recover()
    assert engine.cancel(job.id).state == "cancelled"


class Given:
    """What `DaskEngine` asks of a client and of a future."""

    def __init__(self, status, name):
        self.status, self.name = status, name

    def exception(self, timeout):
        return RuntimeError(f"attempted 4 times in {timeout}")

    def list_datasets(self):
        return [self.name]

    def get_dataset(self, _name):
        return self

    def unpublish_dataset(self, name):
        assert name == self.name


@pytest.mark.parametrize(
    ("status", "state", "error"),
    [
        ("error", "failed", "The worker died on every attempt: attempted 4 times in 5"),
        ("lost", "failed", "The worker died on every attempt: it was lost"),
        ("pending", "queued", ""),
    ],
)
def test_what_dask_gave_up_on_is_told(status, state, error, tmp_path, monkeypatch):
    engine = DaskEngine(tmp_path)
    job = engine.submit(SPEC, "title")
    monkeypatch.setattr(engine, "connect", lambda: Given(status, f"job-{job.id}"))
    assert engine.recover() == []
    assert (engine.table.job(job.id).state, engine.table.job(job.id).error) == (state, error)


def test_a_job_that_lost_a_node_to_another_ones_cancellation_is_sent_again(tmp_path, monkeypatch):
    engine, sent = DaskEngine(tmp_path), []
    job = engine.submit(SPEC, "title")
    monkeypatch.setattr(engine, "connect", lambda: Given("finished", f"job-{job.id}"))
    monkeypatch.setattr(engine, "_send", lambda _client, job_id: sent.append(job_id))
    engine.recover()
    assert sent == [job.id] and engine.table.job(job.id).active


@pytest.mark.parametrize(
    ("workers", "cores", "asked", "threads"),
    [(None, 8, None, ["8"]), (2, 8, None, ["4", "4"]), (3, 2, None, ["1", "1", "1"]), (2, 8, "1", ["1", "1"])],
)
def test_cores_are_divided_among_the_workers(workers, cores, asked, threads, tmp_path, monkeypatch):
    """Unless the environment says how many threads each has."""
    given = []

    def start(_module, _log, environment):
        given.append(environment.get(cluster.THREADS))
        return SimpleNamespace(pid=100 + len(given))

    monkeypatch.setattr(cluster, "_start", start)
    monkeypatch.setattr(cluster, "_wait_for", lambda *_: None)
    monkeypatch.setattr(cluster, "gpu_count", lambda: 0)
    monkeypatch.setattr(cluster.os, "cpu_count", lambda: cores)
    monkeypatch.delenv(cluster.THREADS, raising=False)
    if asked:
        monkeypatch.setenv(cluster.THREADS, asked)
    started, new = cluster.up(tmp_path, workers=workers)
    assert new and len(started.workers) == len(threads)
    assert given == [None, *threads], "the scheduler has none"


def test_no_workers_are_refused(tmp_path):
    with pytest.raises(EngineError, match=r"^--workers is 0\."):
        cluster.up(tmp_path, workers=0)
