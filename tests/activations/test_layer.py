"""Representations with their provenance: pairing is a checked fact, and files are read without trust."""

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_tensors

from contrasim_core.activations.layer import (
    Activations,
    as_matrix,
    by_model,
    check_paired,
    layers_of,
    load_activations,
    pick_layers,
    without_rows,
)
from contrasim_core.activations.spec import ExtractionSpec
from contrasim_core.errors import DataError, LayerError, PairingError, ShapeError
from contrasim_core.refs import DatasetRef, LayerRef, ModelRef, SampleSet

LAYER = LayerRef("net", 2, "block 2")


def activations(ids, model="net", index=2, fingerprint="", width=3):
    values = np.random.default_rng(0).normal(size=(len(ids), width))
    samples = SampleSet(tuple(ids), fingerprint)
    return Activations.of(values, layer=LayerRef(model, index, f"block {index}"), samples=samples)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([[1, 2], [3, 4]], torch.float32),
        ([[1.0, 2.0], [3.0, 4.0]], torch.float64),
        (np.ones((2, 2), np.float32), torch.float32),
        (np.ones((2, 2), np.float16), torch.float32),
        (np.ones((2, 2), bool), torch.float32),
        (np.ones((2, 2), np.int64), torch.float32),
        (torch.ones(2, 2, dtype=torch.bfloat16), torch.float32),
        (torch.ones(2, 2, dtype=torch.float64, requires_grad=True), torch.float64),
        (np.ones((2, 2), ">f4"), torch.float32),
        (np.ones((4, 2))[::-2], torch.float64),
    ],
)
def test_matrices_become_floating_tensors(values, dtype):
    tensor = as_matrix(values)
    assert tensor.dtype == dtype
    assert not tensor.requires_grad
    assert tuple(tensor.shape) == (2, 2)


def test_read_only_arrays_are_taken_without_a_copy_and_without_a_word(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(6.0).reshape(3, 2))
    stored = np.load(tmp_path / "x.npy", mmap_mode="r")
    tensor = as_matrix(stored)
    assert tensor.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert tensor.data_ptr() == stored.ctypes.data


@pytest.mark.parametrize("shape", [(), (4,), (2, 3, 4)])
def test_what_is_no_matrix_is_refused(shape):
    with pytest.raises(
        ShapeError, match=r"hidden has shape .* A representation is \[n, d\]: one row per sample\. Pool"
    ):
        as_matrix(np.zeros(shape), "hidden")


@pytest.mark.parametrize("values", [[["a", "b"]], [[1, 2], [3]], [[None, 1]], np.ones((2, 2), complex)])
def test_what_is_no_numbers_is_refused(values):
    with pytest.raises(ShapeError, match=r"hidden is not a matrix of real numbers .* A representation is \[n, d\]"):
        as_matrix(values, "hidden")


def test_activations_need_one_row_per_sample():
    with pytest.raises(ShapeError, match=r"net layer 2 \(block 2\) has 4 rows, but its sample set has 3 ids\."):
        Activations.of(np.zeros((4, 2)), layer=LAYER, samples=SampleSet(("a", "b", "c")))


def test_the_first_rows_are_activations_of_their_own():
    full = activations("abcde")
    part = full.rows(3)
    assert part.samples.ids == ("a", "b", "c")
    torch.testing.assert_close(part.values, full.values[:3])
    assert full.rows(None) is full.rows(5) is full.rows(99) is full
    check_paired(part, activations("abcde", model="other").rows(3))
    for other in (full, full.rows(2), activations("abcxy").rows(3)):
        with pytest.raises(PairingError):
            check_paired(part, other)


@pytest.mark.parametrize(
    ("ids", "fingerprint", "message"),
    [
        ("abcd", "", "3 rows against 4"),
        ("cba", "", "the same ids in another order"),
        ("abx", "", "1 ids of the first are not in the second, such as 'c'"),
        ("abc", "other text", "the same ids, but different content"),
    ],
)
def test_other_samples_are_refused_with_what_differs(ids, fingerprint, message):
    a, b = activations("abc"), activations(ids, model="other", fingerprint=fingerprint)
    expected = (
        r"^net layer 2 \(block 2\) and other layer 2 \(block 2\) were not extracted on the same samples in the same "
        rf"order \({message}\)\. Extract both again on the same data set\.$"
    )
    with pytest.raises(PairingError, match=expected):
        check_paired(a, b)


def test_the_same_samples_pair():
    check_paired(activations("abc"), activations("abc", model="other"))


def test_activations_are_grouped_by_model_in_order_of_layers():
    items = [activations("ab", model=model, index=index) for model, index in (("m", 2), ("k", 1), ("m", 0))]
    groups = by_model(items)
    assert list(groups) == ["m", "k"]
    assert [item.layer.index for item in groups["m"]] == [0, 2]


# --- files ----------------------------------------------------------------------------------------------------------


def indices_of(items):
    return [item.layer.index for item in items]


def test_all_layers_but_the_embeddings_are_picked_where_none_is_named():
    layers = [activations("abc", index=index) for index in range(4)]
    assert indices_of(pick_layers(layers, None)) == [1, 2, 3]
    assert indices_of(pick_layers(layers[2:], None)) == [2, 3], "by index, not by place"
    assert indices_of(pick_layers(layers, (0, 3))) == [0, 3]
    assert indices_of(pick_layers(layers, ())) == []
    with pytest.raises(LayerError, match=r"net has no layer 4\. Its layers are 0 to 3 \(0 is the output of the emb"):
        pick_layers(layers, (1, 4))


