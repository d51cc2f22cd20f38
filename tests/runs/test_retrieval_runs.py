"""Runs of the paired benchmarks: nothing is searched or trained twice, and names and layers are what was asked for."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from contrasim_core.activations.spec import ExtractionSpec, names_of
from contrasim_core.data import load_data, pairs
from contrasim_core.data.pairs import leaks
from contrasim_core.encoder.spec import EncoderSpec
from contrasim_core.errors import SpecError
from contrasim_core.models.find import BUNDLED_ROOT, bundled_names
from contrasim_core.refs import DatasetRef, ModelRef
from contrasim_core.runs import run
from contrasim_core.runs.neighbours import run as neighbours
from contrasim_core.runs.paired_training.run import left_out_of
from contrasim_core.runs.retrieval.presets import caption_spec, multilingual_spec
from contrasim_core.store import Store

pytestmark = pytest.mark.skipif("phrases-bert-0" not in bundled_names(), reason="no bundled models in this checkout")
QUICK = EncoderSpec(epochs=1, batch_rows=32)


def small(measures=("dot",), **options):
    return multilingual_spec(
        measures=measures, languages=("en", "tr"), encoder=QUICK, **{"rows": (48, 60), **options}
    )  # fmt: skip


def test_neighbours_are_kept_and_used_by_other_runs(tmp_path, monkeypatch):
    store = Store(tmp_path, example=None)
    first = run(small(), store=store)
    assert len(store.entries(["neighbours"])) == 2, "one for each language"
    monkeypatch.setattr(neighbours, "make", lambda *_: pytest.fail("searched again"))
    other = run(small(("norm",)), store=store)
    np.testing.assert_array_equal(other.neighbours, first.neighbours)
    monkeypatch.undo()
    run(small(metric="ip"), store=store)
    assert len(store.entries(["neighbours"])) == 4


def test_layers_that_are_not_there_are_refused(tmp_path):
    message = r"phrases-bert-0 has no layer 9\. Its layers are 0 to 6"
    with pytest.raises(SpecError, match=message):
        run(small(layers=(1, 9)), store=Store(tmp_path, example=None))


def test_a_single_layer_is_called_by_its_number_and_the_last_ones_last(tmp_path):
    store = Store(tmp_path, example=None)
    assert run(small(layers=(2,), negatives=("random",)), store=store).layers == ("2",)
    captions = caption_spec(measures=("cka.linear",), rows=(48, 80), batch=8, negatives=("random",))
    assert run(captions, store=store).layers == ("last",)


def test_a_constant_layer_scores_nothing_in_a_real_model(tmp_path):
    """[CLS] of the embeddings is the same row for every sentence: copies have no neighbours."""
    made = run(small(("dot", "norm", "contrasim"), layers=(0, 1), pooling="cls"), store=Store(tmp_path, example=None))
    scores = {(line.measure, line.negatives): line.accuracy for line in made.lines if line.layer == made.layers[0]}
    assert len(scores) == 6 and set(scores.values()) == {0.0}
    assert max(line.accuracy for line in made.lines if line.layer == "1") > 0.2


def test_every_source_has_a_name_of_its_own():
    data = DatasetRef(name="d", kind="bundled", fingerprint="d")
    models = [ModelRef(name=f"/m/{name}/final", kind="folder", fingerprint=name) for name in ("vit", "bert", "gpt2")]
    sources = tuple(ExtractionSpec(model=model, data=data) for model in models)
    assert names_of(sources) == ("final", "final (2)", "final (3)")


def test_models_of_one_name_are_judged(tmp_path):
    """Their folders differ, what they are called does not."""
    folders = []
    for name in ("vit", "bert"):
        folder = tmp_path / name / "final"
        shutil.copytree(BUNDLED_ROOT / f"scenes-{name}-0", folder)
        folders.append(str(folder))
    spec = caption_spec(folders[:1], folders[1:], measures=("contrasim",), rows=(48, 80), batch=8, encoder=QUICK)
    made = run(spec, store=Store(tmp_path / "store", example=None))
    assert made.sources == ("final", "final (2)")
    assert {line.reason for line in made.lines} == {""}


def test_samples_left_out_of_training_change_the_fingerprint(tmp_path):
    """An encoder trained without some samples is of another set of samples than one trained with all."""
    training = small(("contrasim",)).training("contrasim")
    store = Store(tmp_path, example=None)
    without = training.replace(apart_from=tuple(replace(source.data, limit=4) for source in training.sources))
    prints = {run(item, store=store)[0].sample_fingerprint for item in (training.replace(apart_from=()), without)}
    assert len(prints) == 2 and left_out_of(without) == (0, 1, 2, 3)


def test_training_samples_that_are_tested_are_found_in_any_language(tmp_path):
    column = pairs.column_of("en", ("en", "tr"))
    for name, rows in (("train", ["a\tA1", "b\tB1", "c\tC1"]), ("test", ["x\tB1", "C\ty"])):
        (tmp_path / f"{name}.tsv").write_text("\n".join(["en\ttr", *rows]) + "\n", encoding="utf-8")
    model = ModelRef(name="m", kind="hub")
    sides = [pairs.column_of(side, ("en", "tr")) for side in ("en", "tr")]
    from contrasim_core.data import resolve_data

    train = [
        ExtractionSpec(model=model, data=resolve_data(tmp_path / "train.tsv", split="all", column=side))
        for side in sides
    ]
    test = [load_data(tmp_path / "test.tsv", split="all", column=side) for side in sides]
    assert column in sides
    assert leaks([load_data(source.data) for source in train], test) == (1, 2)


def test_captions_have_five_encoders_for_each_pair_as_in_the_paper():
    assert caption_spec(measures=("contrasim",)).seeds == (0, 1, 2, 3, 4)
    assert caption_spec(measures=("contrasim",), seeds=(7,)).seeds == (7,)
    assert small(("contrasim",)).seeds == (0,)
