"""Scheduler and workers as separate processes: `up` starts them, `down` stops them.

They run outside the browser application, which could not host them: a process pool inside Streamlit would run the page
again in every worker.
"""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from contrasim_core.engine.execute import THREADS
from contrasim_core.errors import EngineError
from contrasim_core.store import write_atomic

START_SECONDS = 60
STOP_SECONDS = 10


@dataclass(frozen=True, kw_only=True)
class Tls:
    """Files for mutual TLS; all or none."""

    ca: str = ""
    cert: str = ""
    key: str = ""

    @property
    def complete(self) -> bool:
        """Whether all three are given."""
        return bool(self.ca and self.cert and self.key)

    def arguments(self) -> list[str]:
        """Return the arguments for Dask's commands."""
        return ["--tls-ca-file", self.ca, "--tls-cert", self.cert, "--tls-key", self.key] if self.complete else []


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """What `up` recorded about the processes that it started."""

    scheduler_file: str
    scheduler: int
    workers: tuple[int, ...]
    tls: dict[str, str]

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids, workers first: they log errors when their scheduler stops before them."""
        return (*self.workers, self.scheduler)


def record_path(root: Path) -> Path:
    """Return the path of the record of processes."""
    return root / "run" / "cluster.json"


def find(root: Path) -> Cluster | None:
    """Return the running cluster of a store, or None."""
    path = record_path(root)
    if not path.is_file():
        return None
    data = json.loads(path.read_text(encoding="utf-8"))
    cluster = Cluster(**{**data, "workers": tuple(data["workers"])})
    return cluster if _is_ours(cluster.scheduler) else None


def _is_ours(pid: int) -> bool:
    """Return whether a process is running and belongs to Dask, because process ids are reused."""
    import psutil

    try:
        return any("dask" in part for part in psutil.Process(pid).cmdline())
    except psutil.Error:
        return False


def check_host(host: str, tls: Tls) -> None:
    """Refuse to listen beyond this machine without TLS: anyone who reaches a scheduler can run code.

    Raises:
        EngineError: if the host is not a loopback address and TLS is incomplete.
    """
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback and not tls.complete:
        raise EngineError(
            f"Refused to listen on {host} without TLS: anyone who reaches the scheduler can run code. "
            "Give --tls-ca, --tls-cert and --tls-key, or keep the default host 127.0.0.1."
        )


def gpu_count() -> int:
    """Return the number of NVIDIA GPUs according to the driver's tool; 0 if it is not installed."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return 0
    listed = subprocess.run([tool, "-L"], capture_output=True, text=True, check=False)  # noqa: S603
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines()) if listed.returncode == 0 else 0


def up(root: Path, *, host: str = "127.0.0.1", tls: Tls = Tls(), workers: int | None = None) -> tuple[Cluster, bool]:
    """Start a scheduler and workers; return the cluster and whether it is new.

    Args:
        root: root of the store.
        host: address to listen on.
        tls: files for mutual TLS; required for addresses beyond this machine.
        workers: number of workers; None for one per GPU, or one on the CPU.

    Raises:
        EngineError: if the host is refused, the number of workers is invalid, or the processes do not start.
    """
    check_host(host, tls)
    if workers is not None and workers < 1:
        raise EngineError(f"--workers is {workers}. It must be 1 or more.")
    with _alone(root):
        running = find(root)
        return (running, False) if running is not None else (_new(root, host, tls, workers), True)


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Make starting and stopping wait for each other, so that neither deletes what the other has just written."""
    folder = root / "run"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "cluster.lock"):
        yield


def _new(root: Path, host: str, tls: Tls, wanted: int | None) -> Cluster:
    folder = root / "run"
    scheduler_file = folder / "scheduler.json"
    scheduler_file.unlink(missing_ok=True)
    local = ["--host", host, "--dashboard-address", "127.0.0.1:0", *tls.arguments()]
    scheduler = _start(
        ["distributed.cli.dask_scheduler", "--port", "0", "--scheduler-file", str(scheduler_file), *local],
        folder / "scheduler.log",
        {},
    )
    _wait_for(scheduler_file, scheduler, folder / "scheduler.log")
    gpus = gpu_count()
    count = wanted or max(1, gpus)
    threads = os.environ.get(THREADS) or str(max(1, (os.cpu_count() or 1) // count))
    workers = []
    for number in range(count):
        arguments = [
            "distributed.cli.dask_worker", "--scheduler-file", str(scheduler_file), *local,
            "--nworkers", "1", "--nthreads", "1", "--resources", "GPU=1", "--memory-limit", "0",
            "--local-directory", str(folder / "dask"), "--preload", "contrasim_core.engine.warm_up", "--no-dashboard",
        ]  # fmt: skip
        visible = {"CUDA_VISIBLE_DEVICES": str(number % gpus)} if gpus else {}
        visible[THREADS] = threads
        workers.append(_start(arguments, folder / f"worker-{number}.log", visible).pid)
    cluster = Cluster(
        scheduler_file=str(scheduler_file), scheduler=scheduler.pid, workers=tuple(workers), tls=asdict(tls)
    )
    write_atomic(record_path(root), json.dumps(asdict(cluster)))
    return cluster


def _start(module: list[str], log: Path, more: dict[str, str]) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "24 hours",  # a long computation may hold the GIL for minutes
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "3",
        "OMP_WAIT_POLICY": "PASSIVE",  # threads that spin while they wait slow down a busy machine
        **more,
    }
    with log.open("wb") as output:
        return subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-m", *module],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env=environment,
        )


def _wait_for(path: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    limit = time.monotonic() + START_SECONDS
    while time.monotonic() < limit:
        if path.is_file() and path.stat().st_size:
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    process.kill()
    process.wait()
    tail = log.read_text(encoding="utf-8", errors="replace")[-800:] if log.is_file() else ""
    raise EngineError(f"The scheduler did not start within {START_SECONDS} s. Its last words:\n{tail}")


def down(root: Path) -> list[int]:
    """Stop the processes that `up` started; return their ids. Runs in progress resume after the next `up`."""
    if not record_path(root).is_file():
        return []
    with _alone(root):
        return _end(record_path(root))


def _end(path: Path) -> list[int]:
    if not path.is_file():  # another process was faster
        return []
    data = json.loads(path.read_text(encoding="utf-8"))
    cluster = Cluster(**{**data, "workers": tuple(data["workers"])})
    ended = [pid for pid in cluster.pids if _is_ours(pid)]
    for pid in ended:
        os.kill(pid, signal.SIGTERM)
    limit = time.monotonic() + STOP_SECONDS
    while time.monotonic() < limit and any(_is_ours(pid) for pid in ended):
        _reap(ended)
        time.sleep(0.05)
    for pid in ended:
        if _is_ours(pid):
            os.killpg(pid, signal.SIGKILL)  # each was started in its own session, and so in its own group
    path.unlink(missing_ok=True)
    return ended


def _reap(pids: list[int]) -> None:
    """Reap children of this process that have ended, so that they do not look alive."""
    for pid in pids:
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            continue
