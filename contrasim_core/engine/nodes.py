"""The nodes of runs: which jobs need them, and their progress. Files, replaced atomically; no torch.

Nodes do not belong to jobs: two jobs that need the same node share it. Work on a node continues while any job needs it,
which the marker `nodes/<node>/wanted/<job>` records; a node without markers stops at its next progress report.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from contrasim_core.errors import RunCancelled
from contrasim_core.store import write_atomic

NodeState = Literal["waiting", "running", "done", "failed", "cancelled"]
WRITE_EVERY = 0.4  # seconds


@dataclass(frozen=True, kw_only=True)
class NodeName:
    """A node of a job, and how to describe it to people.

    Attributes:
        name: kind and key.
        title: one line about it.
        verb: the activity, such as `Extracting`.
        noun: its object, such as `models`.
    """

    name: str
    title: str
    verb: str = ""
    noun: str = ""


@dataclass(frozen=True, kw_only=True)
class NodeStatus:
    """The status of a node.

    Attributes:
        node: the node.
        state: current state.
        share: finished share, 0 to 1.
        done: finished units of work.
        total: all units; 0 before the work starts.
        message: the current step.
        worker: the workers that run it.
        starts: how often work was started; more than once if a worker died.
    """

    node: NodeName
    state: NodeState
    share: float = 0.0
    done: float = 0.0
    total: float = 0.0
    message: str = ""
    worker: str = ""
    starts: int = 0


class Nodes:
    """The nodes under one store root; safe to use from several processes."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "jobs" / "nodes"

    def want(self, names: Iterable[str], job_id: str) -> None:
        """Record that a job needs these nodes."""
        for name in names:
            wanted = self.folder / name / "wanted"
            wanted.mkdir(parents=True, exist_ok=True)
            (wanted / job_id).touch()

    def unwant(self, names: Iterable[str], job_id: str) -> None:
        """Record that a job no longer needs these nodes."""
        for name in names:
            (self.folder / name / "wanted" / job_id).unlink(missing_ok=True)

    def wanted_by(self, name: str) -> set[str]:
        """Return the jobs that need a node."""
        wanted = self.folder / name / "wanted"
        return {path.name for path in wanted.iterdir()} if wanted.is_dir() else set()

    def begin(self, name: str, worker: str, part: int | None = None) -> None:
        """Record that work on a node, or on a part of it, starts; perhaps again, because a worker died."""
        before = self._read(name, part)
        starts = int(before.get("starts", 0)) + 1 if before.get("state") == "running" else 1
        message = "Starting" if starts == 1 else f"Starting again (worker restarted {starts - 1} times)"
        attempt = int(before.get("attempt", 0))
        fresh = {"state": "running", "starts": starts, "worker": worker, "message": message, "began": time.time()}
        self._replace(name, part, {**fresh, "attempt": attempt})
        if part is None:
            (self.folder / name / "facts.jsonl").unlink(missing_ok=True)

    def write(self, name: str, part: int | None = None, **facts: Any) -> None:
        """Replace a node's status file, keeping facts that are not given."""
        self._replace(name, part, {**self._read(name, part), **facts})

    def reset(self, name: str) -> None:
        """Queue a node again, whatever its last state; a running one is left alone."""
        if self._read(name, None).get("state") not in (None, "running"):
            self._replace(name, None, {"state": "waiting", "attempt": self.attempt(name)})

    def end(self, name: str, state: NodeState, part: int | None = None) -> None:
        """Record that work on a node has ended; later requests for it are a new attempt."""
        attempt = {} if part is not None else {"attempt": self.attempt(name) + 1}
        self.write(name, part, state=state, ended=time.time(), **attempt)
        if part is None:
            for path in (self.folder / name).glob("status-*.json"):
                path.unlink(missing_ok=True)

    def attempt(self, name: str) -> int:
        """Return how many attempts have ended, successfully or not."""
        return int(self._read(name, None).get("attempt", 0))

    def status(self, node: NodeName) -> NodeStatus:
        """Return the status of a node, with its parts combined."""
        whole = self._read(node.name, None)
        files = sorted((self.folder / node.name).glob("status-*.json"))
        parts = [self._load(path) for path in files] if whole.get("state") != "done" else []
        state: NodeState = whole.get("state", "waiting")
        if state != "running" and any(part.get("state") == "running" for part in parts):
            state = "running"
        counted = [whole] if state == "done" or whole.get("state") == "running" or not parts else parts
        shares = [_share(item) for item in counted]
        latest = max(counted, key=lambda item: item.get("written", 0.0))
        return NodeStatus(
            node=node,
            state=state,
            share=1.0 if state == "done" else sum(shares) / len(shares),
            done=latest.get("done", 0.0),
            total=latest.get("total", 0.0),
            message=latest.get("message", ""),
            worker=", ".join(dict.fromkeys(item["worker"] for item in counted if item.get("worker"))),
            starts=max(int(item.get("starts", 0)) for item in counted),
        )

    def add_facts(self, name: str, facts: Mapping[str, float]) -> None:
        """Append numbers of a running node, such as the loss of an epoch."""
        with (self.folder / name / "facts.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(dict(facts)) + "\n")

    def facts(self, name: str) -> list[dict[str, float]]:
        """Return all numbers appended so far; a line that is still being written is skipped."""
        path = self.folder / name / "facts.jsonl"
        if not path.is_file():
            return []
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        return [json.loads(line) for line in lines]

    def _path(self, name: str, part: int | None) -> Path:
        return self.folder / name / ("status.json" if part is None else f"status-{part}.json")

    def _read(self, name: str, part: int | None) -> dict[str, Any]:
        return self._load(self._path(name, part))

    def _load(self, path: Path) -> dict[str, Any]:
        try:
            facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return facts

    def _replace(self, name: str, part: int | None, facts: Mapping[str, Any]) -> None:
        path = self._path(name, part)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps({**facts, "written": time.time()}))


