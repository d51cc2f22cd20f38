"""Which samples two layers agree on."""

import numpy as np
import pytest
import torch

from contrasim_core.measure.agreement import sample_agreement
from contrasim_core.measure.closed_form import closed_form


def naive(x, y):
    n = len(x)
    x, y = x - x.mean(0), y - y.mean(0)
    rows = []
    for i in range(n):
        k = np.array([x[i] @ x[j] for j in range(n)])
        l = np.array([y[i] @ y[j] for j in range(n)])  # noqa: E741
        rows.append(k @ l / np.sqrt((k @ k) * (l @ l)))
    return np.array(rows)


def test_agreement_matches_its_twin(layers):
    xs, ys = layers(30, [4, 6]), layers(30, [5, 3, 4], seed=1)
    found = sample_agreement([torch.tensor(x) for x in xs], [torch.tensor(y) for y in ys])
    assert found.shape == (2, 3, 30)
    assert found.dtype == np.float32
    for i, x in enumerate(xs):
        for j, y in enumerate(ys):
            np.testing.assert_allclose(found[i, j], naive(x, y), atol=1e-6)


def test_only_the_first_samples_are_looked_at(layers):
    x, y = map(torch.tensor, layers(30, [4, 6]))
    found = sample_agreement([x], [y], limit=12)
    assert found.shape == (1, 1, 12)
    np.testing.assert_allclose(found[0, 0], naive(x.numpy()[:12], y.numpy()[:12]), atol=1e-6)


def test_the_weighted_mean_is_linear_cka(layers):
    x, y = layers(40, [4, 6])
    found = sample_agreement([torch.tensor(x)], [torch.tensor(y)])[0, 0]
    k, l = (np.linalg.norm((c := v - v.mean(0)) @ c.T, axis=1) for v in (x, y))  # noqa: E741
    weighted = (found * k * l).sum() / (np.linalg.norm(k) * np.linalg.norm(l))
    assert weighted == pytest.approx(closed_form("cka.linear")(x, y), abs=1e-6)


def test_a_sample_that_moved_is_the_one_that_disagrees(layers):
    (x,) = layers(40, [6])
    y = x.copy()
    y[7] = -3 * x[7]
    found = sample_agreement([torch.tensor(x)], [torch.tensor(y)])[0, 0]
    assert found.argmin() == 7
    np.testing.assert_allclose(sample_agreement([torch.tensor(x)], [torch.tensor(x)]), 1, atol=1e-6)


def test_layers_without_variance_are_nan(layers):
    (x,) = map(torch.tensor, layers(20, [4]))
    found = sample_agreement([x, x * 0 + 1], [x])
    assert np.isfinite(found[0]).all() and np.isnan(found[1]).all()
