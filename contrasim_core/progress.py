"""Progress and cancellation are arguments of the long-running functions, never globals."""

from __future__ import annotations

import time
from typing import Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """Called now and then with the work done, the work in total and what is being done.

    Facts are numbers worth keeping beside the message, such as the loss of an epoch, for live curves.
    A call may raise `RunCancelled`; the caller lets it pass, so that calling it often makes a run cancellable.
    """

    def __call__(self, done: float, total: float, message: str, /, **facts: float) -> None:
        """Report that `done` of `total` units are finished."""


def silent(_done: float, _total: float, _message: str, /, **_facts: float) -> None:
    """Report to nobody."""


def share(progress: Progress, part: int, parts: int, prefix: str = "") -> Progress:
    """A progress for step `part` (from 0) of `parts` equal steps, which fills only its share of the whole."""

    def report(done: float, total: float, message: str, /, **facts: float) -> None:
        progress(part + (done / total if total else 1.0), parts, f"{prefix}{message}", **facts)

    return report


def eta_seconds(started: float, done: float, total: float, now: float | None = None) -> float | None:
    """Seconds still to go if the rest runs as fast as what is done; None before anything is done.

    Args:
        started: `time.monotonic()` at the start.
        done: units finished.
        total: units in all.
        now: `time.monotonic()` now; taken if None.
    """
    if done <= 0 or total <= 0:
        return None
    elapsed = (time.monotonic() if now is None else now) - started
    return max(0.0, elapsed * (total - done) / done)
