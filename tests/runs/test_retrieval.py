"""Which batch is the translation: right answers win, ties lose, distractors are what they should be."""

import math

import numpy as np
import pytest
import torch

import contrasim_core as cs
from contrasim_core.activations.layer import Activations
from contrasim_core.encoder.contrasim import ContraSim
from contrasim_core.encoder.loop import Trained
from contrasim_core.encoder.spec import ENCODER_KINDS, EncoderSpec
from contrasim_core.errors import ForeignFormatError, PairingError, SpecError
from contrasim_core.measure.batched import batched
from contrasim_core.measure.closed_form import closed_form
from contrasim_core.refs import LayerRef, SampleSet
from contrasim_core.runs.intervals import unit_interval, wilson
from contrasim_core.runs.retrieval.result import UNDEFINED, RetrievalResult
from contrasim_core.runs.retrieval.task import Retrieval
from contrasim_core.runs.retrieval.trials import judge_batches, random_distractors

NAMES = ("en", "ar", "zh")
PAIRS = tuple((a, b) for a in range(3) for b in range(3) if a != b)
KEYS = {
    "task", "measure", "protocol", "accuracy", "low", "high", "trials", "chance", "seed", "layer", "pair",
    "pair_group", "negatives",
}  # fmt: skip


def languages(n=160, *, data=0, noise=0.7, shift=0.0, width=12, layers=2):
    """Layers by language: the same latents in every language, a part that is the language's own, and noise."""
    random = torch.Generator().manual_seed(data)
    meaning = torch.randn(n, width, generator=random)
    samples = SampleSet(tuple(f"{data}-{row}" for row in range(n)))
    found = {}
    for place, name in enumerate(NAMES):
        own = shift * torch.randn(width, generator=torch.Generator().manual_seed(place + 50))
        found[name] = [
            Activations.of(
                meaning + own + noise * (layer + 1) * torch.randn(n, width, generator=random),
                layer=LayerRef(name, layer + 1, f"block {layer + 1}"),
                samples=samples,
            )
            for layer in range(layers)
        ]
    return found


def task(**options):
    return Retrieval(**{"task": "multilingual", "test": languages(), "pairs": PAIRS, **options})


def trainer(train, spec):
    def encoders(kind, progress):
        pairs = ((0, 1), (0, 2), (1, 2))
        made = ContraSim.fit_pairs(spec.replace(encoder=kind), train, pairs, (0,), progress=progress)
        return list(zip(pairs, made, strict=True))

    return encoders


def line(result, measure, negatives="random", group="all", layer="1"):
    (found,) = [
        item for item in result.lines
        if (item.measure, item.negatives, item.pair_group, item.layer) == (measure, negatives, group, layer)
    ]  # fmt: skip
    return found


@pytest.fixture(scope="module")
def judged():
    measures = ["cka.linear", "cka.rbf", "dot", "norm", "procrustes", "cca.mean"]
    return task().run(measures, ["random", "faiss"])


def test_measures_find_translations_and_near_ones_are_harder(judged):
    for measure in ("cka.linear", "cka.rbf", "dot", "norm", "procrustes"):
        random, faiss = line(judged, measure), line(judged, measure, "faiss")
        assert random.accuracy > 0.7
        assert faiss.accuracy <= random.accuracy
        assert line(judged, measure, "faiss", layer="2").accuracy <= faiss.accuracy
        assert random.trials == 20 * 6
        assert random.chance == pytest.approx(1 / 11)
    assert line(judged, "cka.linear", "faiss").accuracy < line(judged, "cka.linear").accuracy


def test_a_measure_that_says_the_same_of_any_batch_gives_its_reason(judged):
    found = line(judged, "cca.mean")
    assert math.isnan(found.accuracy)
    assert "batches of 8 rows and 12 features cca.mean is at its maximum" in found.reason


def test_records_have_the_keys_people_script_against(judged):
    frame = judged.to_pandas()
    assert set(frame.columns) >= KEYS
    assert set(frame["pair"]) >= {"en → ar", "ar → en"}
    assert set(frame["negatives"]) == {"random", "faiss"}
    whole = frame[(frame["measure"] == "dot") & (frame["layer"] == "1") & (frame["negatives"] == "random")]
    assert len(whole) == 6
    assert float(whole["accuracy"].mean()) == pytest.approx(line(judged, "dot").accuracy)
    assert float(whole["accuracy"].std()) == pytest.approx(line(judged, "dot").std)
    assert (whole["low"] <= whole["accuracy"]).all() and (whole["accuracy"] <= whole["high"]).all()


