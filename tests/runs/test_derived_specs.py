"""What a benchmark asks of other runs: every option of its own that concerns them is passed on."""

import pytest

from contrasim_core.activations.spec import ExtractionSpec
from contrasim_core.encoder.spec import EncoderSpec, PairedSpec, TrainSpec
from contrasim_core.neighbours.spec import NeighboursSpec
from contrasim_core.refs import DatasetRef, ModelRef
from contrasim_core.runs.layer_prediction import run as layer_prediction
from contrasim_core.runs.layer_prediction.spec import BenchmarkSpec
from contrasim_core.runs.retrieval import run as retrieval
from contrasim_core.runs.retrieval.spec import RetrievalSpec

MODELS = tuple(ModelRef(name=f"m{number}", kind="hub", fingerprint=f"f{number}") for number in range(6))
TRAIN, TEST, OTHER = (
    DatasetRef(name=name, kind="bundled", split=split, fingerprint=name)
    for name, split in (("digits", "train"), ("digits", "test"), ("photo-patches", "test"))
)
ENCODER = EncoderSpec(epochs=3, temperature=0.2)
BENCHMARK = BenchmarkSpec(
    models=MODELS, train=TRAIN, test=TEST, transfer_test=OTHER, measures=("cka.linear", "deepdot", "contrasim"),
    protocols=("unseen", "transfer"), unseen_models=2, pooling="mean", layers=(1, 3), rows=77, encoder=ENCODER,
    seeds=(5, 9),
)  # fmt: skip
SIDES = {
    split: tuple(
        ExtractionSpec(model=MODELS[0], data=DatasetRef(name=f"{name} {split}", kind="bundled", column=name))
        for name in ("en", "ar", "tr")
    )
    for split in ("train", "test")
}
RETRIEVAL = RetrievalSpec(
    task="multilingual", train=SIDES["train"], test=SIDES["test"], pairs=((2, 0), (0, 2), (1, 2)), layers=(2, 4),
    measures=("dot", "contrasim.norm"), batch=4, candidates=7, metric="ip", index="ivf", encoder=ENCODER, seeds=(5, 9),
)  # fmt: skip


def test_training_of_layer_prediction():
    source = BENCHMARK.source(MODELS[1], TRAIN)
    assert source == ExtractionSpec(model=MODELS[1], data=TRAIN, pooling="mean")
    assert BENCHMARK.training("deepdot", MODELS[:2]) == TrainSpec(
        encoder=ENCODER.replace(encoder="deepdot"), sources=(BENCHMARK.source(MODELS[0], TRAIN), source),
        layers=(1, 3), rows=77, seeds=(5, 9),
    )  # fmt: skip


def test_models_that_are_trained_on():
    assert BENCHMARK.trained_on("unseen") == MODELS[:4]
    assert BENCHMARK.trained_on("seen") == BENCHMARK.trained_on("transfer") == MODELS


def test_needs_of_layer_prediction():
    needed = layer_prediction.needs(BENCHMARK)
    layers = {BENCHMARK.source(model, data) for model in MODELS for data in (TEST, OTHER)}
    trainings = {
        BENCHMARK.training(kind, models) for kind in ("deepdot", "contrasim") for models in (MODELS[:4], MODELS)
    }
    assert set(needed) == layers | trainings and len(needed) == 16
    relative = layer_prediction.needs(BENCHMARK.replace(measures=("contrasim.relative",), protocols=("unseen",)))
    assert {item.data for item in relative if isinstance(item, ExtractionSpec)} == {TEST, TRAIN}
    assert len(relative) == 13


def test_training_and_neighbours_of_retrieval():
    assert RETRIEVAL.training("deepcka") == PairedSpec(
        encoder=ENCODER.replace(encoder="deepcka"), sources=SIDES["train"], pairs=((0, 2), (1, 2)), layers=(2, 4),
        apart_from=tuple(source.data for source in SIDES["test"]), seeds=(5, 9),
    )  # fmt: skip
    assert RETRIEVAL.neighbours(1) == NeighboursSpec(
        source=SIDES["test"][1], layers=(2, 4), k=7, metric="ip", index="ivf"
    )


@pytest.mark.parametrize("relative", [False, True])
def test_needs_of_retrieval(relative):
    spec = RETRIEVAL.replace(measures=("dot", "contrasim.relative")) if relative else RETRIEVAL
    training = spec.training("contrasim.relative" if relative else "contrasim.norm")
    searched = {spec.neighbours(0), spec.neighbours(2)}  # of the candidates, not of the anchors
    assert set(retrieval.needs(spec)) == {
        *SIDES["test"], *searched, training, *(SIDES["train"] if relative else ())
    }  # fmt: skip
    assert not searched & set(retrieval.needs(spec.replace(negatives=("random",))))
