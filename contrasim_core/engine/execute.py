"""The work of a job, node by node, in a worker process or in a thread. Importing this module does not load torch."""

from __future__ import annotations

import os
import socket
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from contrasim_core import errors
from contrasim_core.engine.jobs import JobTable
from contrasim_core.engine.nodes import NodeName, NodeProgress, Nodes
from contrasim_core.errors import ContraSimError, RunCancelled
from contrasim_core.runs import keep
from contrasim_core.runs.kind import Context
from contrasim_core.runs.kinds import kind_of, read_spec
from contrasim_core.spec import Spec
from contrasim_core.store import Store

THREADS = "CONTRASIM_THREADS"
"""Environment variable with the number of torch threads of a worker."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a node ended. Errors travel as text, so that dependent nodes can decide what to do.

    Attributes:
        spec: JSON of the node's spec.
        state: final state.
        error: the error message.
        kind: class of the error.
        trace: traceback, in case of a bug.
    """

    spec: str
    state: Literal["done", "failed", "cancelled"] = "done"
    error: str = ""
    kind: str = ""
    trace: str = ""

    @property
    def carried(self) -> bool:
        """Whether dependent nodes may continue without this one."""
        return self.kind in {cls.__name__ for cls in _carried()}

    @property
    def exception(self) -> ContraSimError:
        """Return the error that was raised."""
        found: ContraSimError = getattr(errors, self.kind, ContraSimError)(self.error)
        return found


def _carried() -> set[type[ContraSimError]]:
    """Return the errors that do not end a run, and all their subclasses."""
    every = [cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, ContraSimError)]
    return {cls for cls in every if issubclass(cls, keep.CARRIED)}


def names_of_nodes(nodes: Iterable[keep.Node]) -> list[NodeName]:
    """Return what the table records about the nodes of a plan."""
    names = []
    for node in nodes:
        kind = kind_of(node.spec)
        names.append(NodeName(name=node.name, title=kind.run.title(node.spec), verb=kind.verb, noun=kind.noun))
    return names


def run_node(root: str, spec: str, needs: Sequence[Outcome] = ()) -> Outcome:
    """Make one node and return how it ended; every error is caught, unless it kills the process.

    Args:
        root: root of the store.
        spec: JSON of the node's spec.
        needs: how the nodes that this one needs ended, and its own parts.
    """
    item = read_spec(spec)
    failed = {read_spec(need.spec): need.exception for need in needs if need.carried}

    def work(context: Context) -> None:
        keep.make_node(item, store=Store(root), context=context, failed=failed)

    return _guarded(root, item, spec, needs, work)


def run_part(root: str, spec: str, part: int, parts: int) -> Outcome:
    """Make one of several parts of a node and return how it ended."""
    item = read_spec(spec)

    def work(context: Context) -> None:
        keep.make_part(item, part, parts, store=Store(root), context=context)

    return _guarded(root, item, spec, (), work, part)


def _guarded(
    root: str, item: Spec, spec: str, needs: Sequence[Outcome], work: object, part: int | None = None
) -> Outcome:
    nodes, name = Nodes(Path(root)), f"{item.kind}-{item.key}"
    stopped = next((need for need in needs if need.state != "done" and not need.carried), None)
    if stopped is not None:
        nodes.end(name, stopped.state, part)
        return stopped
    if not nodes.wanted_by(name):
        nodes.end(name, "cancelled", part)
        return Outcome(spec=spec, state="cancelled", error="Cancelled before it started.")
    nodes.begin(name, f"{socket.gethostname()}, process {os.getpid()}", part)
    outcome = _attempt(spec, work, Context(progress=NodeProgress(nodes, name, part)))
    nodes.end(name, outcome.state, part)
    return outcome


def _attempt(spec: str, work: object, context: Context) -> Outcome:
    _set_threads()
    try:
        work(context)  # type: ignore[operator]
    except RunCancelled as cancelled:
        return Outcome(spec=spec, state="cancelled", error=str(cancelled))
    except ContraSimError as error:
        return Outcome(spec=spec, state="failed", error=str(error), kind=type(error).__name__)
    except Exception as error:
        text = f"{type(error).__name__}: {error}. This is a bug; the traceback is stored with the job."
        return Outcome(spec=spec, state="failed", error=text, trace=traceback.format_exc())
    return Outcome(spec=spec)


def _set_threads() -> None:
    """Set the number of torch threads that the worker was given; leave it alone in the user's own process."""
    threads = os.environ.get(THREADS)
    if threads:
        import torch

        torch.set_num_threads(int(threads))


def finish(root: str, job_id: str, outcome: Outcome) -> str:
    """Record how a job ended; return its state.

    If the node was cancelled on behalf of another job, this one still needs it and goes back into the queue.
    """
    table = JobTable(Path(root))
    job = table.job(job_id)
    if not job.active:
        return job.state
    if outcome.trace:
        (table.folder / job_id / "traceback.txt").write_text(outcome.trace, encoding="utf-8")
    if outcome.state == "cancelled" and not table.cancel_asked(job_id):
        return "again"
    return table.finish(job_id, outcome.state, outcome.error).state


def execute(job_id: str, root: str) -> str:
    """Do a whole job in this thread, one node after another; return its final state."""
    table = JobTable(Path(root))
    job = table.job(job_id)
    if not job.active:
        return job.state
    spec = table.spec(job_id)
    try:
        missing = keep.plan(spec, Store(root), verify=True).missing
    except ContraSimError as error:
        return table.finish(job_id, "failed", str(error)).state
    table.set_nodes(job_id, names_of_nodes(missing))
    outcomes: dict[Spec, Outcome] = {}
    last = Outcome(spec=spec.to_json())
    for node in missing:
        last = run_node(root, node.spec.to_json(), [outcomes[need] for need in node.needs if need in outcomes])
        outcomes[node.spec] = last
    return finish(root, job_id, last)
