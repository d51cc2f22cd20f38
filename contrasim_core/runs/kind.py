"""What every kind of run must provide. Names no kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from contrasim_core.activations.spec import Execution
from contrasim_core.progress import Progress, silent
from contrasim_core.spec import Spec
from contrasim_core.store import Store


def no_lock(_name: str) -> AbstractContextManager[None]:
    """Return a dummy lock for work that is not shared."""
    return nullcontext()


@dataclass(frozen=True, kw_only=True)
class Context:
    """How a run is made, which changes its result only by rounding.

    Attributes:
        execution: device and batch size.
        progress: called now and then.
        folder: where a resumable kind writes, piece by piece.
        lock: held while a piece is being written; takes the piece's name.
        given: what the caller has already loaded, by name.
    """

    execution: Execution = Execution()  # noqa: RUF009 - frozen
    progress: Progress = silent
    folder: Path = Path()
    lock: Callable[[str], AbstractContextManager[None]] = no_lock
    given: Mapping[str, Any] = field(default_factory=dict)


class Run(Protocol):
    """The module `run.py` of a kind's folder. Importing it is light; only `make` and `load` may need torch."""

    def needs(self, spec: Any, /) -> tuple[Spec, ...]:
        """Return what must be finished first. Pure."""

    def make(self, spec: Any, have: Mapping[Spec, Any], context: Context, /) -> Any:
        """Compute the result from what it needs, without access to the store and without running other kinds."""

    def load(self, spec: Any, folder: Path, /) -> Any:
        """Read the finished result."""

    def title(self, spec: Any, /) -> str:
        """Return one line about it."""


class Find(Protocol):
    """Finds a finished result; with `verify`, also compares stored files with their checksums."""

    def __call__(self, spec: Any, store: Store, /, *, verify: bool = True) -> Path | None:
        """Return its folder, or None."""


def find_by_key(spec: Spec, store: Store, /, *, verify: bool = True) -> Path | None:
    """Return the folder of the finished result under the spec's own key."""
    return store.find(spec.kind, spec.key)


def unchanged(spec: Any, _execution: Execution) -> Any:
    """Return the spec itself."""
    return spec


def nothing_to_share(_spec: Any, _workers: int) -> int:
    """Return one part: the work is not split."""
    return 1


def no_cost(_spec: Any) -> list[str]:
    """Return nothing: no cost is known in advance."""
    return []


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One row of the table of kinds.

    Attributes:
        spec: class of its specs.
        run: its `run.py`.
        page: name of the page that shows it; None if there is no such page.
        verb: the activity, for progress messages: `Extracting`.
        noun: its object, in the plural: `models`.
        product: what it produces, in the plural: `activations`.
        find: finds a finished result.
        pin: returns the spec with everything pinned that only loading reveals, such as a hub model's commit.
        parts: returns how many parts to split the work into, given a number of workers.
        cost: returns in words what is known in advance about its size.
        resumable: whether `make` writes piece by piece into the context's folder, so that unfinished work is kept.
    """

    spec: type[Spec]
    run: Run
    page: str | None
    verb: str
    noun: str
    product: str
    find: Find = find_by_key
    pin: Callable[[Any, Execution], Any] = unchanged
    parts: Callable[[Any, int], int] = nothing_to_share
    cost: Callable[[Any], list[str]] = no_cost
    resumable: bool = False

    @property
    def name(self) -> str:
        """Its name in stores and links."""
        return self.spec.kind
