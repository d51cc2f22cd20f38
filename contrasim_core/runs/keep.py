"""Every run works the same way, whatever its kind: find it, or else lock, find again, make, write, load.

A run is a small graph: what a spec needs must exist before the spec is made. `plan` lists what exists and what is
missing, in an order in which it can be made, and does nothing; `run` walks that plan in this process, and an engine may
hand its nodes to many workers, which use the same `make_node`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from contrasim_core.activations.spec import Execution
from contrasim_core.errors import ContraSimError, EncoderError, MissingArtifactError, RepresentationError
from contrasim_core.progress import Progress, share, silent
from contrasim_core.runs.kind import Context
from contrasim_core.runs.kinds import kind_of
from contrasim_core.spec import Spec
from contrasim_core.store import Store, writing

CARRIED = (EncoderError, RepresentationError)
"""Errors of a node that do not end the run: dependent nodes get the error on access and may continue without it."""


@dataclass(frozen=True)
class Node:
    """One step of a plan.

    Attributes:
        spec: what to make.
        needs: what must exist first; empty if the node is finished.
        there: whether it is finished.
    """

    spec: Spec
    needs: tuple[Spec, ...]
    there: bool

    @property
    def name(self) -> str:
        """Name of the node, in status files and as a key of tasks."""
        return f"{self.spec.kind}-{self.spec.key}"


@dataclass(frozen=True)
class Plan:
    """The nodes of a run, each after the ones it needs; the last one is the run itself."""

    nodes: tuple[Node, ...]

    @property
    def missing(self) -> tuple[Node, ...]:
        """The nodes that have to be made."""
        return tuple(node for node in self.nodes if not node.there)


def plan(spec: Spec, store: Store, *, verify: bool = False) -> Plan:
    """List what exists and what is missing; nothing is made or loaded.

    Args:
        spec: the run.
        store: where results are kept.
        verify: whether to compare existing results with their checksums.

    Raises:
        SpecError: if a spec cannot be run by itself.
    """
    nodes: dict[Spec, Node] = {}

    def visit(item: Spec) -> None:
        if item in nodes:
            return
        kind = kind_of(item)
        there = kind.find(item, store, verify=verify) is not None
        needs = () if there else kind.run.needs(item)
        for need in needs:
            visit(need)
        nodes[item] = Node(item, needs, there)

    visit(spec)
    return Plan(tuple(nodes.values()))


def run(
    spec: Spec,
    *,
    store: Store,
    execution: Execution = Execution(),  # noqa: B008 - frozen
    progress: Progress = silent,
    given: Mapping[str, Any] | None = None,
) -> Any:
    """Run a spec in this process and return its result; at once if it is already finished.

    Args:
        spec: what to run.
        store: where results are kept.
        execution: device and batch size.
        progress: called now and then.
        given: what the caller has already loaded for this spec.

    Raises:
        SpecError: if this kind of spec cannot be run.
        ContraSimError: any error of the work itself.
    """
    missing = plan(spec, store, verify=True).missing
    failed: dict[Spec, ContraSimError] = {}
    for number, node in enumerate(missing):
        alone = len(missing) == 1
        step = progress if alone else share(progress, number, len(missing), prefix_of(missing, number))
        context = Context(execution=execution, progress=step, given=(given or {}) if node.spec == spec else {})
        try:
            make_node(node.spec, store=store, context=context, failed=failed)
        except CARRIED as error:
            if node.spec == spec:
                raise
            failed[node.spec] = error
    return load(spec, store)


def prefix_of(nodes: tuple[Node, ...], number: int) -> str:
    """Return a node's place among similar ones, such as `Extracting 7 of 20 models: `; empty if it is the only one."""
    kind = kind_of(nodes[number].spec)
    like = [place for place, node in enumerate(nodes) if kind_of(node.spec).verb == kind.verb]
    if len(like) == 1:
        return ""
    return f"{kind.verb} {like.index(number) + 1} of {len(like)} {kind.noun}: "


def make_node(
    spec: Spec, *, store: Store, context: Context, failed: Mapping[Spec, ContraSimError] | None = None
) -> Path:
    """Make one node whose needs are finished (find -> lock -> find -> make -> write) and return its folder.

    Args:
        spec: what to make.
        store: where results are kept.
        context: how to make it.
        failed: errors of needs that could not be made.
    """
    kind = kind_of(spec)
    folder = kind.find(spec, store)
    if folder is not None:
        return folder
    spec = kind.pin(spec, context.execution)
    with store.lock(spec.kind, spec.key):
        folder = kind.find(spec, store)
        if folder is not None:
            return folder
        have = Have(store, failed or {})
        if kind.resumable:
            return _make_in_place(spec, have, store, context)
        result = kind.run.make(spec, have, context)
        return store.write(spec, kind.run.title(spec), result.save)


def make_part(spec: Spec, part: int, parts: int, *, store: Store, context: Context) -> None:
    """Make one of several parts of a resumable node; `make_node` then finds it finished."""
    kind = kind_of(spec)
    if kind.find(spec, store) is not None:
        return
    spec = kind.pin(spec, context.execution)
    kind.run.make(spec, Have(store, {}), _in_place(spec, store, context, part=part, parts=parts))


def _make_in_place(spec: Spec, have: Mapping[Spec, Any], store: Store, context: Context) -> Path:
    kind = kind_of(spec)
    inside = _in_place(spec, store, context)
    facts = kind.run.make(spec, have, inside)
    store.write_manifest(inside.folder, spec, kind.run.title(spec), **facts)
    return inside.folder


def _in_place(spec: Spec, store: Store, context: Context, **part: int) -> Context:
    """Return the context of a resumable node: its own folder, and a lock for each piece."""
    folder = store.folder(spec.kind, spec.key)
    with writing(f"{spec.kind} {spec.key}", store.root):
        folder.mkdir(parents=True, exist_ok=True)

    def lock(piece: str) -> Any:
        return store.lock(spec.kind, f"{spec.key}.{piece}")

    return Context(
        execution=context.execution,
        progress=context.progress,
        folder=folder,
        lock=lock,
        given={**context.given, **part},
    )


def load(spec: Spec, store: Store) -> Any:
    """Load a finished result.

    Raises:
        MissingArtifactError: if it is not finished.
    """
    kind = kind_of(spec)
    folder = kind.find(spec, store)
    if folder is None:
        raise MissingArtifactError(f"No {spec.kind} {spec.key} in {store.root}. Run it again.")
    return kind.run.load(spec, folder)


class Have(Mapping[Spec, Any]):
    """The results that a node needs, loaded on access; access to one that could not be made raises its error."""

    def __init__(self, store: Store, failed: Mapping[Spec, ContraSimError]) -> None:
        self._failed = failed
        self._loaded: dict[Spec, Any] = {}
        self._load: Callable[[Spec], Any] = partial(load, store=store)

    def __getitem__(self, spec: Spec) -> Any:
        if spec in self._failed:
            raise self._failed[spec]
        if spec not in self._loaded:
            self._loaded[spec] = self._load(spec)
        return self._loaded[spec]

    def __iter__(self) -> Iterator[Spec]:
        return iter(self._loaded)

    def __len__(self) -> int:
        return len(self._loaded)
