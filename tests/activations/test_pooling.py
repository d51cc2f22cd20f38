"""Every pooling equals a slow, obviously right twin that walks over the batch."""

import pytest
import torch

from contrasim_core.activations.pooling import POOLINGS, Positions, pooler
from contrasim_core.errors import SpecError

LENGTHS = (5, 1, 3)
WIDTH = 7
LONGEST = max(LENGTHS)
HIDDEN = torch.randn(len(LENGTHS), LONGEST, WIDTH, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
MASK = torch.tensor([[place < length for place in range(LONGEST)] for length in LENGTHS])
WORDS = torch.tensor([[-1, 0, 0, 1, -1], [2, -1, -1, -1, -1], [-1, 3, 3, -1, -1]])


def naive_mean(hidden, positions):
    rows = []
    for row, state in enumerate(hidden):
        kept = [state[place] for place in range(len(state)) if positions.mask is None or positions.mask[row, place]]
        rows.append(sum(kept) / len(kept))
    return torch.stack(rows)


def naive_last(hidden, positions):
    lengths = [len(hidden[0])] * len(hidden) if positions.mask is None else [int(row.sum()) for row in positions.mask]
    return torch.stack([state[length - 1] for state, length in zip(hidden, lengths, strict=True)])


def naive_cls(hidden, _positions):
    return torch.stack([state[0] for state in hidden])


def naive_spatial_mean(hidden, positions):
    return torch.stack([sum(state[positions.leading :]) / len(state[positions.leading :]) for state in hidden])


def naive_word(hidden, positions):
    rows = []
    for word in range(positions.word_count):
        kept = [
            hidden[row, place]
            for row in range(hidden.shape[0])
            for place in range(hidden.shape[1])
            if positions.words[row, place] == word
        ]
        rows.append(sum(kept) / len(kept))
    return torch.stack(rows)


TWINS = {
    "mean": naive_mean,
    "last": naive_last,
    "cls": naive_cls,
    "word": naive_word,
    "spatial-mean": naive_spatial_mean,
}
TEXT = Positions(mask=MASK, words=WORDS, word_count=4)


def test_every_pooling_has_a_twin():
    assert set(TWINS) == set(POOLINGS)


@pytest.mark.parametrize("how", ["mean", "last", "cls", "word"])
def test_text_pooling_matches_its_twin(how):
    torch.testing.assert_close(pooler(how, TEXT)(HIDDEN), TWINS[how](HIDDEN, TEXT).float())


@pytest.mark.parametrize("leading", [0, 1, 2])
@pytest.mark.parametrize("how", ["mean", "last", "cls", "spatial-mean"])
def test_image_pooling_matches_its_twin(how, leading):
    positions = Positions(leading=leading)
    torch.testing.assert_close(pooler(how, positions)(HIDDEN), TWINS[how](HIDDEN, positions).float())


@pytest.mark.parametrize("how", ["mean", "last", "word"])
def test_padding_is_never_looked_at(how):
    spoilt = HIDDEN.clone()
    spoilt[~MASK] = 1e6
    assert not torch.equal(spoilt, HIDDEN)
    torch.testing.assert_close(pooler(how, TEXT)(spoilt), pooler(how, TEXT)(HIDDEN))


def test_mean_without_the_mask_would_be_another():
    assert not torch.allclose(pooler("mean", Positions())(HIDDEN), pooler("mean", TEXT)(HIDDEN))


def test_last_is_the_last_real_token_with_right_padding():
    hidden = torch.arange(5.0).view(1, 5, 1).expand(3, 5, 2)
    assert pooler("last", TEXT)(hidden)[:, 0].tolist() == [length - 1 for length in LENGTHS]


def test_words_are_means_over_their_pieces_and_special_tokens_are_skipped():
    hidden = torch.arange(5.0).view(1, 5, 1).expand(3, 5, 2)
    assert pooler("word", TEXT)(hidden)[:, 0].tolist() == [1.5, 3.0, 0.0, 1.5]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_rows_are_float32_and_pooled_in_float32(dtype):
    hidden = HIDDEN.to(dtype)
    for how in ("mean", "last", "cls", "word"):
        pooled = pooler(how, TEXT)(hidden)
        assert pooled.dtype == torch.float32
        torch.testing.assert_close(pooled, TWINS[how](hidden.float(), TEXT))


@pytest.mark.parametrize("how", ["mean", "spatial-mean"])
def test_feature_maps_are_averaged_over_space(how):
    maps = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(1))
    expected = torch.stack([torch.stack([channel.mean() for channel in image]) for image in maps])
    torch.testing.assert_close(pooler(how, Positions())(maps), expected)


@pytest.mark.parametrize("how", ["cls", "last", "word"])
def test_feature_maps_have_no_tokens(how):
    with pytest.raises(
        SpecError, match=rf"^'{how}' pooling needs token positions; this layer is a feature map\. Use 's"
    ):
        pooler(how, Positions())(torch.zeros(2, 3, 4, 5))


@pytest.mark.parametrize("how", POOLINGS)
def test_rows_that_are_pooled_already_stay(how):
    rows = torch.randn(3, 4, dtype=torch.float16)
    torch.testing.assert_close(pooler(how, Positions())(rows), rows.float())


@pytest.mark.parametrize("shape", [(3,), (1, 2, 3, 4, 5)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(SpecError, match=r"cannot be pooled\. Expected 2, 3 or 4 axes\.$"):
        pooler("mean", Positions())(torch.zeros(shape))


def test_word_pooling_needs_words():
    with pytest.raises(SpecError, match="'word' pooling needs a text model with a fast tokenizer"):
        pooler("word", Positions(mask=MASK))(HIDDEN)
