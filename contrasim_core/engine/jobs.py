"""The job table: requests by spec key, and their progress. SQLite in WAL mode; no torch.

The progress of a job follows from its nodes (`jobs/<id>/nodes.json`, see `nodes`); how it ended is in
`jobs/<id>/status.json`. Reading the table merges finished statuses into it.
"""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from contrasim_core.engine import nodes as board
from contrasim_core.engine.nodes import NodeName, Nodes, NodeStatus
from contrasim_core.errors import MissingArtifactError
from contrasim_core.runs.kinds import read_spec
from contrasim_core.spec import Spec
from contrasim_core.store import write_atomic

State = Literal["queued", "running", "cancelling", "cancelled", "done", "failed"]
ACTIVE: tuple[State, ...] = ("queued", "running", "cancelling")
TABLE = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, title TEXT NOT NULL, spec TEXT NOT NULL,
    state TEXT NOT NULL, created REAL NOT NULL, ended REAL, error TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX IF NOT EXISTS one_active ON jobs (kind, key)
    WHERE state IN ('queued', 'running', 'cancelling');
"""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One request.

    Attributes:
        id: id of the job; a later request for the same spec is another job.
        kind: kind of the spec.
        key: key of the spec and of the artifact.
        title: one line for people.
        state: current state.
        created: seconds since 1970.
        ended: when it was done, failed or cancelled.
        done: finished units of work.
        total: all units; 0 before the work starts.
        message: the current step.
        error: the error message.
        worker: the worker that runs it.
        starts: how often work was started; more than once if a worker died.
    """

    id: str
    kind: str
    key: str
    title: str
    state: State
    created: float
    ended: float | None = None
    done: float = 0.0
    total: float = 0.0
    message: str = ""
    error: str = ""
    worker: str = ""
    starts: int = 0

    @property
    def active(self) -> bool:
        """Whether its state may still change."""
        return self.state in ACTIVE

    @property
    def share(self) -> float:
        """The finished share, 0 to 1."""
        return 1.0 if self.state == "done" else min(1.0, self.done / self.total) if self.total else 0.0