@pytest.mark.parametrize("measure", ["cka.linear", "dot"])
@pytest.mark.parametrize("negatives", ["random", "faiss"])
def test_every_trial_is_what_the_measure_says_of_its_batches(judged, measure, negatives):
    """One trial after the other, by the measure's own function."""
    made = judged.choices[f"{measure}|{negatives}|all"]
    spec, layers = closed_form(measure), languages()
    for pair in (0, 3):
        a, b = (layers[NAMES[place]][1].values for place in judged.pairs[pair])
        for batch in range(4):
            rows = judged.batches[batch]
            own = spec(a[rows], b[rows])
            others = [spec(a[rows], b[np.array(item)]) for item in judged.candidates(negatives, pair, 1, batch)]
            best = max(others)
            expected = 0 if own > best else others.index(best) + 1
            assert made.chosen[pair, 1, batch] == expected
            assert made.own[pair, 1, batch] == pytest.approx(own, rel=1e-5)
            assert made.best[pair, 1, batch] == pytest.approx(best, rel=1e-5)


def test_distractors_never_hold_a_true_row(judged):
    for batch, rows in enumerate(judged.batches):
        assert not np.isin(judged.random[batch], rows).any()
    own = np.arange(160)[:, None]
    assert not (judged.neighbours == own).any()


def test_random_distractors_do_not_repeat_rows_and_depend_on_the_seed():
    batches = np.arange(160, dtype=np.int32).reshape(20, 8)
    found = random_distractors(160, batches, 10, 0)
    assert all(len(set(item.ravel())) == 80 for item in found)
    assert not np.array_equal(found, random_distractors(160, batches, 10, 1))
    few = random_distractors(24, batches[:3], 10, 0)
    assert all(len(set(part)) == 8 for item in few for part in item)
    assert not np.isin(few[0], batches[0]).any()


def test_shuffled_translations_are_found_by_chance():
    test = languages()
    order = torch.randperm(160, generator=torch.Generator().manual_seed(0))
    test["ar"] = [Activations.of(item.values[order], layer=item.layer, samples=item.samples) for item in test["ar"]]
    found = task(test=test, pairs=((0, 1), (1, 0))).run(["dot", "cka.linear"], ["random"])
    for measure in ("dot", "cka.linear"):
        assert line(found, measure).accuracy == pytest.approx(1 / 11, abs=0.12)


def test_equal_scores_are_nobodys_win():
    """Where all rows are equal, every distractor is as good as the truth."""
    flat = torch.ones(160, 4)
    chosen, own, best = judge_batches(
        flat,
        flat,
        np.arange(160, dtype=np.int32).reshape(20, 8),
        random_distractors(160, np.arange(160, dtype=np.int32).reshape(20, 8), 10, 0),
        batched(closed_form("dot")),
    )
    assert (chosen == -1).all(), "ties with the first distractor"
    np.testing.assert_array_equal(own, best)


def test_an_undefined_truth_is_lost_and_an_undefined_distractor_cannot_win():
    random = torch.Generator().manual_seed(0)
    a, b = torch.randn(24, 4, generator=random), torch.randn(24, 4, generator=random)
    b[:8] = 1.0  # the true batch of the first trial, and a distractor of the second, are constant
    batches = np.arange(16, dtype=np.int32).reshape(2, 8)
    a[8:16] = b[8:16]
    flat, other = np.arange(8), np.arange(16, 24)
    distractors = np.array([[other, other], [flat, other]], dtype=np.int32)
    chosen, _, best = judge_batches(a, b, batches, distractors, batched(closed_form("cka.linear")))
    assert chosen.tolist() == [UNDEFINED, 0]
    assert 0 < best[1] < 1
    nothing = judge_batches(a, b, batches[1:], distractors[1:, :1], batched(closed_form("cka.linear")))
    assert nothing[0].tolist() == [UNDEFINED], "there is nothing to win against"


def test_a_trial_without_all_its_distractors_is_lost():
    a = torch.randn(24, 4, generator=torch.Generator().manual_seed(0))
    batches = np.arange(8, dtype=np.int32)[None]
    near = np.stack([np.arange(16, 24), np.arange(8, 16)])[None].astype(np.int32)
    score = batched(closed_form("cka.linear"))
    assert judge_batches(a, a, batches, near, score)[0].tolist() == [0]
    near[0, 0, 3] = -1
    assert judge_batches(a, a, batches, near, score)[0].tolist() == [UNDEFINED]


