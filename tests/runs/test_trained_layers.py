"""Encoders are trained on the layers, rows and options that were asked for; by default not on the embeddings."""

from argparse import Namespace

import pytest

from contrasim_core.activations.layer import Activations
from contrasim_core.activations.spec import Execution, ExtractionSpec
from contrasim_core.commands import main as cli
from contrasim_core.commands.options import encoder_spec
from contrasim_core.encoder.contrasim import ContraSim
from contrasim_core.encoder.spec import PAPER, QUICK, EncoderSpec, PairedSpec, TrainSpec
from contrasim_core.models.find import bundled_names
from contrasim_core.refs import DatasetRef, LayerRef, ModelRef, SampleSet
from contrasim_core.runs.kind import Context
from contrasim_core.runs.layer_prediction.presets import benchmark_spec
from contrasim_core.runs.paired_training import run as paired_training
from contrasim_core.runs.retrieval.presets import caption_spec, multilingual_spec
from contrasim_core.runs.training import run as training
from contrasim_core.runs.training.presets import train_spec
from contrasim_core.zoo.families import quick_for
from tests.networks import matrices

needs_models = pytest.mark.skipif(not bundled_names(), reason="no bundled models in this checkout")
DEPTH = 3
OPTIONS = EncoderSpec(epochs=2, temperature=0.3, hidden=(8,))
SOURCES = tuple(
    ExtractionSpec(model=ModelRef(name=name, kind="bundled"), data=DatasetRef(name="digits", kind="bundled"))
    for name in ("a", "b", "c")
)


def have(sources=SOURCES, n=24):
    """The layers of every source, from the embeddings on."""
    rows = SampleSet(tuple(map(str, range(n))))
    return {
        source: [
            Activations.of(values, layer=LayerRef(source.model.name, index, f"block {index}"), samples=rows)
            for index, values in enumerate(matrices(number, n=n, layers=DEPTH + 1))
        ]
        for number, source in enumerate(sources)
    }


@pytest.fixture
def asked(monkeypatch):
    """What the two fitting functions are called with; nothing is trained."""
    calls = []
    for name in ("fit_seeds", "fit_pairs"):
        monkeypatch.setattr(ContraSim, name, lambda *args, **options: calls.append((args, options)) or [])
    return calls


def context(**options):
    return Context(execution=Execution(**options), progress=lambda *_args, **_facts: None)


@pytest.mark.parametrize(("layers", "trained_on"), [(None, [1, 2, 3]), ((2, 3), [2, 3]), ((0, 1), [0, 1])])
@pytest.mark.parametrize(("rows", "count"), [(None, 24), (10, 10)])
def test_layers_and_rows_of_layer_training(layers, trained_on, rows, count, asked):
    spec = TrainSpec(encoder=OPTIONS, sources=SOURCES, layers=layers, rows=rows, seeds=(4, 2))
    training.make(spec, have(), context(device="cpu"))
    ((options, seeds, models), more) = asked[0]
    assert (options, seeds, more["device"]) == (OPTIONS, (4, 2), "cpu")
    assert [[item.layer.model for item in items] for items in models] == [[name] * len(trained_on) for name in "abc"]
    assert [[item.layer.index for item in items] for items in models] == [trained_on] * 3
    assert {len(item.samples) for items in models for item in items} == {count}


@pytest.mark.parametrize(("layers", "trained_on"), [(None, [1, 2, 3]), ((2, 3), [2, 3]), ((0, 1), [0, 1])])
def test_layers_of_paired_training(layers, trained_on, asked):
    spec = PairedSpec(encoder=OPTIONS, sources=SOURCES, pairs=((0, 2), (1, 2)), layers=layers, seeds=(4, 2))
    paired_training.make(spec, have(), context(device="cpu"))
    ((options, sources, pairs, seeds), more) = asked[0]
    assert (options, pairs, seeds, more["device"]) == (OPTIONS, ((0, 2), (1, 2)), (4, 2), "cpu")
    assert list(sources) == ["a", "b", "c"]
    assert [[item.layer.index for item in items] for items in sources.values()] == [trained_on] * 3


