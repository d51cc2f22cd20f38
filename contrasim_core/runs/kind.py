"""What a kind of run must offer. Names no kind."""

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
    """A lock for work that nobody shares."""
    return nullcontext()


@dataclass(frozen=True, kw_only=True)
class Context:
    """How a run is made, which changes its result by no more than rounding.

    Attributes:
        execution: device and batch size.
        progress: called now and then.
        folder: where a resumable kind writes, piece by piece.
        lock: held while a piece is being written; takes the piece's name.
        given: what the caller has loaded already, by name.
    """

    execution: Execution = Execution()  # noqa: RUF009 - frozen
    progress: Progress = silent
    folder: Path = Path()
    lock: Callable[[str], AbstractContextManager[None]] = no_lock
    given: Mapping[str, Any] = field(default_factory=dict)


class Run(Protocol):
    """The module `run.py` of a kind's folder. Importing it is light; only `make` and `load` may need torch."""

    def needs(self, spec: Any, /) -> tuple[Spec, ...]:
        """What must be there first. Pure."""

    def make(self, spec: Any, have: Mapping[Spec, Any], context: Context, /) -> Any:
        """Compute the result from what it needs; looks into no store, and runs no other kind."""

    def load(self, spec: Any, folder: Path, /) -> Any:
        """The finished result."""

    def title(self, spec: Any, /) -> str:
        """One line about it."""


class Find(Protocol):
    """Looks for a finished result; `verify` also compares what was kept with its checksums."""

    def __call__(self, spec: Any, store: Store, /, *, verify: bool = True) -> Path | None:
        """Its folder, or None."""


def find_by_key(spec: Spec, store: Store, /, *, verify: bool = True) -> Path | None:
    """The folder of the finished result under the spec's own key."""
    return store.find(spec.kind, spec.key)


def unchanged(spec: Any, _execution: Execution) -> Any:
    """The spec itself."""
    return spec


def nothing_to_share(_spec: Any, _workers: int) -> int:
    """One part: the work is not split."""
    return 1


def no_cost(_spec: Any) -> list[str]:
    """Nothing is known beforehand."""
    return []


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One row of the table of kinds.

    Attributes:
        spec: class of its specs.
        run: its `run.py`.
        page: name of the page that shows it; None if no page does.
        verb: what is being done, for progress: `Extracting`.
        noun: what it is done to, in the plural: `models`.
        product: what it gives, in the plural: `activations`.
        find: where a finished result is.
        pin: the spec with everything pinned that only loading can tell, such as a hub model's commit.
        parts: into how many parts the work can be split for so many workers.
        cost: what is known of its size beforehand, in words.
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
        """As in stores and links."""
        return self.spec.kind
