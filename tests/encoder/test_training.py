"""Seeds trained together are the seeds trained one by one, and training does what the kind of encoder says."""

import pytest
import torch

from contrasim_core.encoder import loop
from contrasim_core.encoder.loop import Split
from contrasim_core.encoder.net import encode, widths
from contrasim_core.encoder.spec import ENCODER_KINDS, EncoderSpec
from contrasim_core.encoder.training import LayerTraining, Units, train
from contrasim_core.errors import EncoderError, RunCancelled
from tests.networks import matrices

SMALL = {"hidden": (16, 12), "out_dim": 8, "batch_rows": 32, "epochs": 3, "anchors": 10}
every_kind = pytest.mark.parametrize("kind", ENCODER_KINDS)


def units(models=3, **options):
    networks = [matrices(network, **options) for network in range(models)]
    count = len(networks[0])
    return Units(tuple(zip(*networks, strict=True)), tuple("abcdef"[:models]), tuple(map(str, range(count))))


@pytest.fixture(scope="module")
def made():
    return units()


def difference(a, b):
    return max(float((a.weights[name] - b.weights[name]).abs().max()) for name in a.weights)


@every_kind
def test_seeds_trained_together_are_those_trained_one_after_another(kind, made):
    spec = EncoderSpec(encoder=kind, **SMALL)
    together = train(made, spec, (0, 4, 7))
    for found, seed in zip(together, (0, 4, 7), strict=True):
        (alone,) = train(made, spec, (seed,))
        assert found.spec == alone.spec == spec.replace(seed=seed)
        assert found.anchors == alone.anchors
        assert difference(found, alone) < 1e-4
        assert found.curve.loss == pytest.approx(alone.curve.loss, rel=1e-4)
    assert difference(together[0], together[1]) > 0.01


@every_kind
def test_a_seed_does_not_depend_on_its_companions(kind, made):
    spec = EncoderSpec(encoder=kind, **SMALL)
    first, second = train(made, spec, (3, 1))[1], train(made, spec, (8, 1))[1]
    assert difference(first, second) < 1e-5


