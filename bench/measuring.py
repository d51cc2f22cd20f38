"""Interleaved repeats, ratios, and peak memory in a separate process."""

from __future__ import annotations

import math
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import psutil
from rich.console import Console
from rich.table import Table

CONSOLE = Console(width=130)


@dataclass
class Contestant:
    """Something to time.

    Attributes:
        run: does the work once.
        share: part of the whole job that one run does; its time is divided by this.
        once: whether to run it only in the first round.
        seconds: (wall, CPU) of every run, already divided by the share.
        result: the result of the last run.
    """

    run: Callable[[], object]
    share: float = 1.0
    once: bool = False
    seconds: list[tuple[float, float]] = field(default_factory=list)
    result: object = None

    def time_once(self) -> None:
        """Run and record the time."""
        wall, cpu = time.perf_counter(), time.process_time()
        self.result = self.run()
        cost = (time.perf_counter() - wall, time.process_time() - cpu)
        self.seconds.append((cost[0] / self.share, cost[1] / self.share))

    def median(self, column: int) -> float:
        """Return the median of wall (0) or CPU (1) seconds."""
        return statistics.median(times[column] for times in self.seconds)

    def best(self, column: int) -> float:
        """Return the minimum of wall (0) or CPU (1) seconds."""
        return min(times[column] for times in self.seconds)


def interleave(contestants: Mapping[str, Contestant], repeats: int) -> None:
    """Run all contestants in turn for `repeats` rounds, so that a busy moment affects all of them."""
    for number in range(repeats):
        for contestant in contestants.values():
            if number == 0 or not contestant.once:
                contestant.time_once()


def report(
    title: str, contestants: Mapping[str, Contestant], ours: str, extra: Mapping[str, Mapping[str, str]], note: str = ""
) -> None:
    """Print a table with every contestant's time (median and minimum) as a multiple of ours."""
    table = Table(title=title, title_justify="left", caption=note or None, caption_justify="left")
    for column in ("x: times ours", "runs", "CPU s", "x CPU", "x least CPU", "x wall", *extra):
        table.add_column(column, justify="left" if column == "x: times ours" else "right", no_wrap=True)
    reference = contestants[ours]
    for name, contestant in contestants.items():
        table.add_row(
            name if contestant.share == 1 else f"{name} (1/{round(1 / contestant.share)} run)",
            str(len(contestant.seconds)),
            f"{contestant.median(1):.2f}",
            f"{contestant.median(1) / reference.median(1):.2f}",
            f"{contestant.best(1) / reference.best(1):.2f}",
            f"{contestant.median(0) / reference.median(0):.2f}",
            *(values.get(name, "") for values in extra.values()),
        )
    CONSOLE.print(table)


def peak_mb() -> float:
    """Return the peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 2**20)


def peak_over(run: Callable[[], object]) -> float:
    """Return the MB that a run adds to the memory of this process; call it in a fresh process."""
    before = psutil.Process().memory_info().rss / 2**20
    run()
    return peak_mb() - before


def measured_in_child(*arguments: str) -> float:
    """Return the number that `python -m bench --child ...` prints last; NaN if it died, for example out of memory."""
    command = [sys.executable, "-m", "bench", "--child", *arguments]
    found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return float(found.stdout.split()[-1]) if found.returncode == 0 else math.nan
