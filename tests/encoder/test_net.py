"""Encoders side by side are the same as encoders one by one."""

import pytest
import torch

from contrasim_core.encoder.net import StackedEncoder, encode, widths


def naive(weights, x):
    """A multilayer perceptron from torch.nn, filled with one encoder's weights."""
    layers = []
    for i in range(len(weights) // 2):
        inputs, outputs = weights[f"weight.{i}"].shape
        linear = torch.nn.Linear(inputs, outputs)
        with torch.no_grad():
            linear.weight.copy_(weights[f"weight.{i}"].T)
            linear.bias.copy_(weights[f"bias.{i}"][0])
        layers += [linear, torch.nn.ReLU()]
    with torch.no_grad():
        out = torch.nn.Sequential(*layers[:-1])(x)
    return out / out.norm(dim=1, keepdim=True)


def test_stack_single_and_torch_modules_agree():
    net = StackedEncoder(7, (6, 5), 4, (0, 3))
    x = torch.randn(2, 9, 7, generator=torch.Generator().manual_seed(0))
    z = net(x)
    assert z.shape == (2, 9, 4)
    for e in range(2):
        weights = net.single(e)
        torch.testing.assert_close(z[e], encode(weights, x[e]))
        torch.testing.assert_close(z[e], naive(weights, x[e]))


def test_rows_have_length_one():
    z = StackedEncoder(7, (), 4, (0,))(torch.randn(1, 9, 7, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(z.norm(dim=2), torch.ones(1, 9))


def test_an_encoder_starts_the_same_whatever_its_companions():
    alone, among = StackedEncoder(7, (6,), 4, (5,)), StackedEncoder(7, (6,), 4, (1, 5, 9))
    for name, value in alone.single(0).items():
        assert torch.equal(value, among.single(1)[name])
        assert not torch.equal(value, among.single(0)[name])


def test_weights_start_as_those_of_torch_linear_layers_do():
    """Uniform within 1/sqrt(inputs), weights and biases."""
    weights = StackedEncoder(400, (100,), 50, (0,)).single(0)
    for i, inputs in ((0, 400), (1, 100)):
        for name in (f"weight.{i}", f"bias.{i}"):
            assert float(weights[name].abs().max()) <= inputs**-0.5
            assert float(weights[name].abs().max()) > 0.9 * inputs**-0.5
        assert float(weights[f"weight.{i}"].std()) == pytest.approx((3 * inputs) ** -0.5, rel=0.02)


def test_weights_taken_out_are_copies():
    net = StackedEncoder(3, (), 2, (0,))
    net.single(0)["weight.0"].zero_()
    assert float(net.single(0)["weight.0"].abs().sum()) > 0


def test_each_width_has_a_first_layer_of_its_own_and_shares_the_rest():
    net = StackedEncoder((3, 7), (6, 5), 4, (0, 3))
    random = torch.Generator().manual_seed(0)
    narrow, wide = torch.randn(2, 4, 3, generator=random), torch.randn(2, 9, 7, generator=random)
    z = net(narrow, wide)
    assert z.shape == (2, 13, 4)
    for e in range(2):
        weights = net.single(e)
        assert widths(weights) == (3, 7)
        assert sorted(weights) == sorted(
            [f"{kind}.{name}" for kind in ("weight", "bias") for name in ("0.3", "0.7", "1", "2")]
        )
        for x, rows in ((narrow, slice(0, 4)), (wide, slice(4, 13))):
            shared = {name.replace(f".0.{x.shape[2]}", ".0"): value for name, value in weights.items()}
            whole = {name: value for name, value in shared.items() if name.count(".") == 1}
            torch.testing.assert_close(z[e, rows], naive(whole, x[e]))
            torch.testing.assert_close(z[e, rows], encode(weights, x[e]))
