"""Extraction: order, batches, memory, modules of one's own, number formats, and words for what goes wrong."""

import json
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from contrasim_core.activations import extract as extract_module
from contrasim_core.activations.extract import Extraction
from contrasim_core.activations.layer import check_paired
from contrasim_core.activations.runner import Runner, is_out_of_memory
from contrasim_core.activations.spec import Execution, ExtractionSpec
from contrasim_core.api import extract
from contrasim_core.data import load_data
from contrasim_core.errors import (
    DataError,
    LayerError,
    ModelLoadError,
    OutOfMemoryError,
    PairingError,
    RunCancelled,
    SpecError,
    UnknownDataError,
    UnknownModelError,
)
from contrasim_core.models.find import resolve_model
from contrasim_core.models.load import load_model
from tests.tiny import LAYERS, TEXTS, WIDTH, hook_count, image

TEXT = list(TEXTS)
ROOT = Path(__file__).resolve().parents[2]


def values(found):
    return [item.values for item in found]


def assert_same(a, b, **tolerance):
    assert [item.layer.name for item in a] == [item.layer.name for item in b]
    assert [item.samples.ids for item in a] == [item.samples.ids for item in b]
    for x, y in zip(values(a), values(b), strict=True):
        torch.testing.assert_close(x, y, **tolerance)


# ---- order, batches, layers


@pytest.mark.parametrize("pooling", ["mean", "word"])
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_results_do_not_depend_on_the_batch_size(size, pooling, tiny):
    whole = extract(tiny("bert"), TEXT, pooling=pooling, batch_size=len(TEXT))
    assert_same(extract(tiny("bert"), TEXT, pooling=pooling, batch_size=size), whole, rtol=1e-4, atol=1e-4)


def test_images_do_not_depend_on_the_batch_size(tiny):
    pictures = [image(8, 8, seed) for seed in range(5)]
    whole = extract(tiny("vit"), pictures)
    assert_same(extract(tiny("vit"), pictures, batch_size=2), whole, rtol=1e-4, atol=1e-4)


def test_rows_are_in_the_order_of_the_samples(tiny):
    forward, backward = extract(tiny("bert"), TEXT, batch_size=2), extract(tiny("bert"), TEXT[::-1], batch_size=2)
    for x, y in zip(values(forward), values(backward), strict=True):
        torch.testing.assert_close(x, y.flip(0), rtol=1e-4, atol=1e-4)
    with pytest.raises(PairingError):
        check_paired(forward[0], backward[0])


def test_models_on_the_same_samples_pair(tiny):
    check_paired(extract(tiny("bert"), TEXT)[1], extract(tiny("gpt2"), TEXT)[2])


def test_words_have_ids_of_their_sentence_and_place(tiny):
    found = extract(tiny("bert"), ["the cat sees", "a playing dog"], pooling="word")
    assert found[0].samples.ids == ("0/0", "0/1", "0/2", "1/0", "1/1", "1/2")
    check_paired(found[0], extract(tiny("gpt2"), ["the cat sees", "a playing dog"], pooling="word")[0])


def test_words_that_one_tokenizer_cuts_off_do_not_pair(tiny):
    long, short = (extract(tiny("bert"), TEXT, pooling="word", max_length=length)[0] for length in (48, 8))
    assert len(short.samples) < len(long.samples)
    with pytest.raises(PairingError):
        check_paired(long, short)


@pytest.mark.parametrize(
    ("layers", "names"),
    [
        ([0], ["embeddings"]),
        ([-1], ["block 3"]),
        ([2, 0], ["embeddings", "block 2"]),
        (["1"], ["block 1"]),
        ([1, 1, -3], ["block 1"]),
    ],
)
def test_layers_can_be_chosen(layers, names, tiny, empty_store):
    whole = {item.layer.name: item for item in extract(tiny("bert"), TEXT)}
    for store in (None, empty_store):
        found = extract(tiny("bert"), TEXT, layers=layers, store=store)
        assert [item.layer.name for item in found] == names
        assert_same(found, [whole[name] for name in names])


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([4], r"^tiny-bert has no layer 4\. Its layers are 0 to 3 \(0 is the output of the embeddings\)\.$"),
        ([-5], r"^tiny-bert has no layer -5\."),
        (
            ["encoder.layer.0"],
            r"^tiny-bert: layers of a Hugging Face model are indices, 0 .* not 'encoder\.layer\.0'\.",
        ),
        ([], r"layers is empty\. Name a layer, or 'all'\."),
    ],
)
def test_wrong_layers_are_told(layers, message, tiny, empty_store):
    for store in (None, empty_store):
        with pytest.raises(SpecError, match=message):
            extract(tiny("bert"), TEXT, layers=layers, store=store)


