"""Every option of an encoder reaches both kinds of training, and does there what its description says.

One step is enough to see most of them: the first loss is that of the initial weights, and Adam's first step moves
each weight by the learning rate, against the sign of its gradient.
"""

import math
from dataclasses import fields

import pytest
import torch

from contrasim_core.encoder import paired, training
from contrasim_core.encoder.loop import Split
from contrasim_core.encoder.net import StackedEncoder, encode
from contrasim_core.encoder.paired import Sides, train_pairs
from contrasim_core.encoder.spec import EncoderSpec
from contrasim_core.encoder.training import Units, train
from tests.networks import matrices

ROWS = 40
ONE_STEP = EncoderSpec(hidden=(16, 12), out_dim=8, batch_rows=ROWS, epochs=1, anchors=10, held_out=0.0)
NETWORKS = [matrices(number, n=ROWS, layers=2) for number in range(2)]
UNITS = Units(tuple(zip(*NETWORKS, strict=True)), ("a", "b"), ("0", "1"))
SIDES = Sides(tuple((network[0],) for network in NETWORKS), ("a", "b"))
TRAINERS = {
    "layers": lambda spec, seed=0: train(UNITS, spec, (seed,))[0],
    "pairs": lambda spec, seed=0: train_pairs(SIDES, spec, [(0, 1)], (seed,))[0],
}
CHECKED = {
    "hidden": (7, 9, 5), "out_dim": 3, "loss": "eq3", "temperature": 0.5, "learning_rate": 0.004, "weight_decay": 1e6,
    "batch_rows": 10, "epochs": 4, "anchors": 6, "held_out": 0.5, "seed": 3, "encoder": "deepdot",
}  # fmt: skip
"""For each option a value that is not its default; each has a test below."""
both_kinds = pytest.mark.parametrize("kind", TRAINERS)


def initial(spec, seed=0, width=12):
    return StackedEncoder([width], spec.hidden, spec.out_dim, [seed]).single(0)


def similarity(u, v, encoder):
    """Of two rows, or of two batches of rows, written out."""
    pairs = list(zip(u, v, strict=True))
    if encoder == "contrasim.norm":
        return sum(1 - float((a - b).norm()) for a, b in pairs) / len(pairs)
    return sum(float(a @ b) for a, b in pairs) / len(pairs)


def expected_loss(kind, spec, seed=0):
    """The loss of the initial weights on all rows, written out example by example."""
    weights = initial(spec, seed)
    if kind == "layers":
        units = [encode(weights, layer) for pair in UNITS.matrices for layer in pair]  # layer by layer
        partner = [1, 0, 3, 2]
    else:
        units = [encode(weights, side[0])[row : row + 1] for side in SIDES.matrices for row in range(ROWS)]
        partner = [*range(ROWS, 2 * ROWS), *range(ROWS)]
    s = [[similarity(u, v, spec.encoder) for v in units] for u in units]
    if spec.encoder == "deepdot":
        return -sum(s[i][partner[i]] for i in range(len(units))) / len(units)
    losses = []
    for i, own in enumerate(partner):
        left_out = (i,) if spec.loss == "supcon" else (i, own)
        others = sum(math.exp(s[i][j] / spec.temperature) for j in range(len(units)) if j not in left_out)
        losses.append(math.log(others) - s[i][own] / spec.temperature)
    return sum(losses) / (len(units) if spec.loss == "supcon" else 1)


