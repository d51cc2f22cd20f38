"""Progress and cancellation are arguments; steps share one bar."""

import pytest

from contrasim_core.errors import RunCancelled
from contrasim_core.progress import eta_seconds, share, silent


@pytest.fixture
def reports():
    kept = []

    def progress(done, total, message, /, **facts):
        kept.append((done, total, message, facts))

    progress.kept = kept
    return progress


def test_silent_takes_every_report():
    silent(1, 2, "message", loss=0.5)


def test_share_fills_only_its_part(reports):
    share(reports, 1, 4, "B: ")(5, 10, "half", loss=1.0)
    assert reports.kept == [(1.5, 4, "B: half", {"loss": 1.0})]


def test_share_of_a_share(reports):
    step = share(share(reports, 0, 2), 1, 4)
    step(1, 1, "end")
    assert reports.kept == [(0.5, 2, "end", {})]  # the second of four parts of the first half


def test_share_of_nothing_is_done(reports):
    share(reports, 0, 3)(0, 0, "empty")
    assert reports.kept == [(1.0, 3, "empty", {})]


def test_cancelling_passes_through_shares():
    def progress(*_args, **_more):
        raise RunCancelled("enough")

    with pytest.raises(RunCancelled):
        share(progress, 0, 2)(1, 2, "inner")


@pytest.mark.parametrize(
    ("done", "total", "expected"), [(0, 10, None), (1, 0, None), (2, 10, 40.0), (10, 10, 0.0), (12, 10, 0.0)]
)
def test_eta(done, total, expected):
    assert eta_seconds(100.0, done, total, now=110.0) == expected


def test_eta_takes_the_clock_itself():
    assert eta_seconds(0.0, 1, 2) > 0