def test_texts_are_cut_at_max_length(tiny):
    cut = extract(tiny("bert"), ["the cat sees the old dog"], max_length=5)  # three words and two special tokens
    assert_same(cut, extract(tiny("bert"), ["the cat sees"]), rtol=1e-4, atol=1e-4)
    with pytest.raises(PairingError):  # but they are other samples
        check_paired(cut[0], extract(tiny("bert"), ["the cat sees"])[0])


@pytest.mark.parametrize("family", ["bert", "roberta", "gpt2"])
def test_texts_longer_than_the_position_table_are_cut(family, tiny):
    (row,) = extract(tiny(family), ["the cat " * 200], max_length=10_000)[-1].values
    assert torch.isfinite(row).all()


@pytest.mark.parametrize(("dtype", "tolerance"), [("bfloat16", 0.2), ("float16", 0.03)])
@pytest.mark.parametrize("family", ["bert", "vit"])
def test_half_precision_gives_float32_rows_near_the_full_ones(family, dtype, tolerance, tiny):
    data = TEXT if family == "bert" else [image(8, 8, seed) for seed in range(4)]
    full, half = extract(tiny(family), data), extract(tiny(family), data, dtype=dtype)
    assert half[0].recipe["dtype"] == dtype and "dtype" not in full[0].recipe
    for x, y in zip(values(full), values(half), strict=True):
        assert y.dtype == torch.float32 and not torch.equal(x, y)
        assert (x - y).norm() < tolerance * x.norm()


# ---- what goes wrong


def test_empty_texts_are_named(tiny):
    with pytest.raises(DataError, match=r"^inline \(all\): 2 texts are empty, such as sample 1\. Remove those rows\.$"):
        extract(tiny("bert"), ["the cat", " ", "a dog", ""])


def test_no_samples_are_told(tiny):
    with pytest.raises(DataError, match=r"^inline \(all\) contains no samples\.$"):
        extract(tiny("bert"), [])


def test_models_refuse_the_other_modality(tiny):
    with pytest.raises(DataError, match=r"^tiny-bert takes text, but digits \(test, first 2\) contains images\.$"):
        extract(tiny("bert"), "digits", limit=2)
    with pytest.raises(DataError, match=r"^tiny-vit takes images, but inline \(all\) contains texts\.$"):
        extract(tiny("vit"), TEXT)


@pytest.mark.parametrize(
    ("family", "pooling", "message"),
    [
        ("bert", "spatial-mean", r"'spatial-mean' pooling is for images\. For text use cls, mean, last or word\."),
        ("vit", "word", r"'word' pooling is for text\. For images use cls, mean or spatial-mean\."),
        ("vit", "last", r"'last' pooling is for text\."),
        ("bert", "max", r"pooling is 'max'\. It can be: 'cls', "),
    ],
)
def test_wrong_poolings_are_told(family, pooling, message, tiny):
    with pytest.raises(SpecError, match=message):
        extract(tiny(family), TEXT if family == "bert" else [image(8, 8, 0)], pooling=pooling)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        (
            "no such model!",
            UnknownModelError,
            r"^Unknown model 'no such model!'\. Give a bundled name \(.*, a local folder",
        ),
        ("./nowhere", UnknownModelError, r"^Unknown model '\./nowhere'\."),
        ("owner/no-such-model", ModelLoadError, r"^owner/no-such-model cannot be loaded \(HF_HUB_OFFLINE is set, so"),
        ("digits-vit-99", ModelLoadError, r"Bundled models with a name like it: .*digits-vit-\d"),
        ("digits-vit-0#audio", SpecError, r"the tower after # can be text or vision, not 'audio'\.$"),
    ],
)
def test_unknown_models_are_told(name, error, message):
    with pytest.raises(error, match=message):
        extract(name, TEXT, pooling="mean")