def batches(kind, spec, monkeypatch):
    """Rows of each training step."""
    owner = {"layers": training.LayerTraining, "pairs": paired.PairTraining}[kind]
    original, found = owner._loss, []

    def spy(self, z):
        found.append(z.shape[2] if kind == "layers" else z.shape[1] // 2)
        return original(self, z)

    monkeypatch.setattr(owner, "_loss", spy)
    TRAINERS[kind](spec)
    return found


def moves(trained, spec):
    """How far each weight has moved from where it started."""
    return {name: trained.weights[name] - value for name, value in initial(spec).items()}


def test_every_option_is_tested_here_at_another_value():
    defaults = EncoderSpec()
    assert set(CHECKED) == {item.name for item in fields(EncoderSpec)}
    for name, value in CHECKED.items():
        assert getattr(defaults, name) != value and getattr(ONE_STEP, name) != value


@both_kinds
@pytest.mark.parametrize("encoder", ["contrasim", "contrasim.norm"])
@pytest.mark.parametrize("loss", ["supcon", "eq3"])
@pytest.mark.parametrize("temperature", [0.05, 0.07, 0.14, 0.5, 2.0])
def test_temperature_loss_and_kind_are_those_of_the_first_step(kind, encoder, loss, temperature):
    spec = ONE_STEP.replace(encoder=encoder, loss=loss, temperature=temperature)
    assert TRAINERS[kind](spec).curve.loss == pytest.approx((expected_loss(kind, spec),), rel=1e-4, abs=1e-4)


@both_kinds
def test_positives_alone_are_trained_on_where_the_kind_says_so(kind):
    spec = ONE_STEP.replace(encoder=CHECKED["encoder"])
    assert TRAINERS[kind](spec).curve.loss[0] == pytest.approx(expected_loss(kind, spec), rel=1e-5)


@both_kinds
@pytest.mark.parametrize("loss", ["supcon", "eq3"])
def test_temperature_reaches_the_gradient(kind, loss):
    """Not only the curve: after some steps the weights are others."""
    spec = ONE_STEP.replace(epochs=10, loss=loss)
    cold, warm = (TRAINERS[kind](spec.replace(temperature=value)) for value in (0.07, CHECKED["temperature"]))
    assert max(float((cold.weights[name] - warm.weights[name]).abs().max()) for name in cold.weights) > 1e-3


@both_kinds
def test_hidden_and_out_dim_are_the_widths_of_the_network(kind):
    spec = ONE_STEP.replace(hidden=CHECKED["hidden"], out_dim=CHECKED["out_dim"])
    shapes = [tuple(TRAINERS[kind](spec).weights[f"weight.{place}"].shape) for place in range(4)]
    assert shapes == [(12, 7), (7, 9), (9, 5), (5, 3)]


@both_kinds
@pytest.mark.parametrize("rate", [0.001, CHECKED["learning_rate"]])
def test_learning_rate_is_the_length_of_the_first_step(kind, rate):
    spec = ONE_STEP.replace(learning_rate=rate)
    longest = max(float(move.abs().max()) for move in moves(TRAINERS[kind](spec), spec).values())
    assert longest == pytest.approx(rate, rel=1e-3)


@both_kinds
def test_weight_decay_pulls_weights_to_zero(kind):
    """Without it, about half of the weights move away from zero; so much of it leaves the gradient without a say."""
    outward = {}
    for decay in (0.0, CHECKED["weight_decay"]):
        spec = ONE_STEP.replace(weight_decay=decay)
        start = initial(spec)["weight.0"]
        outward[decay] = float((moves(TRAINERS[kind](spec), spec)["weight.0"] * start > 0).float().mean())
    assert outward[0.0] > 0.3
    assert outward[CHECKED["weight_decay"]] == 0


@both_kinds
def test_batch_rows_are_the_rows_of_a_step(kind, monkeypatch):
    assert batches(kind, ONE_STEP.replace(batch_rows=CHECKED["batch_rows"]), monkeypatch) == [10] * 4


@both_kinds
def test_epochs_are_passes_over_the_rows(kind, monkeypatch):
    spec = ONE_STEP.replace(epochs=CHECKED["epochs"])
    assert len(TRAINERS[kind](spec).curve.loss) == 4
    assert batches(kind, spec, monkeypatch) == [ROWS] * 4


@both_kinds
def test_held_out_rows_are_kept_from_training_and_judged(kind, monkeypatch):
    spec = ONE_STEP.replace(held_out=CHECKED["held_out"])
    curve = TRAINERS[kind](spec).curve
    assert len(curve.accuracy) == 1
    assert curve.chance == pytest.approx(1 / 2 if kind == "layers" else 1 / 20)
    assert batches(kind, spec, monkeypatch) == [20]
    assert [len(Split.of(ROWS, ONE_STEP.replace(held_out=share)).held_out) for share in (0, 0.1, 0.5)] == [0, 4, 20]


@both_kinds
def test_anchors_are_what_the_relative_kind_reads(kind):
    spec = ONE_STEP.replace(encoder="contrasim.relative", anchors=CHECKED["anchors"])
    found = TRAINERS[kind](spec)
    assert len(set(found.anchors)) == 6
    assert found.weights["weight.0"].shape == (6, 16)


@both_kinds
def test_the_seed_is_that_of_the_encoder_not_of_the_options(kind):
    found = TRAINERS[kind](ONE_STEP, CHECKED["seed"])
    assert found.spec.seed == found.curve.seed == 3
    assert found.curve.loss[0] == pytest.approx(expected_loss(kind, ONE_STEP, seed=3), rel=1e-4)
    a, b = (TRAINERS[kind](ONE_STEP.replace(seed=seed)) for seed in (0, 3))
    assert all(torch.equal(a.weights[name], b.weights[name]) for name in a.weights)


@both_kinds
def test_the_seed_orders_the_samples(kind):
    """Weights that start alike would still see other batches first."""
    spec = ONE_STEP.replace(batch_rows=10)
    first = []
    for seed in (0, CHECKED["seed"]):
        made = (
            training.LayerTraining(UNITS, spec, (seed,), Split.of(ROWS, spec), torch.device("cpu"))
            if kind == "layers"
            else paired.PairTraining(SIDES, spec, [((0, 1), seed)], Split.of(ROWS, spec), torch.device("cpu"))
        )
        first.append(torch.randperm(ROWS, generator=made.generators[0]).tolist())
    assert first[0] != first[1]
