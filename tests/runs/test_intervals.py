"""Intervals of shares: the formula, the edges, and how often they hold the truth when trials hang together."""

import itertools
import math

import numpy as np
import pytest

from contrasim_core.runs.intervals import pair_interval, wilson


def wilson_by_root(share, trials):
    """The p with |share - p| = z sqrt(p (1 - p) / n), by bisection."""
    z = 1.959963984540054

    def crossing(inside, outside):
        for _ in range(200):
            middle = (inside + outside) / 2
            if abs(share - middle) <= z * math.sqrt(middle * (1 - middle) / trials):
                inside = middle
            else:
                outside = middle
        return inside

    return crossing(share, 0.0), crossing(share, 1.0)


@pytest.mark.parametrize(("share", "trials"), [(0.5, 10), (0.9, 60), (0.01, 300), (0.3, 7.5)])
def test_wilson_solves_its_equation(share, trials):
    assert wilson(share, trials) == pytest.approx(wilson_by_root(share, trials), abs=1e-9)


def test_wilson_known_values():
    """Newcombe 1998, table I: 81/263, 15/148, 0/20, 1/29, to four places."""
    known = {(81, 263): (0.2553, 0.3662), (15, 148): (0.0624, 0.1605), (0, 20): (0, 0.1611), (1, 29): (0.0061, 0.1718)}
    for (wins, trials), interval in known.items():
        assert wilson(wins / trials, trials) == pytest.approx(interval, abs=5e-5)


@pytest.mark.parametrize("trials", [1, 2.5, 60])
def test_wilson_stays_within_0_and_1_and_is_never_a_point(trials):
    low, high = wilson(0.0, trials)
    assert (low, high) == (0.0, pytest.approx(1.959963984540054**2 / (trials + 1.959963984540054**2)))
    assert wilson(1.0, trials) == (pytest.approx(1 - high), 1.0)


ALL = list(itertools.permutations(range(8), 2))
DISJOINT = [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (10, 11)]


def test_all_won_or_all_lost_counts_the_trials_of_disjoint_pairs():
    """56 ordered pairs of 8 models with 5 layers hold no more than 4 x 5 independent trials."""
    won = np.ones((56, 5), dtype=bool)
    assert pair_interval(won, ALL, disjoint=False) == wilson(1.0, 20)
    assert pair_interval(~won, ALL, disjoint=False) == wilson(0.0, 20)
    assert pair_interval(won[:6], DISJOINT, disjoint=True) == wilson(1.0, 30)


def test_few_models_count_the_trials_of_disjoint_pairs():
    """Three models: one disjoint pair, whatever the six ordered pairs seem to say."""
    wins = np.random.default_rng(0).random((6, 10)) < 0.5
    pairs = list(itertools.permutations(range(3), 2))
    assert pair_interval(wins, pairs, disjoint=False) == wilson(float(wins.mean()), 10)


def test_trials_that_hang_together_widen_the_interval():
    """The same wins, spread over the models or concentrated on some."""
    spread = np.tile([True, False], (56, 5))
    bad = {0, 1, 2, 3}
    hanging = np.array([[a not in bad] * 10 for a, _ in ALL])
    assert spread.mean() == hanging.mean() == 0.5
    narrow, wide = (pair_interval(wins, ALL, disjoint=False) for wins in (spread, hanging))
    assert wide[1] - wide[0] > 3 * (narrow[1] - narrow[0])


@pytest.mark.parametrize("disjoint", [True, False])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(disjoint):
    """Models have a skill of their own, so that trials hang together; 95 % within the error of 400 simulations."""
    random = np.random.default_rng(3)
    models = 12 if disjoint else 8
    pairs = DISJOINT if disjoint else ALL
    held, naive = 0, 0
    for _ in range(400):
        skill = random.beta(3, 2, size=models)  # the mean chance to win is 0.6
        chance = np.array([(skill[a] + skill[b]) / 2 for a, b in pairs])
        wins = random.random((len(pairs), 6)) < chance[:, None]
        low, high = pair_interval(wins, pairs, disjoint=disjoint)
        held += low <= 0.6 <= high
        low, high = wilson(wins.mean(), wins.size)
        naive += low <= 0.6 <= high
    assert 0.92 <= held / 400 <= 1
    assert naive < held


@pytest.mark.parametrize("trials", [3, 7, 20, 60, 200, 999])
def test_an_interval_contains_its_own_share(trials):
    """To the last bit, or an error bar would have a negative length."""
    for wins in {0, 1, trials // 2, trials - 1, trials}:
        low, high = wilson(wins / trials, trials)
        assert 0 <= low <= wins / trials <= high <= 1
