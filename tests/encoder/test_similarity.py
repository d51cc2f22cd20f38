"""Scores of batches of encodings against loops over their rows, and the same numbers from the finished measures."""

import numpy as np
import pytest
import torch

from contrasim_core.encoder import measures
from contrasim_core.encoder.spec import ENCODER_KINDS
from contrasim_core.encoder.training import layer_accuracy
from contrasim_core.measure import cka, rowwise


@pytest.fixture
def z():
    """2 encoders, 5 batches, 9 rows of length 1 and width 4."""
    raw = torch.randn(2, 5, 9, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return torch.nn.functional.normalize(raw, dim=3)


def dot_naive(a, b):
    """Equation 2."""
    return sum(float(sum(a[i, k] * b[i, k] for k in range(a.shape[1]))) for i in range(len(a))) / len(a)


def norm_naive(a, b):
    """Equations 9 and 10."""
    return sum(1 - float(torch.sqrt(sum((a[i] - b[i]) ** 2))) for i in range(len(a))) / len(a)


def cka_naive(a, b):
    h = torch.eye(len(a), dtype=a.dtype) - 1 / len(a)
    k, m = h @ a @ a.T @ h, h @ b @ b.T @ h
    return float((k * m).sum() / ((k * k).sum() * (m * m).sum()).sqrt())


SCORES = [
    (rowwise.trained_dot, rowwise.encoded_dot, dot_naive),
    (rowwise.trained_norm, rowwise.encoded_norm, norm_naive),
    (cka.trained, cka.encoded, cka_naive),
]


@pytest.mark.parametrize(("score", "measure", "naive"), SCORES, ids=["dot", "norm", "cka"])
def test_training_score_and_finished_measure_match_a_naive_loop(score, measure, naive, z):
    found = score(z)
    for e in range(2):
        for i in range(5):
            for j in range(5):
                if i != j:
                    expected = naive(z[e, i], z[e, j])
                    assert float(found[e, i, j]) == pytest.approx(expected, abs=1e-9)
                    assert measure((z[e, i], z[e, j])) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("kind", ENCODER_KINDS)
def test_what_is_trained_is_what_is_scored(kind, z):
    """Training and measure use the same score for each kind."""
    spec = next(spec for spec in measures.LEARNED if spec.id == kind)
    trained = float(measures.training_score(kind)(z)[0, 0, 1])
    assert spec.score((z[0, 0], z[0, 1])) == pytest.approx(trained, abs=1e-9)


@pytest.mark.parametrize("kind", ENCODER_KINDS)
def test_grids_of_encodings_match_pair_by_pair(kind, z):
    spec = measures.learned_measure(kind, lambda rows, _name, _anchors: rows, frozenset())
    rows, columns = list(z[0]), list(z[1])
    for name, (values, null) in spec.family.bulk([spec], rows, columns).items():
        assert name == kind
        assert null is None
        expected = [[spec.score((a, b)) for b in columns] for a in rows]
        np.testing.assert_allclose(values, expected, atol=1e-9)


def test_the_norm_score_has_a_finite_slope_where_rows_coincide():
    z = torch.nn.functional.normalize(torch.ones(1, 2, 3, 4), dim=3).requires_grad_()
    rowwise.trained_norm(z).sum().backward()
    assert bool(torch.isfinite(z.grad).all())


def accuracy_naive(s, models):
    """Sorted as layer 0 of all models, layer 1 of all models, ..."""
    layers, wins, trials = len(s) // models, 0, 0
    for a in range(models):
        for b in range(models):
            for layer in range(layers if a != b else 0):
                row = [float(s[layer * models + a, other * models + b]) for other in range(layers)]
                wins += row.count(max(row)) == 1 and row.index(max(row)) == layer
                trials += 1
    return wins / trials


@pytest.mark.parametrize(("models", "layers"), [(2, 3), (4, 3), (3, 6)])
def test_held_out_accuracy_matches_a_naive_loop(models, layers):
    generator = torch.Generator().manual_seed(models)
    s = torch.rand(models * layers, models * layers, generator=generator)
    same = torch.arange(layers).repeat_interleave(models)
    s += 0.3 * (same[:, None] == same[None, :])
    s = (s * 10).round() / 10  # some ties
    found = layer_accuracy(s, models)
    assert found == pytest.approx(accuracy_naive(s, models))
    assert 0 < found < 1


def test_held_out_accuracy_of_a_constant_score_is_zero():
    assert layer_accuracy(torch.ones(12, 12), 3) == 0
    assert layer_accuracy(torch.eye(4).repeat_interleave(3, 0).repeat_interleave(3, 1), 3) == 1
