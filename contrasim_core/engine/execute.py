"""One job, from its first status to its last; runs in a worker process or in a thread."""

from __future__ import annotations

import os
import socket
import time
import traceback
from pathlib import Path

from contrasim_core.engine.jobs import JobTable
from contrasim_core.errors import ContraSimError, RunCancelled

WRITE_EVERY = 0.4  # seconds


class StatusProgress:
    """Progress that writes the job's status file now and then, and stops the run when asked to."""

    def __init__(self, table: JobTable, job_id: str) -> None:
        self._table, self._job_id = table, job_id
        self._written = 0.0

    def __call__(self, done: float, total: float, message: str, /, **facts: float) -> None:
        """Keep the facts; write the status, if the last time was a while ago."""
        if facts:
            self._table.add_facts(self._job_id, facts)
        now = time.monotonic()
        if now - self._written < WRITE_EVERY:
            return
        self._written = now
        if self._table.cancel_asked(self._job_id):
            raise RunCancelled(f"Cancelled at: {message}")
        self._table.write_status(self._job_id, state="running", done=done, total=total, message=message)


def execute(job_id: str, root: str, threads: int | None = None) -> str:
    """Do a job and write how it ended; returns the final state. Only a bug in this function itself raises.

    Args:
        job_id: in the job table under `root`.
        root: of the store.
        threads: of torch; None leaves them alone.
    """
    table = JobTable(Path(root))
    if not table.job(job_id).active:
        return table.job(job_id).state
    starts = int(table.read_status(job_id).get("starts", 0)) + 1
    worker = f"{socket.gethostname()}, process {os.getpid()}"
    message = "Starting" if starts == 1 else f"Starting again (worker restarted {starts - 1} times)"
    table.write_status(job_id, state="running", starts=starts, worker=worker, message=message, began=time.time())
    try:
        _run(job_id, table, root, threads)
    except RunCancelled as cancelled:
        table.write_status(job_id, state="cancelled", error=str(cancelled), ended=time.time())
    except ContraSimError as error:
        table.write_status(job_id, state="failed", error=str(error), ended=time.time())
    except Exception as error:
        (table.folder / job_id / "traceback.txt").write_text(traceback.format_exc(), encoding="utf-8")
        text = f"{type(error).__name__}: {error}. This is a bug; the traceback is kept with the job."
        table.write_status(job_id, state="failed", error=text, ended=time.time())
    else:
        table.write_status(job_id, state="done", message="Done", ended=time.time())
    return table.job(job_id).state


def _run(job_id: str, table: JobTable, root: str, threads: int | None) -> None:
    import torch

    from contrasim_core import runs
    from contrasim_core.store import Store

    if threads is not None:
        torch.set_num_threads(threads)
    runs.run(table.spec(job_id), store=Store(root), progress=StatusProgress(table, job_id))
