"""What every engine can do."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from contrasim_core.engine.execute import execute
from contrasim_core.engine.jobs import Job, JobTable
from contrasim_core.spec import Spec


@dataclass(frozen=True)
class WorkerInfo:
    """One worker: its address, its device and its load."""

    name: str
    device: str
    busy: int


class Engine(Protocol):
    """Moves jobs to where they are executed."""

    table: JobTable

    def submit(self, spec: Spec, title: str) -> Job:
        """Request a run; the same spec never runs twice at the same time."""

    def cancel(self, job_id: str) -> Job:
        """Ask a job to stop."""

    def workers(self) -> list[WorkerInfo]:
        """Return the available workers."""


class LocalEngine:
    """Runs jobs in a thread of this process, for tests and notebooks."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.table = JobTable(self.root)
        self._threads: dict[str, threading.Thread] = {}

    def submit(self, spec: Spec, title: str) -> Job:
        """Start the run in a thread."""
        job, new = self.table.submit(spec, title)
        if new:
            thread = threading.Thread(target=execute, args=(job.id, str(self.root)), daemon=True)
            self._threads[job.id] = thread
            thread.start()
        return self.table.job(job.id)

    def cancel(self, job_id: str) -> Job:
        """Ask a job to stop at its next progress report."""
        return self.table.cancel(job_id)

    def workers(self) -> list[WorkerInfo]:
        """Return this process as the only worker."""
        busy = sum(thread.is_alive() for thread in self._threads.values())
        return [WorkerInfo("this process", "auto", busy)]

    def wait(self, job_id: str, timeout: float | None = None) -> Job:
        """Wait until a job has ended, or until the timeout in seconds."""
        if job_id in self._threads:
            self._threads[job_id].join(timeout)
        return self.table.job(job_id)