@pytest.mark.parametrize("negatives", ["random", "faiss"])
def test_a_constant_layer_wins_nothing(negatives):
    """Its rows are copies of each other, so that there are no neighbours to be distractors."""
    test = languages(layers=1)
    flat = [Activations.of(torch.ones(160, 12), layer=item[0].layer, samples=item[0].samples) for item in test.values()]
    found = task(test={name: [layer] for name, layer in zip(NAMES, flat, strict=True)}).run(
        ["dot", "norm", "cka.linear", "procrustes"], [negatives]
    )
    assert {item.accuracy for item in found.lines} == {0.0}
    assert {item.reason for item in found.lines} == {""}


def test_rows_that_are_not_finite_lose_their_own_trials_alone():
    train, test = languages(240, data=1), languages(noise=0.3)
    spoiled = test["ar"][0].values.clone()
    spoiled[3, 2] = float("nan")
    test["ar"][0] = Activations.of(spoiled, layer=test["ar"][0].layer, samples=test["ar"][0].samples)
    found = task(test=test, pairs=((0, 1),), train=train, encoders=trainer(train, SMALL)).run(
        ["dot", "procrustes", "contrasim"], ["faiss"]
    )
    for measure in ("dot", "procrustes", "contrasim"):
        group = "both" if measure == "contrasim" else "all"
        assert found.choices[f"{measure}|faiss|{group}"].chosen[0, 0, 0] == UNDEFINED
        assert line(found, measure, "faiss", group).accuracy > 0.5
    lost = found.failures("dot", "faiss", "all", 0)
    assert lost.iloc[-1][["batch", "outcome", "chosen"]].tolist() == [0, "undefined", 0]


def test_training_that_is_refused_leaves_the_other_measures_judged():
    train = languages(240, data=1)
    spoiled = {name: [*layers] for name, layers in train.items()}
    values = spoiled["ar"][0].values.clone()
    values[0, 0] = float("inf")
    spoiled["ar"][0] = Activations.of(values, layer=train["ar"][0].layer, samples=train["ar"][0].samples)
    found = task(train=spoiled, encoders=trainer(spoiled, SMALL)).run(["dot", "contrasim"], ["random"])
    assert "ar layer 1 (block 1) has NaN or infinity" in line(found, "contrasim").reason
    assert line(found, "dot").accuracy > 0.7


def test_ties_name_the_distractor_that_tied_and_numbers_beyond_a_byte_stand():
    random = torch.Generator().manual_seed(0)
    a, b = torch.randn(8, 4, generator=random), torch.randn(400, 4, generator=random)
    b[:8] = b[300:308] = a
    x = torch.cat([a, torch.zeros(392, 4)])
    batches = np.arange(8, dtype=np.int32)[None]
    others = np.tile(np.arange(100, 108, dtype=np.int32), (1, 300, 1))
    others[0, 279] = np.arange(300, 308)
    chosen, _, _ = judge_batches(x, b, batches, others, batched(closed_form("cka.linear")))
    assert chosen.tolist() == [-280]
    b[300] += 5.0
    b[300:308] *= 3.0
    chosen, _, _ = judge_batches(x, b, batches, others, batched(closed_form("dot")))
    assert chosen.tolist() == [280]


SMALL = EncoderSpec(hidden=(32,), out_dim=16, epochs=15, batch_rows=64, anchors=24)


def test_learned_measures_are_judged_by_what_they_share_with_training():
    train = languages(240, data=1, shift=4.0)
    spec = task(test=languages(shift=4.0), train=train, encoders=trainer(train, SMALL))
    found = spec.run(["dot", "contrasim", "contrasim.relative"], ["random", "faiss"])
    for kind in ("contrasim", "contrasim.relative"):
        groups = {item.pair_group for item in found.lines if item.measure == kind}
        assert groups == {"one", "both", "all"}  # of three languages, two pairs always share one
        assert line(found, kind).accuracy == line(found, kind, group="one").accuracy
        assert line(found, kind, "faiss", "both").accuracy > line(found, "dot", "faiss").accuracy
        records = [item for item in found.records if item.measure == kind]
        assert {(item.protocol, item.pair_group) for item in records} == {("seen", "both"), ("unseen", "one")}
        assert {item.seed for item in records} == {0}
        assert len(found.curves[kind]) == 3
    assert {item.protocol for item in found.records if item.measure == "dot"} == {"untrained"}