def test_the_last_layer_alone_is_paired_where_the_sources_have_no_other(asked):
    sources = tuple(source.replace(layers=(-1,)) for source in SOURCES)
    given = {source: items[-1:] for source, items in have(sources).items()}
    paired_training.make(PairedSpec(encoder=OPTIONS, sources=sources, pairs=((0, 1),)), given, context())
    assert [[item.layer.index for item in items] for items in asked[0][0][1].values()] == [[3]] * 3


def test_training_samples_that_are_tested_on_are_left_out(asked, monkeypatch):
    monkeypatch.setattr(paired_training, "left_out_of", lambda _: (0, 5))
    paired_training.make(PairedSpec(encoder=OPTIONS, sources=SOURCES, pairs=((0, 1),)), have(), context())
    ids = {item.samples.ids for items in asked[0][0][1].values() for item in items}
    assert ids == {tuple(str(row) for row in range(24) if row not in (0, 5))}


@needs_models
def test_no_preset_names_layers():
    """None stands for all but the embeddings; the page and the commands take these presets."""
    trainings = [
        train_spec("digits-vit", encoder=QUICK),
        benchmark_spec("digits-vit", measures=("contrasim",)).training("contrasim", _models()),
        multilingual_spec(measures=("contrasim",)).training("contrasim"),
        caption_spec(measures=("contrasim",)).training("contrasim"),
    ]
    assert [item.layers for item in trainings] == [None] * 4
    assert [{source.layers for source in item.sources} for item in trainings] == [{"all"}] * 3 + [{(-1,)}]


def _models():
    return benchmark_spec("digits-vit", measures=("contrasim",)).models


@needs_models
@pytest.mark.parametrize("encoder", ["contrasim", "deepcka"])
def test_the_command_trains_what_was_asked_for(encoder, monkeypatch, tmp_path):
    specs = []

    def caught(spec, **options):
        specs.append((spec, options))
        raise KeyboardInterrupt

    monkeypatch.setattr("contrasim_core.runs.run", caught)
    cli.main(
        ["train", "--models", "digits-vit-0,digits-vit-2", "--encoder", encoder, "--seeds", "3", "--rows", "77",
         "--preset", "paper", "--epochs", "4", "--batch-rows", "20", "--device", "cpu", "--batch-size", "9",
         "--cache", str(tmp_path)]
    )  # fmt: skip
    ((spec, options),) = specs
    assert spec.encoder == PAPER.replace(encoder=encoder, epochs=4, batch_rows=20)
    assert (spec.layers, spec.rows, spec.seeds) == (None, 77, (0, 1, 2))
    assert [source.model.name for source in spec.sources] == ["digits-vit-0", "digits-vit-2"]
    assert {(source.data.name, source.data.split, source.pooling) for source in spec.sources} == {
        ("digits", "train", "cls")
    }
    assert options["execution"] == Execution(device="cpu", batch_size=9)
    assert options["store"].root == tmp_path


def test_a_preset_is_quick_for_bundled_models_and_the_papers_for_others():
    def chosen(preset, *, bundled, models="digits-vit", **given):
        options = Namespace(preset=preset, models=models, epochs=None, batch_rows=None)
        options.__dict__.update(given)
        return encoder_spec(options, bundled=bundled)

    quick = quick_for("digits-vit")
    assert quick != PAPER
    assert chosen("auto", bundled=True) == chosen("quick", bundled=False) == quick
    assert chosen("auto", bundled=False) == chosen("paper", bundled=True) == PAPER
    assert chosen("quick", bundled=False, models="owner/a,owner/b") == QUICK
    assert chosen("auto", bundled=True, epochs=1, batch_rows=4) == quick.replace(epochs=1, batch_rows=4)