def test_picked_layers_are_cut_to_their_first_rows():
    layers = [activations("abcde", index=index) for index in range(3)]
    assert [item.samples.ids for item in pick_layers(layers, None, 2)] == [("a", "b")] * 2
    assert pick_layers(layers, (1,))[0] is layers[1]


def test_a_source_that_was_asked_for_some_layers_gives_all_of_those():
    whole = ExtractionSpec(model=ModelRef(name="net", kind="bundled"), data=DatasetRef(name="digits", kind="bundled"))
    layers = [activations("abc", index=index) for index in range(3)]
    assert indices_of(layers_of(whole, layers, None)) == [1, 2]
    assert indices_of(layers_of(whole, layers, (0,))) == [0]
    assert indices_of(layers_of(whole.replace(layers=(0,)), layers[:1], None)) == [0]
    assert indices_of(layers_of(whole.replace(layers=(-1,)), layers[2:], (1,))) == [2]


def test_rows_left_out_are_named_in_the_fingerprint():
    full = activations("abcde")
    part = without_rows(full, (1, 3))
    assert part.samples.ids == ("a", "c", "e")
    torch.testing.assert_close(part.values, full.values[[0, 2, 4]])
    assert part.layer == full.layer and part.recipe == full.recipe
    assert without_rows(full, ()) is full
    check_paired(part, without_rows(activations("abcde", model="other"), (1, 3)))
    for other in (full, without_rows(full, (1, 4)), without_rows(full, (1,))):
        with pytest.raises(PairingError):
            check_paired(part, other)


def arrays():
    rng = np.random.default_rng(0)
    return {"first": rng.normal(size=(4, 3)), "second": rng.normal(size=(4, 5)).astype(np.float32)}


def test_npz_files_with_ids(tmp_path):
    np.savez(tmp_path / "bert.npz", **arrays(), ids=np.array(list("wxyz")))
    first, second = load_activations(tmp_path / "bert.npz")
    assert (first.layer, second.layer) == (LayerRef("bert", 0, "first"), LayerRef("bert", 1, "second"))
    assert first.samples.ids == tuple("wxyz")
    np.testing.assert_array_equal(second.values.numpy(), arrays()["second"])


def test_safetensors_files(tmp_path):
    save_file({**arrays(), "ids": np.arange(4)}, tmp_path / "bert.safetensors")
    layers = load_activations(str(tmp_path / "bert.safetensors"))
    assert {item.layer.name for item in layers} == {"first", "second"}
    assert layers[0].samples.ids == ("0", "1", "2", "3")


def test_half_precision_safetensors_become_float32(tmp_path):
    save_tensors({"x": torch.ones(3, 2, dtype=torch.bfloat16)}, tmp_path / "x.safetensors")
    (layer,) = load_activations(tmp_path / "x.safetensors")
    assert layer.values.dtype == torch.float32


def test_npy_files_hold_one_layer_with_numbered_rows(tmp_path):
    np.save(tmp_path / "a.npy", arrays()["first"])
    np.save(tmp_path / "b.npy", arrays()["second"])
    (a,), (b,) = load_activations(tmp_path / "a.npy"), load_activations(tmp_path / "b.npy")
    check_paired(a, b)
    assert a.layer == LayerRef("a", 0, "layer")


def test_files_with_other_ids_do_not_pair(tmp_path):
    for name, ids in (("a", "wxyz"), ("b", "xwyz")):
        np.savez(tmp_path / f"{name}.npz", **arrays(), ids=np.array(list(ids)))
    with pytest.raises(PairingError, match="the same ids in another order"):
        check_paired(load_activations(tmp_path / "a.npz")[0], load_activations(tmp_path / "b.npz")[0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"x": np.zeros(3)}, r"bad\.npz contains no matrix \[n, d\]\. Found: x \(3,\)\."),
        ({"ids": np.arange(3)}, r"bad\.npz contains no matrix \[n, d\]\. Found: nothing\."),
        (
            {"x": np.zeros((3, 2)), "y": np.zeros((4, 2))},
            r"layers have different numbers of rows: 3, but .*y.*\(4, 2\)",
        ),
        (
            {"x": np.zeros((3, 2)), "ids": np.array(["a", "a", "b"])},
            r"must name each of the 3 rows once; it has 2 names",
        ),
        ({"x": np.zeros((3, 2)), "ids": np.array(["a", "b"])}, r"must name each of the 3 rows once; it has 2 names"),
        ({"x": np.array([["a", "b"]])}, r"bad\.npz: x is not a matrix of real numbers"),
    ],
)
def test_files_that_cannot_be_used_say_why(content, message, tmp_path):
    np.savez(tmp_path / "bad.npz", **content)
    with pytest.raises(DataError, match=message):
        load_activations(tmp_path / "bad.npz")


def test_missing_files_and_other_types(tmp_path):
    with pytest.raises(DataError, match=r"none\.npz does not exist\. Expected precomputed activations in \.npz"):
        load_activations(tmp_path / "none.npz")
    (tmp_path / "x.pkl").write_bytes(b"")
    with pytest.raises(DataError, match=r"x\.pkl is not an \.npz, \.npy or \.safetensors file\. Pickles are refused"):
        load_activations(tmp_path / "x.pkl")


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.safetensors"])
def test_damaged_files_and_hidden_pickles_are_refused(name, tmp_path):
    (tmp_path / name).write_bytes(b"this is no array")
    with pytest.raises(DataError, match=rf"{name} cannot be read"):
        load_activations(tmp_path / name)


def test_objects_in_arrays_are_not_unpickled(tmp_path):
    np.save(tmp_path / "x.npy", np.array([[{}, {}]], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"x\.npy cannot be read.*Pickled objects are refused"):
        load_activations(tmp_path / "x.npy")