def test_image_and_caption_are_judged_on_their_own_pair_alone():
    train = languages(240, data=1)
    spec = task(
        task="image-caption", train=train, encoders=trainer(train, SMALL), own_pair=True, pairs=((0, 2), (1, 2))
    )
    found = spec.run(["contrasim"], ["random"])
    assert {item.pair for item in found.records} == {"en → zh", "ar → zh"}
    assert {item.pair_group for item in found.records} == {"both"}
    assert line(found, "contrasim").accuracy == line(found, "contrasim", group="both").accuracy > 0.8


@pytest.mark.parametrize("kind", ENCODER_KINDS)
def test_a_constant_encoder_wins_nothing(kind):
    train = languages(240, data=1)
    made = trainer(train, SMALL.replace(epochs=1))

    def constant(kind, progress):
        found = made(kind, progress)
        for _, encoder in found:
            weights = {name: torch.zeros_like(value) for name, value in encoder.trained.weights.items()}
            last = max(name for name in weights if name.startswith("bias"))
            weights[last] = torch.ones_like(weights[last])
            encoder._trained = Trained(encoder.spec, weights, encoder.trained.anchors, encoder.curve)
        return found

    found = task(train=train, encoders=constant).run([kind], ["random", "faiss"])
    assert {item.accuracy for item in found.lines} == {0.0}


def test_failing_trials_come_worst_first(judged):
    lost = judged.failures("dot", "faiss", "all", 1)
    made = judged.choices["dot|faiss|all"].chosen[:, 1]
    assert set(lost["outcome"]) == {"lost"}
    assert len(lost) == int((made != 0).sum()) > 0
    margin = lost["distractor"] - lost["right"]
    assert margin.is_monotonic_decreasing and (margin >= 0).all()
    first = lost.iloc[0]
    assert made[int(first["pair"]), int(first["batch"])] == first["chosen"]


def test_a_saved_result_comes_back_whole(judged, tmp_path):
    judged.save(tmp_path)
    back = RetrievalResult.load(tmp_path)
    assert repr(back.records) == repr(judged.records)  # NaN is not equal to itself
    assert repr(back.lines) == repr(judged.lines)
    assert (back.sources, back.pairs, back.layers) == (judged.sources, judged.pairs, judged.layers)
    np.testing.assert_array_equal(back.neighbours, judged.neighbours)
    for name, made in judged.choices.items():
        np.testing.assert_array_equal(back.choices[name].chosen, made.chosen)
        np.testing.assert_array_equal(back.choices[name].own, made.own)
    assert back.failures("dot", "faiss", "all", 0).equals(judged.failures("dot", "faiss", "all", 0))


def test_what_an_older_version_saved_is_refused(judged, tmp_path):
    judged.save(tmp_path)
    with np.load(tmp_path / "arrays.npz") as arrays:
        older = {name: value for name, value in arrays.items() if not name.startswith("won-")}
    np.savez_compressed(tmp_path / "arrays.npz", **older)
    with pytest.raises(
        ForeignFormatError,
        match=r"written by an older version, whose numbers are no longer reliable\. Run the benchmark again\.",
    ):
        RetrievalResult.load(tmp_path)


def test_intervals_over_batches_are_wide_where_batches_differ():
    even = np.full(50, 0.5)
    uneven = np.r_[np.zeros(25), np.ones(25)]
    assert unit_interval(uneven, 20)[1] - unit_interval(uneven, 20)[0] > 0.2
    assert unit_interval(even, 20) == wilson(0.5, 50)
    assert unit_interval(np.ones(50), 40) == wilson(1.0, 50)


def test_intervals_do_not_jump_when_a_single_trial_is_lost():
    ones = np.ones(50)
    ones[0] = 39 / 40
    assert unit_interval(ones, 40) == pytest.approx(unit_interval(np.ones(50), 40), abs=0.01)
    half = np.full(50, 0.5)
    half[0] = 21 / 40
    assert unit_interval(half, 40) == pytest.approx(unit_interval(np.full(50, 0.5), 40), abs=0.01)