def _share(status: Mapping[str, Any]) -> float:
    total = float(status.get("total", 0.0))
    return 1.0 if status.get("state") == "done" else min(1.0, float(status.get("done", 0.0)) / total) if total else 0.0


class NodeProgress:
    """Progress that writes a node's status file now and then, and stops the work when no job needs it any more."""

    def __init__(self, nodes: Nodes, name: str, part: int | None = None) -> None:
        self._nodes, self._name, self._part = nodes, name, part
        self._written = 0.0

    def __call__(self, done: float, total: float, message: str, /, **facts: float) -> None:
        """Record the facts, and write the status unless it was just written."""
        if facts:
            self._nodes.add_facts(self._name, facts)
        now = time.monotonic()
        if now - self._written < WRITE_EVERY:
            return
        self._written = now
        if not self._nodes.wanted_by(self._name):
            raise RunCancelled(f"Cancelled at: {message}")
        self._nodes.write(self._name, self._part, state="running", done=done, total=total, message=message)


def summary(statuses: Sequence[NodeStatus]) -> dict[str, Any]:
    """Return share, message, worker and starts of a job, combined from its nodes."""
    running = [item for item in statuses if item.state == "running"]
    facts: dict[str, Any] = {
        "done": sum(item.share for item in statuses),
        "total": float(len(statuses)),
        "starts": max((item.starts for item in statuses), default=0),
        "worker": "; ".join(dict.fromkeys(item.worker for item in running or statuses if item.worker)),
    }
    if len(statuses) == 1:
        facts.update(done=statuses[0].done, total=statuses[0].total)
    if running:
        facts["message"] = message_of(running[-1], statuses)
    return facts


def message_of(current: NodeStatus, statuses: Sequence[NodeStatus]) -> str:
    """Return the current step, such as `Extracting 7 of 20 models: digits-vit-3: 100 of 540 samples`."""
    like = [item for item in statuses if item.node.verb == current.node.verb]
    if len(like) == 1:
        return current.message
    begun = sum(item.state != "waiting" for item in like)
    return f"{current.node.verb} {begun} of {len(like)} {current.node.noun}: {current.message}"


def to_json(nodes: Sequence[NodeName]) -> str:
    """Return the nodes of a job as JSON."""
    return json.dumps([asdict(node) for node in nodes])


def from_json(text: str) -> tuple[NodeName, ...]:
    """Read what `to_json` wrote."""
    return tuple(NodeName(**item) for item in json.loads(text))
