"""Batches: alike lengths together, nothing lost, padded on the right, words numbered over the whole batch."""

import pytest
import torch

from contrasim_core.activations.batches import ImageBatches, TensorBatches, TextBatches
from contrasim_core.data import load_data
from contrasim_core.models.find import resolve_model
from contrasim_core.models.load import load_model
from contrasim_core.refs import SampleSet
from tests.tiny import TEXTS, image

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def bert(tiny):
    return load_model(resolve_model(tiny("bert")))


def of(model, pooling="mean", texts=TEXTS, max_length=48):
    return TextBatches(load_data(list(texts)), model, pooling, max_length)


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_the_plan_holds_every_sample_once(size, bert):
    plan = of(bert).plan(1, 6, size)
    assert sorted(number for batch in plan for number in batch) == [1, 2, 3, 4, 5]
    assert all(len(batch) <= size for batch in plan)


def test_the_longest_texts_come_first_and_little_is_padded(bert):
    batches = of(bert)
    lengths = [[int(batches.make([number], CPU).positions.mask.sum()) for number in numbers]
               for numbers in batches.plan(0, len(TEXTS), 3)]  # fmt: skip
    flat = [length for batch in lengths for length in batch]
    assert flat == sorted(flat, reverse=True) and flat[0] > 2 * flat[-1]


def test_a_batch_is_what_the_tokenizer_makes_padded_on_the_right(bert):
    batch = of(bert).make([2, 0, 5], CPU)
    expected = bert.preprocessor([TEXTS[2], TEXTS[0], TEXTS[5]], padding=True, return_tensors="pt")
    assert torch.equal(batch.arguments["input_ids"], expected["input_ids"])
    assert torch.equal(batch.arguments["attention_mask"], expected["attention_mask"])
    assert torch.equal(batch.positions.mask, expected["attention_mask"].bool())
    assert (batch.rows, batch.ids) == ((1, 1, 1), ("2", "0", "5"))


def test_words_are_numbered_over_the_batch_and_special_tokens_are_none(bert):
    batch = of(bert, "word", ["the cats", "walking dogs see"]).make([1, 0], CPU)
    pieces = [bert.preprocessor.convert_ids_to_tokens(row) for row in batch.arguments["input_ids"]]
    assert pieces[0][:3] == ["[CLS]", "walk", "##ing"] and "##s" in pieces[0]
    assert batch.positions.words[0, :3].tolist() == [-1, 0, 0] and batch.positions.words[1, 0] == -1
    assert (batch.positions.words[~batch.positions.mask] == -1).all()
    assert batch.rows == (3, 2) and batch.positions.word_count == 5
    assert batch.ids == ("1/0", "1/1", "1/2", "0/0", "0/1")


def test_a_tokenizer_without_padding_token_gets_one(tiny):
    gpt2 = load_model(resolve_model(tiny("gpt2")))
    assert gpt2.preprocessor.pad_token == "<|endoftext|>" and gpt2.preprocessor.padding_side == "right"  # noqa: S105
    mask = of(gpt2, "last").make([0, 1], CPU).positions.mask
    assert mask[1].all() and not mask[0].all() and mask[0, 0]


def test_texts_are_cut_at_the_models_own_limit(bert):
    batch = of(bert, texts=["the cat " * 100], max_length=10_000).make([0], CPU)
    assert batch.arguments["input_ids"].shape == (1, 48)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_images_are_processed_in_the_models_number_format(dtype, tiny):
    vit = load_model(resolve_model(tiny("vit")), dtype=dtype)
    pictures = load_data([image(9, 7, 0), image(8, 8, 1), image(3, 30, 2)])
    batches = ImageBatches(pictures, vit, "cls")
    assert batches.plan(0, 3, 2) == [[0, 1], [2]]
    batch = batches.make([2, 1], CPU)
    expected = vit.preprocessor(
        images=list(pictures.images[:0:-1]), input_data_format="channels_last", return_tensors="pt"
    )["pixel_values"]
    assert torch.equal(batch.arguments["pixel_values"], expected.to(getattr(torch, dtype)))
    assert batch.ids == ("2", "1") and batch.positions.leading == 1 and batch.positions.mask is None


def test_a_narrow_image_is_not_taken_for_channels_first(tiny):
    """[3, w, 3] could be read both ways; ours are always channels last."""
    vit = load_model(resolve_model(tiny("vit")))
    picture = image(3, 3, 0)
    batch = ImageBatches(load_data([picture]), vit, "cls").make([0], CPU)
    mean = torch.from_numpy(picture).float().mean((0, 1)) / 127.5 - 1
    torch.testing.assert_close(batch.arguments["pixel_values"][0].mean((1, 2)), mean, atol=0.15, rtol=0)


def test_tensors_are_taken_as_they_are():
    batches = TensorBatches(SampleSet(("a", "b", "c")), torch.arange(6.0).view(3, 2), None)
    batch = batches.make([2, 0], CPU)
    assert batch.arguments[""].tolist() == [[4, 5], [0, 1]] and batch.ids == ("c", "a")
    assert batches.plan(0, 3, 2) == [[0, 1], [2]]
