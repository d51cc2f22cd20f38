"""Nearest rows are those a plain search finds; never the query, never a copy of it."""

import numpy as np
import pytest
import torch

from contrasim_core.errors import SpecError
from contrasim_core.neighbours.search import MISSING, Search, nearest, neighbours_of


def rows(n=60, d=5, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def naive(values, k, metric="l2", groups=None):
    """One query at a time, by sorting all distances."""
    found = np.full((len(values), k), MISSING)
    for i, query in enumerate(values):
        if not torch.isfinite(query).all():
            continue
        candidates = []
        for j, other in enumerate(values):
            same = torch.equal(query, other) or (groups is not None and groups[i] == groups[j])
            if i != j and not same and torch.isfinite(other).all():
                score = float(((query - other) ** 2).sum()) if metric == "l2" else -float(query @ other)
                candidates.append((score, j))
        best = [j for _, j in sorted(candidates)[:k]]
        found[i, : len(best)] = best
    return found


@pytest.mark.parametrize("metric", ["l2", "ip"])
def test_equal_to_a_search_by_brute_force(metric):
    values = rows()
    found = nearest(values, 7, search=Search(metric=metric))
    np.testing.assert_array_equal(found, naive(values, 7, metric))


def test_copies_of_the_query_are_no_neighbours_even_where_the_copy_comes_first():
    values = rows()
    values[40] = values[3]
    values[50] = values[3]
    found = nearest(values, 7)
    np.testing.assert_array_equal(found, naive(values, 7))
    assert not set(found[3]) & {3, 40, 50}
    assert not set(found[50]) & {3, 40, 50}


def test_rows_declared_to_be_the_same_are_no_neighbours():
    values = rows()
    groups = np.arange(60)
    groups[10:20] = 10
    found = nearest(values, 7, groups=groups)
    np.testing.assert_array_equal(found, naive(values, 7, groups=groups))
    assert not any(set(found[i]) & set(range(10, 20)) for i in range(10, 20))


def test_copies_and_declared_sameness_are_one_relation():
    """0 is declared to be 1, and 2 is a copy of 1: none of the three may be chosen for another."""
    values = rows(12)
    values[2] = values[1]
    groups = np.arange(12)
    groups[1] = groups[0]
    found = nearest(values, 11, groups=groups)
    assert not set(found[0]) & {0, 1, 2}
    assert not set(found[2]) & {0, 1, 2}


def test_rows_with_nan_have_no_neighbours_and_are_nobodys():
    values = rows()
    values[5, 2] = float("nan")
    values[6, 0] = float("inf")
    found = nearest(values, 7)
    assert (found[[5, 6]] == MISSING).all()
    assert not np.isin(found, [5, 6]).any()
    np.testing.assert_array_equal(found, naive(values, 7))


def test_a_small_pool_leaves_places_empty():
    found = nearest(rows(4), 10)
    assert (found[:, :3] >= 0).all()
    assert (found[:, 3:] == MISSING).all()
    assert (nearest(rows(1), 3) == MISSING).all()


def test_an_inverted_file_finds_most_of_what_is_exact():
    values = rows(3000, 8)
    exact, fast = nearest(values, 10), nearest(values, 10, search=Search(index="ivf"))
    shared = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact, fast, strict=True)])
    assert shared > 0.7
    assert not (fast == np.arange(3000)[:, None]).any()


def test_what_cannot_be_searched_is_said():
    with pytest.raises(SpecError, match=r"k is 0\. It must be 1 or more"):
        nearest(rows(), 0)
    with pytest.raises(SpecError, match=r"The installed FAISS is the CPU build, without GPU support\."):
        nearest(rows(), 3, search=Search(gpu=True))


@pytest.mark.parametrize("case", ["far from the origin", "one large column"])
def test_distances_are_right_where_the_mean_is_a_thousand_times_the_spread(case):
    """FAISS takes distances from products in float32: rows must come to it centred."""
    values = rows(2000, 128)
    values = values + 1000 if case.startswith("far") else torch.cat([values / 50, torch.full((2000, 1), 300.0)], 1)
    wide = values.double()
    expected = torch.cdist(wide, wide).fill_diagonal_(torch.inf).argsort(1)[:, :10].numpy()
    assert (nearest(values, 10) == expected).mean() > 0.999


def test_layers_are_searched_each_by_itself():
    layers = [rows(seed=0), rows(seed=1)]
    found = neighbours_of(layers, 4)
    assert found.shape == (2, 60, 4) and found.dtype == np.int32
    for layer, part in zip(layers, found, strict=True):
        np.testing.assert_array_equal(part, nearest(layer, 4))
