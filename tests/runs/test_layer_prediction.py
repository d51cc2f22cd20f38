"""The benchmark: right answers score 1, constant ones 0, shuffled ones chance; nothing unseen is trained on."""

import ast
import math
from pathlib import Path

import numpy as np
import pytest
import torch

import contrasim_core as cs
from contrasim_core.activations.layer import Activations
from contrasim_core.encoder.loop import Trained
from contrasim_core.encoder.measures import learned_measure
from contrasim_core.encoder.result import TrainingCurve
from contrasim_core.encoder.spec import ENCODER_KINDS
from contrasim_core.errors import SpecError, UnknownMeasureError
from contrasim_core.runs import layer_prediction, retrieval
from contrasim_core.runs.layer_prediction.result import BenchmarkResult
from contrasim_core.runs.layer_prediction.task import LayerPrediction
from tests.networks import group, noise_of

LAYERS = 4
SMALL = cs.EncoderSpec(hidden=(16,), out_dim=8, batch_rows=48, epochs=16, anchors=16, learning_rate=1e-2)


@pytest.fixture(scope="module")
def networks():
    """Six networks on training samples, test samples and a second data set."""
    return tuple(group(6, data=data) for data in range(3))


def record(result, measure, protocol="seen", seed=None):
    (found,) = [
        item for item in result.records if (item.measure, item.protocol, item.seed) == (measure, protocol, seed)
    ]
    return found


def changed(layers, change):
    """Layers with other values, by model."""
    return {
        model: [
            Activations.of(change(item.values, m, index), layer=item.layer, samples=item.samples)
            for index, item in enumerate(items)
        ]
        for m, (model, items) in enumerate(layers.items())
    }


class Untrained:
    """Stands in for a trained encoder: an encoding given by a function."""

    def __init__(self, kind, encode, models=()):
        self.spec = cs.EncoderSpec(encoder=kind)
        self.curve = TrainingCurve(encoder=kind, seed=0, loss=(1.0,), accuracy=(), chance=0.25)
        self.encode, self.models = encode, frozenset(models)

    def measure(self):
        return learned_measure(self.spec.encoder, self.encode, self.models)

    def anchors_of(self, layer):
        return layer.values[:16]


@pytest.mark.parametrize("kind", [kind for kind in ENCODER_KINDS if kind != "deepcka"])
def test_a_constant_encoder_scores_zero(kind, networks):
    """Ties are failures: with an argmax that takes the first, this would be 25 % here, and 100 % elsewhere."""
    train, test, _ = networks
    constant = Untrained(kind, lambda rows, _name, _anchors: torch.nn.functional.normalize(torch.ones(len(rows), 8)))
    found = LayerPrediction(test=test, train=train, encoders=lambda *_: [constant]).run([kind], ["seen"])
    assert record(found, kind, seed=0).accuracy == 0
    assert np.ptp(found.grids[f"{kind}|seen"].values) == 0
    assert {choice for row in found.predictions[f"{kind}|seen|0"] for choice in row} == {-1}


@pytest.mark.parametrize("measure", ["cka.linear", "procrustes", "dot", "regression.r2"])
def test_layers_that_are_all_alike_score_zero(measure, networks):
    """A closed-form measure ties when every layer of a model is the same."""
    same = changed(networks[1], lambda _values, m, _index: noise_of(m, 96, 12))
    found = record(cs.benchmark(test=same, measures=[measure]), measure)
    assert found.accuracy == 0
    assert found.low == 0 < found.high


def test_a_constant_deepcka_has_no_accuracy_but_a_reason(networks):
    """CKA of constant encodings is 0/0."""
    train, test, _ = networks
    constant = Untrained("deepcka", lambda rows, _name, _anchors: torch.ones(len(rows), 8) / 8**0.5)
    found = LayerPrediction(test=test, train=train, encoders=lambda *_: [constant]).run(["deepcka"], ["seen"])
    assert math.isnan(record(found, "deepcka", seed=0).accuracy)
    assert "no variance" in record(found, "deepcka", seed=0).reason


def test_identical_networks_score_one_under_every_closed_form_measure(networks):
    """The benchmark's positive control; unscaled measures are left out, for which the largest layer is the nearest."""
    first = next(iter(networks[1].values()))
    unit = [item.values - item.values.mean(0) for item in first]
    same = changed(networks[1], lambda _values, _m, index: unit[index])
    measures = [item.id for item in cs.measures() if item.id not in (*ENCODER_KINDS, "dot", "hsic.linear")]
    found = cs.benchmark(test=same, measures=measures)
    assert {item.measure: item.accuracy for item in found.records} == dict.fromkeys(measures, 1.0)


