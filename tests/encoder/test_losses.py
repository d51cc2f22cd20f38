"""The losses against loops that follow the equations literally, and their gradients against finite differences."""

import math

import pytest
import torch

from contrasim_core.encoder import losses
from contrasim_core.encoder.losses import equation3, positives_only, supcon
from contrasim_core.encoder.training import Units

TEMPERATURE = 0.2


@pytest.fixture
def positives():
    """3 layers of 4 models."""
    empty = tuple(tuple(torch.zeros(8, 2) for _ in range(4)) for _ in range(3))
    return Units(empty, tuple("abcd"), tuple("123")).positives


@pytest.fixture
def s(positives):
    generator = torch.Generator().manual_seed(0)
    raw = torch.rand(2, len(positives), len(positives), generator=generator, dtype=torch.float64) * 2 - 1
    return (raw + raw.transpose(1, 2)) / 2


def sets(positives, i):
    others = [a for a in range(len(positives)) if a != i]
    return others, [p for p in others if positives[i, p]], [n for n in others if not positives[i, n]]


def supcon_naive(s, positives, temperature):
    total = 0.0
    for i in range(len(s)):
        others, same, _ = sets(positives, i)
        for p in same:
            share = torch.exp(s[i, p] / temperature) / sum(torch.exp(s[i, a] / temperature) for a in others)
            total = total - torch.log(share) / len(same)
    return total / len(s)


def equation3_naive(s, positives, temperature):
    total = 0.0
    for i in range(len(s)):
        _, same, different = sets(positives, i)
        above = sum(torch.exp(s[i, p] / temperature) for p in same)
        below = sum(torch.exp(s[i, n] / temperature) for n in different)
        total = total - torch.log(above / below) / len(same)
    return total


def test_positives_are_the_same_layer_of_other_models(positives):
    for i in range(12):
        for j in range(12):
            assert bool(positives[i, j]) == (i // 4 == j // 4 and i != j)


@pytest.mark.parametrize(("loss", "naive"), [(supcon, supcon_naive), (equation3, equation3_naive)])
def test_loss_and_gradient_match_a_naive_loop(loss, naive, s, positives):
    fast, slow = s.clone().requires_grad_(), s.clone().requires_grad_()
    values = loss(fast, positives, TEMPERATURE)
    expected = torch.stack([naive(item, positives, TEMPERATURE) for item in slow])
    torch.testing.assert_close(values, expected, rtol=1e-12, atol=0)
    values.sum().backward()
    expected.sum().backward()
    assert bool(torch.isfinite(fast.grad).all())
    torch.testing.assert_close(fast.grad, slow.grad, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("loss", [supcon, equation3])
def test_gradient_matches_finite_differences(loss, s, positives):
    assert torch.autograd.gradcheck(lambda x: loss(x, positives, TEMPERATURE), s.clone().requires_grad_())


def test_the_two_readings_of_the_loss_are_not_the_same(s, positives):
    first, second = supcon(s, positives, TEMPERATURE), equation3(s, positives, TEMPERATURE) / len(positives)
    assert (first - second).abs().min() > 0.1


@pytest.mark.parametrize("models", [2, 4])
def test_supcon_ends_at_log_of_the_number_of_positives_and_equation3_below_zero(models):
    """Perfect similarities: 1 within a layer, -1 across; the published loss has a floor, equation 3 has none."""
    layer = torch.arange(3).repeat_interleave(models)
    perfect = torch.where(layer[:, None] == layer[None, :], 1.0, -1.0)[None]
    mask = (layer[:, None] == layer[None, :]) & ~torch.eye(len(layer), dtype=torch.bool)
    assert float(supcon(perfect, mask, 0.07)) == pytest.approx(math.log(models - 1), abs=1e-4)
    assert float(equation3(perfect, mask, 0.07)) < -10


def test_losses_stay_finite_where_exponentials_would_overflow(s, positives):
    for loss in (supcon, equation3):
        assert bool(torch.isfinite(loss(s.float(), positives, 1e-3)).all())


def test_positives_only_is_minus_the_mean_similarity_of_positive_pairs(s, positives):
    pairs = [(i, j) for i in range(12) for j in range(12) if positives[i, j]]
    expected = [-sum(float(item[i, j]) for i, j in pairs) / len(pairs) for item in s]
    assert positives_only(s, positives).tolist() == pytest.approx(expected, rel=1e-12)


def test_positives_only_has_no_pull_on_negative_pairs(s, positives):
    """What sets DeepDot and DeepCKA apart: other layers may come as near as they like."""
    x = s.clone().requires_grad_()
    positives_only(x, positives).sum().backward()
    assert bool((x.grad[:, ~positives] == 0).all())
    assert bool((x.grad[:, positives] < 0).all())
    y = s.clone().requires_grad_()
    supcon(y, positives, TEMPERATURE).sum().backward()
    off = ~positives & ~torch.eye(12, dtype=torch.bool)
    assert bool((y.grad[:, off] > 0).all())


@pytest.mark.parametrize("alike", ["dot", "norm"])
@pytest.mark.parametrize("loss", ["supcon", "eq3"])
@pytest.mark.parametrize("floats", [2**18, 7 * 24, 24, 1])
def test_contrast_of_pairs_is_the_general_loss_and_its_gradient(loss, alike, floats, monkeypatch):
    """However many encoders and rows are looked at together, and with a row that is equal to its partner."""
    monkeypatch.setattr(losses, "BLOCK_FLOATS", floats)
    raw = torch.randn(3, 24, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    raw[1, 15] = raw[1, 3]
    z = torch.nn.functional.normalize(raw, dim=2)
    fast, slow = z.clone().requires_grad_(), z.clone().requires_grad_()
    values = losses.paired_contrast(fast, loss, TEMPERATURE, alike)
    cosines = slow @ slow.transpose(1, 2)
    s = 1 - (2 - 2 * cosines).clamp(min=1e-6).sqrt() if alike == "norm" else cosines
    partners = torch.eye(24, dtype=torch.bool).roll(12, 0)
    expected = {"supcon": supcon, "eq3": equation3}[loss](s, partners, TEMPERATURE)
    torch.testing.assert_close(values, expected, rtol=1e-12, atol=1e-12)
    scale = torch.tensor([1.0, 2.0, -0.5], dtype=torch.float64)
    (values * scale).sum().backward()
    (expected * scale).sum().backward()
    torch.testing.assert_close(fast.grad, slow.grad, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("loss", ["supcon", "eq3"])
def test_contrast_of_pairs_stands_a_small_temperature(loss):
    z = torch.nn.functional.normalize(torch.randn(2, 12, 40, generator=torch.Generator().manual_seed(0)), dim=2)
    z.requires_grad_()
    values = losses.paired_contrast(z, loss, 0.001)
    values.sum().backward()
    assert bool(torch.isfinite(values).all() and torch.isfinite(z.grad).all())
