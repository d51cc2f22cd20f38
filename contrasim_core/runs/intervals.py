"""Intervals for shares of won trials, when trials that share a model are not independent."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

Z = float(ndtri(0.975))


LEAST_UNITS = 5


def wilson(share: float, trials: float) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of a share; `trials` may be an effective number and not an integer."""
    centre = share + Z**2 / (2 * trials)
    margin = Z * math.sqrt(share * (1 - share) / trials + Z**2 / (4 * trials**2))
    scale = 1 + Z**2 / trials
    return max(0.0, min(share, (centre - margin) / scale)), min(1.0, max(share, (centre + margin) / scale))


def pair_interval(wins: NDArray[np.bool_], pairs: Sequence[tuple[int, int]], *, disjoint: bool) -> tuple[float, float]:
    """Return the 95 % interval of the share of won trials when trials that share a model are not independent.

    The variance is a delete-one jackknife over models (over pairs, if those share no model), as in Kornblith et al.
    2019, Table 2. It yields an effective number of independent trials, n_eff = p (1 - p) / variance, capped at the
    actual number and reduced for its own uncertainty by (z / t(units - 1))^2 (Korn & Graubard 1998), and with it a
    Wilson interval. At p = 0 or 1, or with fewer than 5 units, that variance is uninformative: n_eff is then the
    number of trials that disjoint pairs would have.

    Args:
        wins: [pairs, trials per pair].
        pairs: the two models of each pair.
        disjoint: whether no model is in two pairs.
    """
    share, trials = float(wins.mean()), wins.size
    models = sorted({model for pair in pairs for model in pair})
    independent = wins.shape[1] * max(1, len(models) // 2)
    units = [{index} for index in range(len(pairs))] if disjoint else [_touching(pairs, model) for model in models]
    if share in (0.0, 1.0) or len(units) < LEAST_UNITS:
        return wilson(share, min(trials, independent))
    left_out = [wins[[i for i in range(len(pairs)) if i not in unit]] for unit in units]
    values = np.array([part.mean() for part in left_out])
    count = len(units)
    variance = (count - 1) / count * float(np.square(values - values.mean()).sum())
    effective = min(trials, share * (1 - share) / variance) if variance > 0 else trials
    return wilson(share, max(1.0, effective * (Z / float(stdtrit(count - 1, 0.975))) ** 2))


def unit_interval(shares: NDArray[np.float64], each: int) -> tuple[float, float]:
    """Return the 95 % interval of a mean over independent units, such as batches, each with a share of won trials.

    The variance between units yields an effective number of trials, capped at the actual number, and with it a Wilson
    interval, as in `pair_interval`. If fewer than 5 units differ from the others, that variance is uninformative: the
    number of units is then used as the number of trials, as if all trials of a unit were one.

    Args:
        shares: [units], the share of each unit's trials that were won.
        each: number of trials per unit.
    """
    mean, count = float(shares.mean()), len(shares)
    commonest = int(np.unique(shares, return_counts=True)[1].max())
    if count - commonest < LEAST_UNITS:
        return wilson(mean, count)
    variance = float(shares.var(ddof=1)) / count
    effective = min(count * each, mean * (1 - mean) / variance)
    return wilson(mean, max(1.0, effective * (Z / float(stdtrit(count - 1, 0.975))) ** 2))


def _touching(pairs: Sequence[tuple[int, int]], model: int) -> set[int]:
    return {index for index, pair in enumerate(pairs) if model in pair}
