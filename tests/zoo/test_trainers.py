"""The all-convolutional architecture, and how words are masked."""

import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoModelForImageClassification

from contrasim_core.models import allconv as architectures
from contrasim_core.models.allconv import CONVOLUTIONS, AllConvConfig, AllConvForImageClassification
from contrasim_core.zoo.language import MASKED, SPECIAL, make_tokenizer, mask_tokens
from contrasim_core.zoo.training import quiet

TEXTS = ["the quick brown fox jumps over the lazy dog", "a function returns the value of its argument"] * 20


@pytest.fixture
def network():
    torch.manual_seed(0)
    return AllConvForImageClassification(AllConvConfig(num_labels=10)).eval()


def test_feature_maps_have_the_channels_and_strides_of_tiny_10(network):
    states = network.allconv(torch.zeros(2, 3, 8, 8), output_hidden_states=True).hidden_states
    assert len(states) == len(CONVOLUTIONS) + 1 == 7
    side = 8
    for (channels, _, stride), state in zip(CONVOLUTIONS, states[1:], strict=True):
        side //= stride
        assert state.shape == (2, channels, side, side)
    assert network(pixel_values=torch.zeros(2, 3, 8, 8)).logits.shape == (2, 10)


def test_hidden_states_are_given_only_when_asked_for(network):
    images = torch.randn(2, 3, 8, 8)
    found = network.allconv(images)
    assert found.hidden_states is None
    assert torch.equal(found.last_hidden_state, network.allconv(images, output_hidden_states=True).hidden_states[-1])


def test_the_auto_classes_know_it(network, tmp_path):
    architectures.register()
    architectures.register()
    with quiet():
        network.save_pretrained(tmp_path)
        assert isinstance(AutoConfig.from_pretrained(tmp_path), AllConvConfig)
        assert AutoConfig.from_pretrained(tmp_path).convolutions == [list(item) for item in CONVOLUTIONS]
        body = AutoModel.from_pretrained(tmp_path).eval()
        whole = AutoModelForImageClassification.from_pretrained(tmp_path).eval()
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(body(images).last_hidden_state, network.allconv(images).last_hidden_state)
    assert torch.equal(whole(pixel_values=images).logits, network(pixel_values=images).logits)


def test_the_tokenizer_marks_and_lowers_texts():
    tokenizer = make_tokenizer(TEXTS)
    ids = tokenizer("The QUICK fox")["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids)[0] == "[CLS]"
    assert tokenizer.convert_ids_to_tokens(ids)[-1] == "[SEP]"
    assert tokenizer.decode(ids, skip_special_tokens=True) == "the quick fox"
    assert [tokenizer.convert_tokens_to_ids(token) for token in SPECIAL] == list(range(len(SPECIAL)))
    assert tokenizer.get_vocab() == make_tokenizer(TEXTS).get_vocab()


def test_fifteen_percent_are_masked_as_in_bert():
    tokenizer = make_tokenizer(TEXTS)
    ids = torch.randint(len(SPECIAL), len(tokenizer), (200, 100), generator=torch.Generator().manual_seed(0))
    ids[:, 0], ids[:, 90:] = tokenizer.cls_token_id, tokenizer.pad_token_id
    inputs, chosen = mask_tokens(tokenizer, ids, torch.Generator().manual_seed(1))
    assert not bool(chosen[:, 0].any()) and not bool(chosen[:, 90:].any())
    assert torch.equal(inputs[~chosen], ids[~chosen])
    assert float(chosen[:, 1:90].float().mean()) == pytest.approx(MASKED, abs=0.01)
    hidden = inputs[chosen] == tokenizer.mask_token_id
    kept = inputs[chosen] == ids[chosen]
    assert float(hidden.float().mean()) == pytest.approx(0.8, abs=0.03)
    assert float(kept.float().mean()) == pytest.approx(0.1 + 0.1 / (len(tokenizer) - len(SPECIAL)), abs=0.03)
    assert bool((inputs[chosen] >= SPECIAL.index("[MASK]")).all())


def test_at_least_one_piece_is_to_be_guessed():
    tokenizer = make_tokenizer(TEXTS)
    ids = torch.tensor([[tokenizer.cls_token_id, 7, tokenizer.sep_token_id]])
    for seed in range(20):
        _, chosen = mask_tokens(tokenizer, ids, torch.Generator().manual_seed(seed))
        assert chosen.tolist() == [[False, True, False]]