def test_unknown_data_are_told(tiny):
    with pytest.raises(
        UnknownDataError, match=r"^Unknown data set 'digitz'\. Give a bundled name \(digits, photo-patches, "
    ):
        extract(tiny("vit"), "digitz")


def test_a_tensor_needs_a_module(tiny):
    with pytest.raises(SpecError, match=r"^A tensor as data needs an nn\.Module as model\."):
        extract(tiny("bert"), torch.zeros(2, 3))


def test_a_device_that_is_not_there_is_told(tiny):
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    with pytest.raises(SpecError, match=r"^This machine has no 'cuda' device\. Use 'auto' or 'cpu'\.$"):
        extract(tiny("bert"), TEXT, device="cuda")


# ---- memory


@pytest.fixture
def memory(monkeypatch):
    """A model that runs out of memory above a number of samples; keeps the sizes that were tried."""
    tried, real = [], Runner._forward

    def limit(most, error):
        def forward(self, batch):
            tried.append(len(batch.rows))
            if len(batch.rows) > most:
                raise error
            return real(self, batch)

        monkeypatch.setattr(Runner, "_forward", forward)
        return tried

    return limit


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
        RuntimeError("MPS backend out of memory"),
        MemoryError(),
    ],
)
def test_batches_are_halved_when_memory_runs_out(error, memory, tiny):
    whole = extract(tiny("bert"), TEXT)
    tried = memory(2, error)
    assert_same(extract(tiny("bert"), TEXT, batch_size=7), whole, rtol=1e-4, atol=1e-4)
    assert tried[:3] == [7, 3, 1] and max(tried[2:]) <= 2 and sum(tried[2:]) == len(TEXT)


def test_a_sample_that_does_not_fit_is_told(memory, tiny):
    memory(0, torch.OutOfMemoryError("CUDA out of memory."))
    with pytest.raises(
        OutOfMemoryError, match=r"^tiny-bert: a single sample does not fit in the memory of cpu\. Use few"
    ):
        extract(tiny("bert"), TEXT)