@every_kind
def test_two_runs_are_equal_to_the_bit(kind, made):
    spec = EncoderSpec(encoder=kind, **SMALL)
    first, second = (train(made, spec, (0, 1)) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert difference(a, b) == 0
        assert a.anchors == b.anchors
        assert (a.curve.loss, a.curve.accuracy) == (b.curve.loss, b.curve.accuracy)


def test_training_leaves_the_global_random_state_alone(made):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    train(made, EncoderSpec(**SMALL), (0,))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("kind", ["contrasim", "contrasim.relative"])
def test_groups_that_fit_the_memory_give_the_same_encoders(kind, made, monkeypatch):
    spec = EncoderSpec(encoder=kind, **SMALL)
    whole = train(made, spec, (0, 1, 2))
    built = []
    original = loop.StackedEncoder

    def spy(*arguments):
        built.append(arguments[-1])
        return original(*arguments)

    monkeypatch.setattr(loop, "StackedEncoder", spy)
    monkeypatch.setattr(loop, "MEMORY_BUDGET", 2 * 4 * 12 * 32 * (16 + 12 + 2 * 8) * 3)
    reports = []
    parts = train(made, spec, (0, 1, 2), progress=lambda done, total, *_, **_facts: reports.append(done / total))
    assert built == [[0, 1], [2]]
    assert max(difference(a, b) for a, b in zip(whole, parts, strict=True)) < 1e-5
    assert reports == pytest.approx([done / 6 for done in range(1, 7)])
    built.clear()
    monkeypatch.setattr(loop, "MEMORY_BUDGET", 1)
    train(made, spec, (0, 1, 2))
    assert built == [[0], [1], [2]]


@pytest.mark.parametrize("loss", ["supcon", "eq3"])
@pytest.mark.parametrize("kind", ["contrasim", "contrasim.norm", "contrasim.relative"])
def test_contrast_learns_the_layers(kind, loss, made):
    spec = EncoderSpec(**{**SMALL, "encoder": kind, "loss": loss, "epochs": 20, "held_out": 0.3, "learning_rate": 1e-2})
    (found,) = train(made, spec, (0,))
    assert found.curve.chance == 0.25
    assert len(found.curve.loss) == len(found.curve.accuracy) == 20
    assert found.curve.loss[-1] < found.curve.loss[0]
    assert found.curve.accuracy[-1] > 0.9


@pytest.mark.parametrize("kind", ["deepdot", "deepcka"])
def test_positives_alone_bring_positives_together(kind, made):
    (found,) = train(made, EncoderSpec(**{**SMALL, "encoder": kind, "epochs": 20, "learning_rate": 1e-2}), (0,))
    assert found.curve.loss[-1] < found.curve.loss[0]
    assert -1 - 1e-5 <= found.curve.loss[-1] < -0.9


def test_deepdot_says_nothing_of_the_loss_option(made):
    """Its loss has no negatives, so the two readings of the contrastive loss are one."""
    a, b = (train(made, EncoderSpec(**SMALL, encoder="deepdot", loss=loss), (0,))[0] for loss in ("supcon", "eq3"))
    assert difference(a, b) == 0


def test_rows_held_out_are_not_trained_on():
    """Spoiling the held-out rows moves the held-out accuracy and nothing else."""
    clean, spoiled = units(), units()
    rows = Split.of(clean.rows, EncoderSpec(**SMALL)).held_out
    assert len(rows) == 9
    for matrix in spoiled.flat:
        matrix[rows] = torch.randn(len(rows), matrix.shape[1], generator=torch.Generator().manual_seed(0))
    a, b = (train(item, EncoderSpec(**SMALL), (0,))[0] for item in (clean, spoiled))
    assert difference(a, b) == 0
    assert a.curve.loss == b.curve.loss
    assert a.curve.accuracy != b.curve.accuracy


def test_anchors_are_training_rows_and_differ_by_seed(made):
    spec = EncoderSpec(**SMALL, encoder="contrasim.relative")
    first, second = train(made, spec, (0, 1))
    allowed = set(Split.of(made.rows, spec).train.tolist())
    for found in (first, second):
        assert len(set(found.anchors)) == 10
        assert set(found.anchors) <= allowed
    assert first.anchors != second.anchors
    assert train(made, EncoderSpec(**SMALL), (0,))[0].anchors == ()


def test_nothing_held_out_leaves_the_accuracy_curve_empty(made):
    assert train(made, EncoderSpec(**SMALL, held_out=0.0), (0,))[0].curve.accuracy == ()


def test_a_rest_of_a_few_rows_is_no_step():
    """35 rows in batches of 32: the last three say nothing."""
    losses = []
    training_ = LayerTraining(
        units(n=35),
        EncoderSpec(**SMALL, held_out=0.0),
        (0,),
        Split(torch.arange(35), torch.arange(0)),
        torch.device("cpu"),
    )
    original = training_._loss
    training_._loss = lambda z: losses.append(z.shape[2]) or original(z)
    training_.epoch()
    assert losses == [32]


def test_unequal_widths_get_a_head_each_and_relative_needs_one():
    mixed = Units(
        tuple(zip(matrices(0, width=12), matrices(1, width=7), strict=True)), ("a", "b"), tuple(map(str, range(4)))
    )
    (found,) = train(mixed, EncoderSpec(**SMALL, encoder="contrasim.relative"), (0,))
    assert found.weights["weight.0"].shape[0] == 10
    (plain,) = train(mixed, EncoderSpec(**SMALL), (0,))
    assert widths(plain.weights) == (7, 12)
    assert plain.weights["weight.0.12"].shape[0] == 12


def test_unequal_widths_keep_the_order_of_their_units():
    """Layers 0 and 2 are 12 wide, 1 and 3 are 7 wide: encodings must come back layer by layer, not width by width."""
    layers = [
        tuple(m[:, : 12 if i % 2 == 0 else 7] for m in pair)
        for i, pair in enumerate(zip(matrices(0), matrices(1), strict=True))
    ]
    mixed = Units(tuple(layers), ("a", "b"), tuple(map(str, range(4))))
    spec = EncoderSpec(**SMALL)
    training_ = LayerTraining(mixed, spec, (0, 3), Split.of(mixed.rows, spec), torch.device("cpu"))
    rows = [torch.arange(5), torch.arange(5, 10)]
    z = training_._encode(rows)
    for e in range(2):
        weights = training_.net.single(e)
        for place, matrix in enumerate(mixed.flat):
            torch.testing.assert_close(z[e, place], encode(weights, matrix[rows[e]].float()))


def test_too_little_to_train_on_is_said(made):
    with pytest.raises(EncoderError, match="2 or more models and 2 or more layers, not 1 and 4"):
        units(models=1)
    with pytest.raises(EncoderError, match="6 rows are too few to train on"):
        train(units(n=6), EncoderSpec(**SMALL), (0,))
    with pytest.raises(EncoderError, match=r"EncoderSpec\.anchors is 200, but there are only 87 training samples"):
        train(made, EncoderSpec(**{**SMALL, "encoder": "contrasim.relative", "anchors": 200}), (0,))


def test_training_stops_at_the_next_epoch_when_cancelled(made):
    seen = []

    def progress(done, total, message, **facts):
        seen.append((done / total, message, facts))
        raise RunCancelled("enough")

    with pytest.raises(RunCancelled, match="enough"):
        train(made, EncoderSpec(**SMALL), (0,), progress=progress)
    assert len(seen) == 1
    share, message, facts = seen[0]
    assert share == pytest.approx(1 / 3)
    assert "Training contrasim: epoch 1 of 3, held-out accuracy" in message
    assert facts["epoch"] == 1