def test_shuffled_rows_fall_to_chance(networks):
    """The negative control: the same values, unpaired."""

    def shuffle(values, m, index):
        return values[torch.randperm(len(values), generator=torch.Generator().manual_seed(17 * m + 100 * index))]

    paired = record(cs.benchmark(test=networks[1]), "cka.linear")
    shuffled = record(cs.benchmark(test=changed(networks[1], shuffle)), "cka.linear")
    assert paired.accuracy > 0.95
    assert shuffled.accuracy == pytest.approx(1 / LAYERS, abs=0.15)
    assert shuffled.low < 1 / LAYERS < shuffled.high < paired.low


@pytest.mark.parametrize(("pairs", "count"), [("all", 30), ("disjoint", 3)])
def test_trials_are_pairs_times_layers(pairs, count, networks):
    found = cs.benchmark(test=networks[1], pairs=pairs)
    assert record(found, "cka.linear").trials == count * LAYERS
    assert record(found, "cka.linear").chance == 1 / LAYERS
    assert len(found.pairs["seen"]) == len(found.predictions["cka.linear|seen"]) == count
    assert found.pairs["seen"][0] == "net-0 → net-1"
    assert found.layers == ("0", "1", "2", "3")
    assert found.recipe["pairs"] == pairs
    if pairs == "disjoint":
        assert found.pairs["seen"] == ["net-0 → net-1", "net-2 → net-3", "net-4 → net-5"]
    else:
        assert "net-1 → net-0" in found.pairs["seen"]


def test_predictions_and_accuracy_agree_with_grids_made_by_hand(networks):
    test = changed(networks[1], lambda values, m, index: values + 0.8 * noise_of(m + 10 * index, *values.shape))
    found = cs.benchmark(test=test, measures=["regression.r2"])
    wins = 0
    for name, row in zip(found.pairs["seen"], found.predictions["regression.r2|seen"], strict=True):
        a, b = name.split(" → ")
        grid = cs.similarity_grid(test[a], test[b], "regression.r2", symmetrise=True)
        assert row == [-1 if best is None else best for best in grid.row_best()]
        wins += sum(best == layer for layer, best in enumerate(grid.row_best()))
    assert record(found, "regression.r2").accuracy == wins / 120
    assert 0.3 < wins / 120 < 1


def spying(networks, calls):
    def encoders(kind, models, _progress):
        calls.append((kind, tuple(models)))
        spec = SMALL.replace(encoder=kind)
        return cs.ContraSim.fit_seeds(spec, (0, 1), [networks[0][name] for name in models])

    return encoders


def test_unseen_trains_on_no_model_it_judges(networks):
    train, test, second = networks
    calls = []
    task = LayerPrediction(
        test=test, train=train, transfer_test=second, encoders=spying(networks, calls), unseen_models=2
    )
    found = task.run(["contrasim.relative", "contrasim", "cka.linear"], ["seen", "unseen", "transfer"])
    every = tuple(test)
    assert sorted(set(calls)) == sorted(
        (kind, models) for kind in ("contrasim", "contrasim.relative") for models in (every, every[:4])
    )
    assert found.pairs["unseen"] == ["net-4 → net-5", "net-5 → net-4"]
    judged = {name for pair in found.pairs["unseen"] for name in pair.split(" → ")}
    assert judged.isdisjoint(every[:4])
    for seed in (0, 1):
        assert record(found, "contrasim.relative", "seen", seed).accuracy > 0.9
        assert record(found, "contrasim", "seen", seed).accuracy > 0.9
        assert record(found, "contrasim.relative", "unseen", seed).accuracy > 0.7
    plain = [record(found, "contrasim", "unseen", seed).accuracy for seed in (0, 1)]
    assert np.mean(plain) < 0.7
    assert record(found, "cka.linear", "unseen").trials == 2 * LAYERS
    assert set(found.curves) == {
        f"{kind}|{count} models" for kind in ("contrasim", "contrasim.relative") for count in (4, 6)
    }


def test_protocols_that_share_their_training_models_train_once(networks):
    train, test, second = networks
    calls = []
    task = LayerPrediction(test=test, train=train, transfer_test=second, encoders=spying(networks, calls))
    task.run(["contrasim"], ["seen", "transfer"])
    assert calls == [("contrasim", tuple(test))]