def test_other_errors_are_not_taken_for_memory(memory, tiny):
    tried = memory(2, RuntimeError("shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="shapes cannot"):
        extract(tiny("bert"), TEXT)
    assert tried == [len(TEXT)]
    assert not is_out_of_memory(ValueError("memory"))


# ---- progress and cancelling


def test_progress_of_a_later_shard_goes_on_from_where_it_starts(tiny, tmp_path):
    spec = ExtractionSpec(model=resolve_model(tiny("bert")), data=load_data(TEXT).ref)
    work = Extraction(spec, Execution(batch_size=2, shard_samples=4), inputs=load_data(TEXT))
    reports = []
    work.into(tmp_path, lambda done, *_, **_facts: reports.append(done), lambda _: nullcontext())
    assert reports == [2, 4, 4, 6, 7, 7], "after each batch, and after each shard"
    assert [info["start"] for info in shard_notes(tmp_path)] == [0, 4], "and shards are as long as was asked for"


def shard_notes(folder):
    return [json.loads(path.read_text()) for path in sorted(folder.glob("shard-*.json"))]


def test_a_batch_that_does_not_fit_is_halved_by_its_own_size(tiny):
    """Not by the size that was asked for, which may be far more than there are samples."""
    loaded = load_model(resolve_model(tiny("bert")))
    work = Extraction(
        ExtractionSpec(model=loaded.ref, data=load_data(TEXT).ref), Execution(batch_size=256), loaded=loaded,
        inputs=load_data(TEXT),
    )  # fmt: skip
    sizes, original = [], work.runner._forward

    def forward(batch):
        sizes.append(len(batch.ids))
        if len(batch.ids) > 3:
            raise MemoryError
        return original(batch)

    work.runner._forward = forward
    work.in_memory(lambda *_, **_facts: None)
    assert sizes == [7, 3, 3, 1]


@pytest.mark.parametrize(
    ("option", "value"), [("max_length", 5), ("dtype", "float16"), ("layers", (1, 2)), ("pooling", "last")]
)
def test_every_option_of_the_api_reaches_the_spec(option, value, tiny, monkeypatch):
    asked = []
    monkeypatch.setattr("contrasim_core.runs.extract.run_extraction", lambda spec, **more: asked.append((spec, more)))
    extract(tiny("bert"), TEXT)
    extract(tiny("bert"), TEXT, device="cpu", batch_size=3, store=(store := object()), **{option: value})
    (plain, _), (spec, more) = asked
    assert spec == plain.replace(**{option: value})
    assert more["execution"] == Execution(device="cpu", batch_size=3) and more["store"] is store


@pytest.mark.parametrize(("option", "value"), [("split", "train"), ("limit", 9), ("column", "caption")])
def test_every_option_of_the_data_reaches_the_spec(option, value, tiny, monkeypatch):
    asked = []
    monkeypatch.setattr("contrasim_core.runs.extract.run_extraction", lambda spec, **_: asked.append(spec))
    named = {"column": "image"} if option != "column" else {}
    extract(tiny("vit"), "scenes", **{**named, option: value})
    assert getattr(asked[0].data, option) == value
    assert asked[0].data.split == ("train" if option == "split" else "test")


def test_options_of_a_spec_reach_the_loader_and_the_tokenizer(tiny, monkeypatch):
    asked = []
    original = extract_module.load_model
    monkeypatch.setattr(
        extract_module, "load_model", lambda ref, **options: asked.append(options) or original(ref, **options)
    )
    spec = ExtractionSpec(
        model=resolve_model(tiny("bert")), data=load_data(TEXT).ref, dtype="bfloat16", max_length=4, layers=(0, 2)
    )
    work = Extraction(spec, Execution(device="cpu", batch_size=2), inputs=load_data(TEXT))
    assert work.runner.batch_size == 2 and work.runner.layers == [0, 2]
    assert asked == [{"device": "cpu", "dtype": "bfloat16"}]
    assert max(map(len, work.runner.batches._encoded["input_ids"])) == 4


def test_progress_counts_samples_and_says_what_is_left(tiny):
    reports = []
    extract(tiny("bert"), TEXT, batch_size=2, progress=lambda *report, **_facts: reports.append(report))
    assert [done for done, _, _ in reports] == [2, 4, 6, 7] and {total for _, total, _ in reports} == {7}
    texts = [text.partition(",")[0] for _, _, text in reports]
    assert texts == [f"tiny-bert: {number} of 7 samples" for number in (2, 4, 6, 7)]


def test_cancelling_stops_between_batches_and_removes_the_hooks(tiny):
    loaded = load_model(resolve_model(tiny("bert")))
    before, reports = hook_count(loaded.module), []

    def stop(done, *_rest, **_facts):
        reports.append(done)
        if done >= 4:
            raise RunCancelled("enough")

    inputs = load_data(TEXT)
    work = Extraction(
        ExtractionSpec(model=loaded.ref, data=inputs.ref), Execution(batch_size=2), loaded=loaded, inputs=inputs
    )
    with pytest.raises(RunCancelled, match=r"^enough$"):
        work.in_memory(stop)
    assert reports == [2, 4] and hook_count(loaded.module) == before


# ---- modules of one's own


class Net(nn.Module):
    """A small network with a dropout, batch normalisation and named parts."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5))
        self.head = nn.Linear(8, 3)
        torch.manual_seed(0)
        for parameter in self.parameters():
            nn.init.normal_(parameter)

    def forward(self, x):
        return self.head(self.features(x))


X = torch.randn(11, 5, generator=torch.Generator().manual_seed(0))


def test_modules_by_name():
    net = Net()
    found = extract(net, X, layers=["features.0", "head"], batch_size=4, name="mine")
    assert [(item.layer.model, item.layer.name, item.layer.index) for item in found] == [
        ("mine", "features.0", 0),
        ("mine", "head", 1),
    ]
    net.eval()
    torch.testing.assert_close(found[0].values, net.features[0](X).detach())
    torch.testing.assert_close(found[1].values, net(X).detach())


def test_modules_by_glob_and_all():
    assert [item.layer.name for item in extract(Net(), X, layers=["features.*"])] == [f"features.{i}" for i in range(4)]
    every = [item.layer.name for item in extract(Net(), X)]
    assert every == [*(f"features.{i}" for i in range(4)), "features", "head"]  # in order of execution


def test_wrong_module_names_list_near_ones():
    with pytest.raises(LayerError, match=r"^Net has no module 'feature\.0'\. Modules are: features"):
        extract(Net(), X, layers=["feature.0"])


@pytest.mark.parametrize("frozen", [True, False])
def test_training_mode_of_every_part_is_restored(frozen):
    net = Net().train()
    if frozen:
        net.features[1].eval()
    before = {name: part.training for name, part in net.named_modules()}
    weights = {name: value.clone() for name, value in net.state_dict().items()}
    extract(net, X)
    assert {name: part.training for name, part in net.named_modules()} == before
    assert hook_count(net) == 0
    assert all(torch.equal(value, weights[name]) for name, value in net.state_dict().items())


def test_modules_are_left_clean_after_an_error():
    net = Net().train()
    with pytest.raises(RuntimeError):
        extract(net, torch.zeros(4, 99))
    assert net.training and hook_count(net) == 0


def test_preprocess_makes_tensors_of_samples():
    def lengths(texts):
        return torch.tensor([[float(len(text)) + place for place in range(5)] for text in texts])

    found = extract(Net(), TEXT, layers=["head"], preprocess=lengths, batch_size=3)
    torch.testing.assert_close(found[0].values, Net().eval()(lengths(TEXT)).detach())


class Sum(nn.Module):
    """Takes what tokenizers give."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 4)

    def forward(self, input_ids, attention_mask):
        return self.embed(input_ids) * attention_mask[..., None]


def test_preprocess_can_give_arguments_by_name_with_a_mask():
    net = Sum()
    ids, mask = torch.tensor([[1, 2, 0], [3, 0, 0]]), torch.tensor([[1, 1, 0], [1, 0, 0]])
    found = extract(net, ["a", "b"], layers=["embed"], preprocess=lambda _: {"input_ids": ids, "attention_mask": mask})
    expected = torch.stack([net.embed.weight[[1, 2]].mean(0), net.embed.weight[3]]).detach()
    torch.testing.assert_close(found[0].values, expected)


def test_samples_that_are_no_tensor_need_preprocess():
    with pytest.raises(DataError, match=r"^These samples are not a tensor\. Give preprocess=, a function"):
        extract(Net(), TEXT)


def test_limit_and_split_hold_for_modules_too():
    def flat(images):
        return torch.stack([torch.from_numpy(np.array(item)).float().flatten()[:5] for item in images])

    found = extract(Net(), "digits", split="train", limit=6, layers=["head"], preprocess=flat)
    assert found[0].samples == load_data("digits", split="train", limit=6).samples
    assert found[0].recipe["data"] == "digits (train, first 6)"
    assert len(extract(Net(), X, limit=4)[0].samples) == 4


def test_ids_and_content_of_a_tensor_are_its_fingerprint():
    named = extract(Net(), X, ids=[f"row {i}" for i in range(11)])[0]
    assert named.samples.ids[3] == "row 3"
    assert named.samples.fingerprint != extract(Net(), X)[0].samples.fingerprint
    assert extract(Net(), X + 1)[0].samples.fingerprint != extract(Net(), X)[0].samples.fingerprint
    with pytest.raises(SpecError, match=r"^ids has 2 entries, but there are 11 samples\.$"):
        extract(Net(), X, ids=["a", "b"])


# ---- quiet


def test_nothing_is_printed_and_settings_are_left_alone(tiny):
    """In a process of its own: transformers tells of a missing torchvision once per process."""
    code = f"""
import warnings
warnings.simplefilter("error")
import numpy as np
from transformers.utils import logging
from contrasim_core.api import extract
extract({str(tiny("clip"))!r} + "#vision", [np.zeros((8, 8, 3), np.uint8)])
extract({str(tiny("bert"))!r}, ["the cat"])
assert logging.is_progress_bar_enabled() and logging.get_verbosity() == logging.WARNING
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_width_of_rows(tiny):
    assert {tuple(item.shape) for item in values(extract(tiny("bert"), TEXT))} == {(len(TEXT), WIDTH)}
    assert len(extract(tiny("bert"), TEXT)) == LAYERS + 1