def test_intervals_claim_no_more_trials_than_there_were():
    shares = np.r_[np.full(40, 0.5), np.full(10, 0.5 + 1e-6)]
    assert unit_interval(shares, 4) == pytest.approx(wilson(0.5, 200 * (1.959964 / 2.009575) ** 2), abs=1e-4)


def test_what_cannot_be_judged_is_said():
    with pytest.raises(SpecError, match=r"2 or more sources with equally many layers\. It got \{'en': 2\}"):
        task(test={"en": languages()["en"]})
    with pytest.raises(
        SpecError, match=r"There are 18 test samples\. Batches of 8 with 10 distractors need at least 19"
    ):
        task(test=languages(18))
    with pytest.raises(SpecError, match=r"batch is 1 and candidates is 10\. They must be at least 2 and 1"):
        task(batch=1)
    mixed = {**languages(), "ar": languages(data=3)["ar"]}
    with pytest.raises(PairingError, match="were not extracted on the same samples"):
        task(test=mixed)
    with pytest.raises(SpecError, match="contrasim is learned, so it needs encoders"):
        task().run(["contrasim"], ["random"])


def test_unequal_widths_are_judged_with_a_head_each():
    train, test = languages(240, data=1, noise=0.3), languages(noise=0.3)
    for group in (train, test):
        group["zh"] = [
            Activations.of(item.values[:, :7], layer=item.layer, samples=item.samples) for item in group["zh"]
        ]
    spec = task(test=test, train=train, encoders=trainer(train, SMALL), own_pair=True)
    found = spec.run(["dot", "cka.linear", "contrasim"], ["random"])
    frame = found.to_pandas()
    reasons = frame[frame["measure"] == "dot"].groupby("pair")["reason"].first().to_dict()
    assert {pair for pair, reason in reasons.items() if reason} == {pair for pair in reasons if "zh" in pair}
    assert reasons["en → zh"] == "dot needs equal widths; the sides have 12 and 7"
    assert line(found, "dot").accuracy > 0.8 and line(found, "dot").trials == 2 * 20
    mixed = {**test, "ar": [test["ar"][0], test["zh"][1]]}
    (reason,) = {item.reason for item in task(test=mixed, pairs=((0, 1),)).run(["dot"], ["random"]).lines}
    assert reason == "dot needs equal widths; the sides have 12 and 7"
    assert line(found, "cka.linear").accuracy > 0.8
    assert line(found, "contrasim").accuracy > 0.8
    assert cs.ContraSim  # the public name of what `trainer` trains


def test_layers_are_called_what_they_are():
    assert task().labels == ("1", "2")
    assert task(test=languages(layers=1)).labels == ("1",)
    assert task(test=languages(layers=1), layers=("last",)).labels == ("last",)
    mixed = languages(layers=2)
    for place, (name, layers) in enumerate(mixed.items()):
        mixed[name] = [
            Activations.of(
                item.values,
                layer=LayerRef(name, place + 3 + number, f"block {place + 3 + number}"),
                samples=item.samples,
            )
            for number, item in enumerate(layers)
        ]
    assert task(test=mixed).labels == ("1", "2")
    assert task(test={name: layers[:1] for name, layers in mixed.items()}).labels == ("3 / 4 / 5",)


def test_neighbours_that_are_known_are_not_searched_again(monkeypatch):
    from contrasim_core.runs.retrieval import task as retrieval

    spec = task()
    searched = spec.run(["dot"], ["faiss"])
    monkeypatch.setattr(retrieval, "neighbours_of", lambda *_, **__: pytest.fail("searched again"))
    known = task(neighbours=lambda source: searched.neighbours[source]).run(["dot"], ["faiss"])
    assert known.lines == searched.lines


def test_every_encoder_counts_the_same_in_the_mean_of_all_groups():
    """As in the paper: the mean and spread of single accuracies, one for each encoder and pair it is judged on."""
    train = languages(240, data=1)
    found = task(train=train, encoders=trainer(train, SMALL.replace(epochs=2))).run(["contrasim"], ["faiss"])
    kept = [item.accuracy for item in found.records if item.layer == "2" and item.pair_group == "one"]
    whole = line(found, "contrasim", "faiss", layer="2")
    assert whole.accuracy == pytest.approx(np.mean(kept))
    assert whole.trials == 20 * 12  # six ordered pairs, each judged by the two encoders that know one of its languages