def test_transfer_judges_on_the_second_data(networks):
    train, test, second = networks
    noise = changed(second, lambda values, m, index: noise_of(10 * m + index, *values.shape))
    measures = ["cka.linear", "contrasim"]
    protocols = ["seen", "transfer"]
    options = {"test": test, "train": train, "encoder": SMALL, "seeds": [0]}
    good = cs.benchmark(measures=measures, protocols=protocols, transfer_test=second, **options)
    bad = cs.benchmark(measures=measures, protocols=protocols, transfer_test=noise, **options)
    for measure, seed in (("cka.linear", None), ("contrasim", 0)):
        assert record(good, measure, "seen", seed) == record(bad, measure, "seen", seed)
        assert record(good, measure, "transfer", seed).accuracy > 0.75
        assert record(bad, measure, "transfer", seed).accuracy < 0.6
    assert good.grids["cka.linear|transfer"].values == pytest.approx(
        cs.benchmark(test=second).grids["cka.linear|seen"].values
    )


def test_a_cell_that_is_not_defined_leaves_no_accuracy_but_a_reason(networks):
    def spoil(values, m, index):
        spoiled = values.clone()
        if (m, index) == (2, 1):
            spoiled[5, 3] = torch.nan
        return spoiled

    found = cs.benchmark(test=changed(networks[1], spoil), measures=["cka.linear", "pwcca", "dot"])
    for item in found.records:
        assert all(math.isnan(value) for value in (item.accuracy, item.low, item.high))
        assert "net-2 layer 1 (block 1) has NaN or infinity" in item.reason
        assert item.trials == 30 * LAYERS
    table = found.summary()
    assert table["accuracy"].isna().all()


def test_a_nan_without_a_word_still_gets_a_reason(networks):
    train, test, _ = networks
    silent = Untrained("contrasim", lambda rows, _name, _anchors: torch.full((len(rows), 8), torch.nan))
    found = LayerPrediction(test=test, train=train, encoders=lambda *_: [silent]).run(["contrasim"], ["seen"])
    assert record(found, "contrasim", seed=0).reason == "contrasim is not finite for some layers"
    assert math.isnan(record(found, "contrasim", seed=0).accuracy)


def test_a_measure_of_equal_widths_gives_its_reason_for_unequal_ones(networks):
    test = {
        model: [Activations.of(i.values[:, : 12 - i.layer.index], layer=i.layer, samples=i.samples) for i in items]
        for model, items in networks[1].items()
    }
    found = cs.benchmark(test=test, measures=["cka.linear", "dot"])
    assert record(found, "cka.linear").accuracy > 0.9
    assert "dot needs equal widths" in record(found, "dot").reason


def test_a_distance_is_matched_by_its_least_value(networks, monkeypatch):
    from contrasim_core.runs.layer_prediction import task as layer_prediction

    def similarity_as_distance(*arguments, **options):
        grids = original(*arguments, **options)
        for grid in grids.values():
            object.__setattr__(grid, "direction", "distance")
            grid.values[:] = 1 - grid.values
        return grids

    original = layer_prediction.similarity_grids
    before = record(cs.benchmark(test=networks[1]), "cka.linear")
    monkeypatch.setattr(layer_prediction, "similarity_grids", similarity_as_distance)
    assert record(cs.benchmark(test=networks[1]), "cka.linear") == before


def test_records_come_in_the_order_asked_for_and_survive_the_disk(networks, tmp_path):
    train, test, _ = networks
    found = cs.benchmark(
        test=test, train=train, measures=["deepdot", "procrustes", "cka.linear"], encoder=SMALL, seeds=[3, 1]
    )
    assert [(item.measure, item.seed) for item in found.records] == [
        ("deepdot", 3),
        ("deepdot", 1),
        ("procrustes", None),
        ("cka.linear", None),
    ]
    found.save(tmp_path)
    back = BenchmarkResult.load(tmp_path)
    assert back.records == found.records
    assert back.predictions == found.predictions
    assert back.curves == found.curves


@pytest.mark.parametrize("kind", ENCODER_KINDS)
def test_every_learned_kind_runs(kind, networks):
    train, test, _ = networks
    quick = SMALL.replace(epochs=2)
    found = cs.benchmark(test=test, train=train, measures=[kind], encoder=quick, seeds=[0])
    assert record(found, kind, seed=0).reason == ""
    assert 0 <= record(found, kind, seed=0).accuracy <= 1


