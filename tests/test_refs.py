"""Names of things: labels people read, and fingerprints that see every change."""

import pytest

from contrasim_core.refs import DatasetRef, LayerRef, ModelRef, SampleSet, digest, layer_refs


def test_digest_sees_content_order_and_borders():
    assert digest(["a", "b"]) == digest([b"a", "b"])
    assert len({digest(parts) for parts in (["a", "b"], ["b", "a"], ["ab"], ["a", "b", ""], [""], [])}) == 6


def test_digest_is_pinned():
    assert digest(["contrasim", b"\x00"]) == "c9cf781dbc80f40a"


@pytest.mark.parametrize(
    ("ref", "label"),
    [
        (ModelRef(name="digits-vit-0", kind="bundled"), "digits-vit-0"),
        (ModelRef(name="google/multiberts-seed_0", kind="hub"), "google/multiberts-seed_0"),
        (ModelRef(name="/some/where/my-bert/", kind="folder"), "my-bert"),
        (ModelRef(name="openai/clip", kind="hub", tower="vision"), "openai/clip (vision)"),
        (DatasetRef(name="digits", kind="bundled"), "digits (test)"),
        (DatasetRef(name="digits", kind="bundled", split="train", limit=9), "digits (train, first 9)"),
        (DatasetRef(name="/some/where/table.csv", kind="file", split="all"), "table.csv (all)"),
        (DatasetRef(name="owner/name", kind="hub"), "owner/name (test)"),
        (LayerRef("m", 0, "embeddings"), "0"),
        (LayerRef("m", 3, "block 3"), "3"),
        (LayerRef("m", 3, "layer1.conv"), "layer1.conv"),
    ],
)
def test_labels(ref, label):
    assert ref.label == label


def test_layers_sort_by_model_and_index_and_read_well():
    assert sorted([LayerRef("b", 0, "x"), LayerRef("a", 10, "x"), LayerRef("a", 9, "x")])[0] == LayerRef("a", 9, "x")
    assert str(LayerRef("m", 2, "block 2")) == "m layer 2 (block 2)"


def test_layer_refs_take_the_index_from_the_name():
    assert [ref.index for ref in layer_refs("m", ["embeddings", "block 2", "block 11"])] == [0, 2, 11]


def test_layer_refs_count_modules():
    assert [ref.index for ref in layer_refs("m", ["conv1", "block x", "fc#2"])] == [0, 1, 2]


def test_sample_set_is_known_by_its_ids():
    a, b, turned = SampleSet(("x", "y")), SampleSet(("x", "y")), SampleSet(("y", "x"))
    assert len(a) == 2
    assert a.fingerprint == b.fingerprint != turned.fingerprint


def test_sample_set_keeps_a_fingerprint_that_covers_content():
    assert SampleSet(("x",), "given").fingerprint == "given"
