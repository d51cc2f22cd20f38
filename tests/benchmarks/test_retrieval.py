"""Which batch is the translation: right answers win, ties lose, distractors are what they should be."""

import math

import numpy as np
import pytest
import torch

import contrasim_core as cs
from contrasim_core.activations import Activations
from contrasim_core.benchmarks.retrieval import Retrieval, judge_batches, random_distractors
from contrasim_core.benchmarks.statistics import unit_interval, wilson
from contrasim_core.encoder.contrasim import ContraSim
from contrasim_core.encoder.loop import Trained
from contrasim_core.errors import PairingError, SpecError
from contrasim_core.measure.batched import batched
from contrasim_core.measure.table import closed_form
from contrasim_core.refs import LayerRef, SampleSet
from contrasim_core.retrieval_results import RetrievalResult
from contrasim_core.specs import ENCODER_KINDS, EncoderSpec

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
    assert (chosen == -1).all()
    np.testing.assert_array_equal(own, best)


def test_an_undefined_truth_is_lost_and_an_undefined_distractor_cannot_win():
    random = torch.Generator().manual_seed(0)
    a, b = torch.randn(24, 4, generator=random), torch.randn(24, 4, generator=random)
    b[:8] = 1.0  # the true batch of the first trial, and a distractor of the second, are constant
    batches = np.arange(16, dtype=np.int32).reshape(2, 8)
    distractors = np.stack([np.arange(16, 24), np.arange(8)])[:, None].astype(np.int32)
    chosen, _, best = judge_batches(a, b, batches, distractors, batched(closed_form("cka.linear")))
    assert chosen.tolist() == [-1, 0]
    assert best[1] == -np.inf


def test_a_distractor_with_a_missing_row_is_left_out():
    a = torch.randn(24, 4, generator=torch.Generator().manual_seed(0))
    batches = np.arange(8, dtype=np.int32)[None]
    near = np.stack([np.arange(8), np.arange(8, 16)])[None].astype(np.int32)
    near[0, 0, 3] = -1  # would be the truth itself but for the missing row
    chosen, own, best = judge_batches(a, a, batches, near, batched(closed_form("cka.linear")))
    assert chosen.tolist() == [0]
    assert own[0] == pytest.approx(1)
    assert best[0] < 0.9


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


def test_intervals_over_batches_are_wide_where_batches_differ():
    even = np.full(50, 0.5)
    uneven = np.r_[np.zeros(25), np.ones(25)]
    assert unit_interval(uneven)[1] - unit_interval(uneven)[0] > 0.2
    assert unit_interval(even) == pytest.approx(wilson(0.5, 50 * (1.959964 / 2.009575) ** 2), abs=1e-4)
    assert unit_interval(np.ones(50)) == wilson(1.0, 50)


def test_what_cannot_be_judged_is_said():
    with pytest.raises(SpecError, match=r"2 or more sources with equally many layers; there are: \{'en': 2\}"):
        task(test={"en": languages()["en"]})
    with pytest.raises(
        SpecError, match=r"There are 18 test samples\. Batches of 8 with 10 distractors need at least 19"
    ):
        task(test=languages(18))
    with pytest.raises(SpecError, match=r"batch is 1 and candidates is 10\. They start at 2 and 1"):
        task(batch=1)
    mixed = {**languages(), "ar": languages(data=3)["ar"]}
    with pytest.raises(PairingError, match="were not extracted on the same samples"):
        task(test=mixed)
    with pytest.raises(SpecError, match="contrasim is learned: it needs encoders"):
        task().run(["contrasim"], ["random"])


def test_unequal_widths_are_judged_with_a_head_each():
    train, test = languages(240, data=1, noise=0.3), languages(noise=0.3)
    for group in (train, test):
        group["zh"] = [
            Activations.of(item.values[:, :7], layer=item.layer, samples=item.samples) for item in group["zh"]
        ]
    spec = task(test=test, train=train, encoders=trainer(train, SMALL), own_pair=True)
    found = spec.run(["dot", "cka.linear", "contrasim"], ["random"])
    assert line(found, "dot").reason == "dot needs equal widths; the sides have 12 and 7"
    assert line(found, "cka.linear").accuracy > 0.8
    assert line(found, "contrasim").accuracy > 0.8
    assert cs.ContraSim  # the public name of what `trainer` trains
