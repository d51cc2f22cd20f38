"""Sentences are made where the intervals bear them, and not where they do not."""

import numpy as np
import pytest

from contrasim_core import insights
from contrasim_core.retrieval_results import RetrievalLine, RetrievalRecord, RetrievalResult
from tests.figures.test_figures import record
from tests.figures.test_figures import result as layer_result


def line(measure, negatives, accuracy, spread=0.02, layer="1", group="all"):
    return RetrievalLine(
        measure=measure, negatives=negatives, pair_group=group, layer=layer, accuracy=accuracy, std=0.0,
        low=accuracy - spread, high=accuracy + spread, trials=100, chance=1 / 11,
    )  # fmt: skip


def pair_record(measure, pair, accuracy, spread=0.02, negatives="faiss"):
    return RetrievalRecord(
        task="image-caption", measure=measure, protocol="seen", accuracy=accuracy, low=accuracy - spread,
        high=accuracy + spread, trials=79, chance=1 / 11, seed=0, layer="last", pair=pair, pair_group="both",
        negatives=negatives,
    )  # fmt: skip


def result(lines=(), records=(), task="multilingual", layers=("1",), sources=("en", "ar"), pairs=((0, 1),)):
    none = np.zeros((0, 0), np.int32)
    return RetrievalResult(
        task=task, records=tuple(records), lines=tuple(lines), choices={}, sources=tuple(sources), pairs=tuple(pairs),
        layers=tuple(layers), batches=none, random=none, neighbours=none, samples={}, thumbnails=None, recipe={},
    )  # fmt: skip


def texts(found):
    return [item.text for item in found]


LINES = [
    line("cka.linear", "random", 0.9), line("cka.linear", "faiss", 0.2),
    line("contrasim", "random", 0.99), line("contrasim", "faiss", 0.8),
]  # fmt: skip


def test_hardness_and_winners_are_said_where_intervals_are_apart():
    said = texts(insights.of_retrieval(result(LINES)))
    assert said[0] == (
        "Retrieved distractors are harder than random ones: they cost Linear CKA 70 points and ContraSim 19."
    )
    assert (
        "Against retrieved distractors ContraSim finds 80 % of translations, the best closed-form measure, Linear CKA, "
        "20 %." in said
    )


def test_nothing_is_said_where_intervals_meet():
    wide = [line(item.measure, item.negatives, item.accuracy, spread=0.5) for item in LINES]
    assert insights.of_retrieval(result(wide)) == []


def test_a_closed_form_measure_can_win():
    lines = [line("norm", "faiss", 0.9), line("contrasim", "faiss", 0.5)]
    (said,) = texts(insights.of_retrieval(result(lines)))
    assert said.startswith("Against retrieved distractors Norm finds 90 %")
    assert "the best learned measure, ContraSim, 50 %" in said


def test_layers_and_shared_languages():
    layers = [line("contrasim", "faiss", value, layer=name) for name, value in (("1", 0.3), ("2", 0.9), ("3", 0.7))]
    said = texts(insights.of_retrieval(result(layers, layers=("1", "2", "3"))))
    assert said == ["Under ContraSim, counterparts are found best in layer 2 (90 %), and worst in layer 1 (30 %)."]
    groups = [line("contrasim", "faiss", 0.9, group="both"), line("contrasim", "faiss", 0.4, group="none")]
    (only,) = insights.of_retrieval(result(groups))
    assert only.text == "ContraSim finds 90 % in the languages it was trained on, 40 % in two others."
    assert only.pair_group == "both"


def models(cka, contrasim, spread=0.02):
    pairs = ("vit → bert", "vit → gpt2")
    records = [pair_record("cka.linear", pair, value, spread) for pair, value in zip(pairs, cka, strict=True)]
    records += [pair_record("contrasim", pair, value, spread) for pair, value in zip(pairs, contrasim, strict=True)]
    return result(
        records=records, task="image-caption", layers=("last",), sources=("vit", "bert", "gpt2"),
        pairs=((0, 1), (0, 2)), lines=[line("x", "faiss", 0.5)],
    )  # fmt: skip


def test_a_difference_that_is_the_measures_own():
    said = texts(insights.of_retrieval(models((0.62, 0.4), (0.98, 0.97))))
    assert said == [
        "Linear CKA separates bert from gpt2 by 22 points, ContraSim by 1: the difference is the measure's, not the "
        "models'."
    ]


@pytest.mark.parametrize(
    ("cka", "contrasim", "spread"), [((0.62, 0.4), (0.98, 0.6), 0.02), ((0.62, 0.6), (0.98, 0.97), 0.02),
                                     ((0.62, 0.4), (0.98, 0.97), 0.2)],
)  # fmt: skip
def test_no_such_sentence_where_both_differ_or_neither_or_nobody_knows(cka, contrasim, spread):
    assert insights.of_retrieval(models(cka, contrasim, spread)) == []


def test_layer_prediction_says_what_was_memorised():
    records = [
        record("contrasim", "seen", 1.0, seed=0), record("contrasim", "unseen", 0.4, seed=0),
        record("cka.linear", "seen", 0.6), record("cka.linear", "unseen", 0.5), record("dot", "seen", 0.05),
    ]  # fmt: skip
    said = texts(insights.of_layer_prediction(layer_result(records)))
    assert said[0].startswith("ContraSim finds 100 % of layers in models it was trained on, and 40 % in others")
    assert any(text.startswith("On seen models ContraSim is ahead of every other measure: 100 %") for text in said)
    assert not any("unseen models" in text for text in said)  # 50 and 40 %: their intervals meet
    assert "Below chance: Dot product." in said
