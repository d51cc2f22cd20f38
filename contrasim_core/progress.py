"""Progress and cancellation are arguments of the long-running functions, never globals."""

from __future__ import annotations

import time
from typing import Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """A function that is called now and then with the work done, the total work and the current step.

    Facts are numbers to record along with the message, such as the loss of an epoch, for live curves.
    A call may raise `RunCancelled`, which callers must not catch: a run can be cancelled as often as it reports.
    """

    def __call__(self, done: float, total: float, message: str, /, **facts: float) -> None:
        """Report that `done` of `total` units are finished."""


def silent(_done: float, _total: float, _message: str, /, **_facts: float) -> None:
    """Report nothing."""


def share(progress: Progress, part: int, parts: int, prefix: str = "") -> Progress:
    """Return a progress for step `part` (from 0) of `parts` equal steps, which fills only its share of the whole."""

    def report(done: float, total: float, message: str, /, **facts: float) -> None:
        progress(part + (done / total if total else 1.0), parts, f"{prefix}{message}", **facts)

    return report


def eta_seconds(started: float, done: float, total: float, now: float | None = None) -> float | None:
    """Estimate the seconds left if the rest runs as fast as what is done; None before anything is done.

    Args:
        started: `time.monotonic()` at the start.
        done: units finished.
        total: all units.
        now: `time.monotonic()` now; defaults to the clock.
    """
    if done <= 0 or total <= 0:
        return None
    elapsed = (time.monotonic() if now is None else now) - started
    return max(0.0, elapsed * (total - done) / done)