class JobTable:
    """The table under one store root; safe to use from several processes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "jobs"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._nodes = Nodes(root)
        with self._connect() as table:
            table.executescript(TABLE)

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.root / "jobs.sqlite", timeout=30)) as table:
            table.execute("PRAGMA journal_mode=WAL")
            table.row_factory = sqlite3.Row
            with table:
                yield table

    def submit(self, spec: Spec, title: str) -> tuple[Job, bool]:
        """Add a request; return the job and whether it is new: an active job with that key is returned unchanged."""
        with self._connect() as table:
            found = self._active(table, spec)
            if found is not None:
                return found, False
            job = Job(
                id=uuid.uuid4().hex[:12], kind=spec.kind, key=spec.key, title=title, state="queued", created=time.time()
            )
            try:
                table.execute(
                    "INSERT INTO jobs (id, kind, key, title, spec, state, created) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (job.id, job.kind, job.key, job.title, spec.to_json(), job.state, job.created),
                )
            except sqlite3.IntegrityError:  # another process was faster
                found = self._active(table, spec)
                if found is None:
                    raise
                return found, False
            return job, True

    def _active(self, table: sqlite3.Connection, spec: Spec) -> Job | None:
        """Return the active job of this spec; ends recorded only in status files are first copied to the table."""
        rows = table.execute(
            "SELECT * FROM jobs WHERE kind = ? AND key = ? AND state IN ('queued', 'running', 'cancelling')",
            (spec.kind, spec.key),
        ).fetchall()
        jobs = [self._with_status(row) for row in rows]
        for job in jobs:
            if not job.active:
                self._write_end(table, job)
        return next((job for job in jobs if job.active), None)

    def jobs(self, limit: int = 200) -> list[Job]:
        """Return the latest jobs, newest first, with finished statuses merged in."""
        with self._connect() as table:
            rows = table.execute("SELECT * FROM jobs ORDER BY created DESC LIMIT ?", (limit,)).fetchall()
            jobs = [self._with_status(row) for row in rows]
            for row, job in zip(rows, jobs, strict=True):
                if row["state"] != job.state and not job.active:
                    self._write_end(table, job)
        return jobs

    def job(self, job_id: str) -> Job:
        """Return one job.

        Raises:
            MissingArtifactError: if it does not exist.
        """
        with self._connect() as table:
            row = table.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
        if row is None:
            raise MissingArtifactError(f"No job {job_id} in {self.root}.")
        return self._with_status(row)

    def spec(self, job_id: str) -> Spec:
        """Return the spec of a job."""
        with self._connect() as table:
            row = table.execute("SELECT spec FROM jobs WHERE id = ?", (job_id,)).fetchone()
        if row is None:
            raise MissingArtifactError(f"No job {job_id} in {self.root}.")
        return read_spec(row["spec"])

    def latest(self, kind: str, key: str) -> Job | None:
        """Return the newest job of a spec key; None if it was never requested."""
        return next((job for job in self.jobs() if job.kind == kind and job.key == key), None)

    def cancel(self, job_id: str) -> Job:
        """Ask a job to stop; at once unless a running node is needed by this job alone."""
        job = self.job(job_id)
        if not job.active:
            return job
        (self._folder(job_id) / "cancel").touch()
        names = [node.name for node in self.node_names(job_id)]
        own = [status for status in self.nodes(job_id) if self._nodes.wanted_by(status.node.name) <= {job_id}]
        self._nodes.unwant(names, job_id)
        if job.starts == 0:
            return self.finish(job_id, "cancelled", "Cancelled before it started.")
        if names and not any(status.state == "running" for status in own):
            return self.finish(job_id, "cancelled", "Cancelled; steps that other jobs need continue.")
        with self._connect() as table:
            table.execute("UPDATE jobs SET state = 'cancelling' WHERE id = ?", (job_id,))
        return self.job(job_id)

    def set_nodes(self, job_id: str, nodes: Sequence[NodeName]) -> None:
        """Set the nodes of a job, which needs all of them from now on."""
        if not self.cancel_asked(job_id):
            self._nodes.want((node.name for node in nodes), job_id)
            for node in nodes:
                self._nodes.reset(node.name)
        write_atomic(self._folder(job_id) / "nodes.json", board.to_json(nodes))

    def node_names(self, job_id: str) -> tuple[NodeName, ...]:
        """Return the nodes of a job; empty before it was sent."""
        try:
            return board.from_json((self.folder / job_id / "nodes.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return ()

    def nodes(self, job_id: str) -> list[NodeStatus]:
        """Return the status of each node of a job."""
        return [self._nodes.status(node) for node in self.node_names(job_id)]

    def finish(self, job_id: str, state: State, error: str = "") -> Job:
        """Set the final state of a job from outside its worker."""
        job = replace(self.job(job_id), state=state, error=error, ended=time.time())
        last = board.summary(self.nodes(job_id))
        kept = {name: last[name] for name in ("starts", "worker") if last.get(name)}
        if state != "done":
            kept.update(done=last["done"], total=last["total"])
        words = {"message": "Done"} if state == "done" else {}
        self.write_status(job_id, state=state, error=error, ended=job.ended, **kept, **words)
        self._nodes.unwant((node.name for node in self.node_names(job_id)), job_id)
        with self._connect() as table:
            self._write_end(table, job)
        return job

    def _write_end(self, table: sqlite3.Connection, job: Job) -> None:
        table.execute(
            "UPDATE jobs SET state = ?, ended = ?, error = ? WHERE id = ?", (job.state, job.ended, job.error, job.id)
        )

    def _folder(self, job_id: str) -> Path:
        folder = self.folder / job_id
        folder.mkdir(exist_ok=True)
        return folder

    def cancel_asked(self, job_id: str) -> bool:
        """Return whether the job was asked to stop."""
        return (self.folder / job_id / "cancel").exists()

    def write_status(self, job_id: str, **facts: Any) -> None:
        """Replace a job's status file, keeping facts that are not given."""
        path = self._folder(job_id) / "status.json"
        write_atomic(path, json.dumps({**self.read_status(job_id), **facts}))

    def facts(self, job_id: str) -> list[dict[str, float]]:
        """Return the numbers of the job's own node so far, such as the losses of an encoder."""
        job = self.job(job_id)
        return self._nodes.facts(f"{job.kind}-{job.key}")

    def read_status(self, job_id: str) -> dict[str, Any]:
        """Read a job's status file; empty if it does not exist."""
        path = self.folder / job_id / "status.json"
        try:
            facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return facts

    def _with_status(self, row: sqlite3.Row) -> Job:
        status = self.read_status(row["id"])
        state: State = row["state"]
        if state in ACTIVE and status.get("state") in (None, *ACTIVE):
            known = self.nodes(row["id"])
            status = {**(board.summary(known) if known else {}), **status}
            if state == "queued" and any(item.state != "waiting" for item in known):
                state = "running"
        if state in ACTIVE and status.get("state") not in (None, state):
            reported: State = status["state"]
            state = "cancelling" if state == "cancelling" and reported in ACTIVE else reported
        return Job(
            id=row["id"],
            kind=row["kind"],
            key=row["key"],
            title=row["title"],
            state=state,
            created=row["created"],
            ended=row["ended"] or status.get("ended"),
            done=status.get("done", 0.0),
            total=status.get("total", 0.0),
            message=status.get("message", ""),
            error=row["error"] or status.get("error", ""),
            worker=status.get("worker", ""),
            starts=status.get("starts", 0),
        )
