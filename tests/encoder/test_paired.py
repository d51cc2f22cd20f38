"""Encoders of pairs trained together are those trained one by one, and they learn what belongs together."""

import pytest
import torch

from contrasim_core.encoder.loop import Split
from contrasim_core.encoder.losses import supcon
from contrasim_core.encoder.net import encode, widths
from contrasim_core.encoder.paired import PairTraining, Sides, train_pairs
from contrasim_core.encoder.spec import ENCODER_KINDS, EncoderSpec
from contrasim_core.errors import EncoderError, RunCancelled
from tests.networks import matrices

SMALL = {"hidden": (16, 12), "out_dim": 8, "batch_rows": 32, "epochs": 3, "anchors": 10}
every_kind = pytest.mark.parametrize("kind", ENCODER_KINDS)


def sides(count=3, *, width=(12, 12, 12), **options):
    made = [tuple(matrices(number, layers=2, width=width[number], **options)) for number in range(count)]
    return Sides(tuple(made), tuple("abc"[:count]))


def difference(a, b):
    return max(float((a.weights[name] - b.weights[name]).abs().max()) for name in a.weights)


@every_kind
def test_pairs_and_seeds_trained_together_are_those_trained_one_after_another(kind):
    spec = EncoderSpec(encoder=kind, **SMALL)
    pairs, seeds = [(0, 1), (0, 2), (1, 2)], (0, 4)
    together = train_pairs(sides(), spec, pairs, seeds)
    assert len(together) == 6
    for number, (pair, seed) in enumerate((pair, seed) for pair in pairs for seed in seeds):
        (alone,) = train_pairs(sides(), spec, [pair], (seed,))
        assert together[number].anchors == alone.anchors
        assert together[number].spec == alone.spec == spec.replace(seed=seed)
        assert together[number].curve.loss == pytest.approx(alone.curve.loss, rel=1e-4)
        assert difference(together[number], alone) < 1e-4
    assert difference(together[0], together[2]) > 0.01


@every_kind
def test_unequal_widths_train_with_a_head_each(kind):
    spec = EncoderSpec(encoder=kind, **SMALL)
    mixed = sides(width=(12, 7, 12))
    found = train_pairs(mixed, spec, [(0, 1), (1, 2), (0, 2)], (0,))
    expected = [(10,)] * 3 if kind == "contrasim.relative" else [(7, 12), (7, 12), (12,)]
    assert [widths(item.weights) for item in found] == expected


def test_of_unequal_widths_each_side_keeps_its_place():
    spec = EncoderSpec(**SMALL)
    for width in ((12, 7, 5), (7, 12, 5)):
        mixed = sides(width=width)
        training = PairTraining(mixed, spec, [((0, 1), 0)], Split.of(mixed.rows, spec), torch.device("cpu"))
        rows = torch.arange(5)
        z = training._encode([rows], [1])[0]
        weights = training.net.single(0)
        torch.testing.assert_close(z[:5], encode(weights, mixed.matrices[0][1][rows].float()))
        torch.testing.assert_close(z[5:], encode(weights, mixed.matrices[1][1][rows].float()))


def test_the_loss_is_that_of_pairs_written_out():
    """NT-Xent: each row against all other rows of both sides, its partner the only positive."""
    spec = EncoderSpec(**SMALL)
    training = PairTraining(sides(), spec, [((0, 1), 0)], Split.of(96, spec), torch.device("cpu"))
    z = torch.nn.functional.normalize(torch.randn(1, 8, 5, generator=torch.Generator().manual_seed(0)), dim=2)
    total = 0.0
    for i in range(8):
        logits = [float(z[0, i] @ z[0, j]) / spec.temperature for j in range(8)]
        others = torch.tensor([value for j, value in enumerate(logits) if j != i])
        total += float(torch.logsumexp(others, 0)) - logits[(i + 4) % 8]
    assert float(training._loss(z)[0]) == pytest.approx(total / 8, rel=1e-5)
    positives = torch.zeros(8, 8, dtype=torch.bool)
    for i in range(8):
        positives[i, (i + 4) % 8] = True
    assert float(supcon(z @ z.transpose(1, 2), positives, spec.temperature)[0]) == pytest.approx(total / 8, rel=1e-5)


@pytest.mark.parametrize("kind", ["contrasim", "contrasim.norm", "contrasim.relative"])
def test_training_teaches_what_belongs_together(kind):
    spec = EncoderSpec(**{**SMALL, "epochs": 40, "anchors": 32}, encoder=kind)
    (found,) = train_pairs(sides(2, n=320), spec, [(0, 1)], (0,))
    assert found.curve.chance == pytest.approx(1 / 32)
    assert found.curve.accuracy[-1] > 0.5
    if kind != "contrasim.relative":  # which finds many at once: the anchors are the same samples on both sides
        assert found.curve.accuracy[0] < 0.3
    assert found.curve.loss[-1] < found.curve.loss[0]


def test_positives_alone_pull_all_rows_together():
    """DeepDot's optimum is a constant, which a benchmark that counts ties as misses does not reward."""
    spec = EncoderSpec(**{**SMALL, "epochs": 60, "learning_rate": 1e-2}, encoder="deepdot")
    (found,) = train_pairs(sides(2), spec, [(0, 1)], (0,))
    assert found.curve.loss[-1] == pytest.approx(-1, abs=0.01)


def test_anchors_are_training_rows():
    spec = EncoderSpec(**SMALL, encoder="contrasim.relative")
    made = sides()
    split = Split.of(made.rows, spec)
    assert len(split.held_out) == 9
    for item in train_pairs(made, spec, [(0, 1)], (0, 1)):
        assert len(set(item.anchors)) == 10
        assert set(item.anchors) <= set(split.train.tolist())


def test_what_cannot_be_trained_on_is_said():
    with pytest.raises(EncoderError, match=r"2 or more sources with equally many layers\. It got \{'a': 2\}"):
        sides(1)
    a, b = matrices(0, layers=2), matrices(1, layers=2, n=50)
    with pytest.raises(EncoderError, match=r"different numbers of rows: \{'a': 96, 'b': 50\}\. Row i of each"):
        Sides((tuple(a), tuple(b)), ("a", "b"))
    with pytest.raises(EncoderError, match="6 rows are too few to train on"):
        train_pairs(sides(n=6), EncoderSpec(**SMALL), [(0, 1)], (0,))
    with pytest.raises(EncoderError, match=r"EncoderSpec\.anchors is 200, but there are only 87 training samples"):
        train_pairs(sides(), EncoderSpec(**{**SMALL, "encoder": "contrasim.relative", "anchors": 200}), [(0, 1)], (0,))
    uneven = Sides(((a[0], a[1][:, :5]), tuple(a)), ("a", "b"))
    with pytest.raises(EncoderError, match=r"The layers of a have different widths \(5, 12\)\. Choose layers of one"):
        train_pairs(uneven, EncoderSpec(**SMALL), [(0, 1)], (0,))


def test_training_stops_at_the_next_epoch_when_cancelled():
    seen = []

    def progress(_done, _total, message, **_facts):
        seen.append(message)
        raise RunCancelled("enough")

    with pytest.raises(RunCancelled, match="enough"):
        train_pairs(sides(), EncoderSpec(**SMALL), [(0, 1)], (0, 1), progress=progress)
    assert len(seen) == 1 and "(2 encoders): epoch 1 of 3" in seen[0]