def test_what_is_missing_is_said(networks):
    _, test, _ = networks
    few = {name: test[name] for name in list(test)[:3]}
    uneven = {**few, "net-1": few["net-1"][:2]}
    with pytest.raises(
        SpecError, match=r"2 models to train on and 2 to judge\. It got 3 models, of which 2 are held out"
    ):
        cs.benchmark(test=few, protocols=["unseen"], unseen_models=2)
    with pytest.raises(SpecError, match="'transfer' needs a second data set"):
        cs.benchmark(test=test, protocols=["transfer"])
    with pytest.raises(SpecError, match=r"deepdot is learned, so it needs representations of training samples"):
        cs.benchmark(test=test, measures=["deepdot"])
    with pytest.raises(UnknownMeasureError, match="No measure 'ckka'"):
        cs.benchmark(test=test, measures=["ckka"])
    with pytest.raises(SpecError, match=r"equally many layers\. It got \{'net-0': 4, 'net-1': 2, 'net-2': 4\}"):
        cs.benchmark(test=uneven)
    with pytest.raises(SpecError, match=r"equally many layers\. It got \{'net-0': 4\}"):
        cs.benchmark(test={"net-0": test["net-0"]})
    with pytest.raises(SpecError, match=r"train has other layers than test.*'net-1': 2"):
        cs.benchmark(test=few, train=uneven)
    with pytest.raises(SpecError, match=r"transfer_test has other layers than test"):
        cs.benchmark(test=test, transfer_test=few)
    with pytest.raises(SpecError, match=r"Unknown protocol 'sen'\. It can be: seen, unseen, transfer"):
        cs.benchmark(test=test, protocols=["sen"])
    with pytest.raises(SpecError, match=r"pairs is 'some'\. It can be: 'all', 'disjoint'"):
        cs.benchmark(test=test, pairs="some")


def test_benchmarks_have_no_branch_on_a_measure():
    """A trained encoder is just another measure: no id of a measure, and no kind of encoder, stands in the code."""
    ids = {item.id for item in cs.measures()} | {item.id.partition(".")[0] for item in cs.measures()} - {"norm", "dot"}
    files = sorted(path for kind in (layer_prediction, retrieval) for path in Path(kind.__file__).parent.glob("*.py"))
    files = [path for path in files if path.name in ("task.py", "run.py", "trials.py", "tally.py")]
    assert len(files) >= 3
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant):
                assert node.value not in ids, f"{file.name}:{node.lineno} names the measure {node.value!r}"
            assert not (isinstance(node, ast.Attribute) and node.attr == "is_relative"), f"{file.name}:{node.lineno}"


def test_trained_encoders_are_what_the_benchmark_judges(networks):
    """An encoder whose weights are spoiled after training loses."""
    train, test, _ = networks

    def encoders(kind, models, _progress):
        (encoder,) = cs.ContraSim.fit_seeds(SMALL.replace(encoder=kind), (0,), [train[name] for name in models])
        weights = {name: torch.zeros_like(value) for name, value in encoder.trained.weights.items()}
        encoder._trained = Trained(encoder.spec, weights, encoder.trained.anchors, encoder.curve)
        return [encoder]

    found = LayerPrediction(test=test, train=train, encoders=encoders).run(["contrasim.relative"], ["seen"])
    assert record(found, "contrasim.relative", seed=0).accuracy == 0


def test_layers_of_unequal_widths_are_judged_by_encoders_too(networks):
    train, test, _ = networks

    def narrower(part):
        return changed(part, lambda values, _m, index: values[:, : 12 - 2 * index])

    result = cs.benchmark(
        test=narrower(test),
        train=narrower(train),
        measures=["cka.linear", "dot", "contrasim", "deepcka", "contrasim.relative"],
        encoder=cs.EncoderSpec(hidden=(16,), out_dim=8, epochs=1, batch_rows=32, anchors=8),
        seeds=(0,),
    )
    for kind in ("contrasim", "deepcka", "contrasim.relative"):
        assert not math.isnan(record(result, kind, seed=0).accuracy)
    assert "dot needs equal widths" in record(result, "dot").reason


def test_an_encoder_that_cannot_be_trained_leaves_its_reason_and_the_others(networks):
    train, test, _ = networks
    result = cs.benchmark(
        test=test,
        train=train,
        measures=["cka.linear", "contrasim.relative"],
        encoder=cs.EncoderSpec(hidden=(16,), out_dim=8, epochs=1, batch_rows=32, anchors=8000),
        seeds=(0,),
    )
    relative = record(result, "contrasim.relative")
    assert math.isnan(relative.accuracy)
    assert relative.seed is None
    assert "EncoderSpec.anchors is 8000, but there are only" in relative.reason
    assert not math.isnan(record(result, "cka.linear").accuracy)
