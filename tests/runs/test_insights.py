"""Sentences are made where the intervals bear them, and not where they do not."""

from dataclasses import replace

import numpy as np
import pytest

from contrasim_core.runs.layer_prediction.insights import of_layer_prediction
from contrasim_core.runs.retrieval.insights import of_retrieval
from contrasim_core.runs.retrieval.result import Choices, RetrievalLine, RetrievalResult
from tests.figures.test_figures import record
from tests.figures.test_figures import result as layer_result


def line(measure, negatives, accuracy, spread=0.02, layer="1", group="all"):
    return RetrievalLine(
        measure=measure, negatives=negatives, pair_group=group, layer=layer, accuracy=accuracy, std=0.0,
        low=accuracy - spread, high=accuracy + spread, trials=100, chance=1 / 11,
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
    said = texts(of_retrieval(result(LINES)))
    assert said[0] == (
        "Retrieved distractors are harder than random ones: they cost Linear CKA 70 points and ContraSim 19."
    )
    assert (
        "Against retrieved distractors, ContraSim finds 80 % of translations; the only closed-form measure run here, "
        "Linear CKA, finds 20 %." in said
    )


def test_nothing_is_said_where_intervals_meet():
    wide = [line(item.measure, item.negatives, item.accuracy, spread=0.5) for item in LINES]
    assert of_retrieval(result(wide)) == []


def test_a_closed_form_measure_can_win():
    lines = [line("norm", "faiss", 0.9), line("contrasim", "faiss", 0.5)]
    (said,) = texts(of_retrieval(result(lines)))
    assert said.startswith("Against retrieved distractors, Norm finds 90 %")
    assert "the only learned measure run here, ContraSim, finds 50 %" in said


def test_layers_and_shared_languages():
    layers = [line("contrasim", "faiss", value, layer=name) for name, value in (("1", 0.3), ("2", 0.9), ("3", 0.7))]
    said = texts(of_retrieval(result(layers, layers=("1", "2", "3"))))
    assert said == ["ContraSim finds counterparts best in layer 2 (90 %) and worst in layer 1 (30 %)."]
    groups = [line("contrasim", "faiss", 0.9, group="both"), line("contrasim", "faiss", 0.4, group="none")]
    (only,) = of_retrieval(result(groups))
    assert only.text == "ContraSim finds 90 % in the languages it was trained on, 40 % in two others."
    assert only.pair_group == "both"


def models(cka, contrasim, batches=60, noise=0.1):
    """Two measures' shares of won trials in each batch, for captions read by two models."""
    random = np.random.RandomState(0)
    choices = {}
    for name, shares in (("cka.linear", cka), ("contrasim", contrasim)):
        won = np.array(shares)[:, None, None] + noise * random.randn(2, 1, batches)
        won += (np.array(shares) - won.mean(2)[:, 0])[:, None, None]
        none = np.zeros((2, 1, batches))
        choices[f"{name}|faiss|all"] = Choices(
            chosen=none.astype(np.int16), own=none, best=none, won=won.astype(np.float32)
        )
    made = result(
        task="image-caption", layers=("last",), sources=("vit", "bert", "gpt2"), pairs=((0, 1), (0, 2)),
        lines=[line("x", "faiss", 0.5)],
    )  # fmt: skip
    return replace(made, choices=choices)


def test_a_difference_that_is_the_measures_own():
    said = texts(of_retrieval(models((0.62, 0.4), (0.98, 0.97))))
    assert said == [
        "Linear CKA separates bert from gpt2 by 22 points, ContraSim by 1: most of that difference comes from "
        "the measure, not the models."
    ]
    assert texts(of_retrieval(models((0.4, 0.62), (0.97, 0.98))))[0].startswith("Linear CKA separates")


@pytest.mark.parametrize(
    "options",
    [
        {"contrasim": (0.98, 0.6)},  # both differ
        {"cka": (0.62, 0.6)},  # neither does
        {"noise": 1.0},  # nobody knows
        {"contrasim": (0.97, 0.87), "noise": 0.3},  # ContraSim's gap may be more than half
        {"contrasim": (0.6, 0.69)},  # the other way round
        {"batches": 3},
    ],
)
def test_no_such_sentence_where_both_differ_or_neither_or_nobody_knows(options):
    assert of_retrieval(models(**{"cka": (0.62, 0.4), "contrasim": (0.98, 0.97), **options})) == []


def test_such_sentences_are_rarely_wrong():
    """Won and lost trials of models that ContraSim tells apart as CKA does: one sentence in twenty is allowed."""
    random = np.random.RandomState(0)
    said = 0
    for _ in range(300):
        made = models((0.5, 0.5), (0.5, 0.5), batches=46)
        for name, shares in (("cka.linear", (0.62, 0.4)), ("contrasim", (0.82, 0.6))):
            won = (random.rand(2, 1, 46) < np.array(shares)[:, None, None]).astype(np.float32)
            made.choices[f"{name}|faiss|all"] = replace(made.choices[f"{name}|faiss|all"], won=won)
        said += len(of_retrieval(made))
    assert said <= 15


def test_layer_prediction_says_what_was_memorised():
    records = [
        record("contrasim", "seen", 1.0, seed=0), record("contrasim", "unseen", 0.4, seed=0),
        record("cka.linear", "seen", 0.6), record("cka.linear", "unseen", 0.5), record("dot", "seen", 0.05),
    ]  # fmt: skip
    said = texts(of_layer_prediction(layer_result(records)))
    assert said[0].startswith("ContraSim finds 100 % of layers in models it was trained on, and 40 % in others")
    assert any(text.startswith("On seen models, ContraSim leads the 2 other measures run here: 100 %") for text in said)
    assert not any("unseen models" in text for text in said)  # 50 and 40 %: their intervals meet
    assert "Below chance: Dot product." in said
