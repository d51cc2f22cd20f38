"""Extraction gives what the model's own `output_hidden_states` holds, for every family, on tiny random models.

The convention: layer 0 is what enters the first block, layer k is what block k puts out. transformers' hidden states
are the same but for the last one of GPT-2, Llama and most decoders, which is taken after the final norm: layer L here
is before it.

The twin runs every sample alone, without padding, and pools by the naive functions of `test_pooling`.
"""

from itertools import pairwise

import pytest
import torch
import transformers

from contrasim_core.activations.pooling import Positions
from contrasim_core.api import extract
from contrasim_core.errors import SpecError
from tests.activations.test_pooling import TWINS
from tests.tiny import LAYERS, TEXT_FAMILIES, TEXTS, image

FINAL_NORM = {"gpt2": "ln_f", "llama": "norm"}
IMAGES = [image(8 + number, 9, number) for number in range(5)]
TEXT_MODELS = (*TEXT_FAMILIES, "clip#text")
IMAGE_MODELS = ("vit", "convnext", "clip#vision")
LEFT_TO_RIGHT = ("gpt2", "llama", "clip#text")
LAST_BLOCK = {"gpt2": "h", "llama": "layers"}
NAMES = ["embeddings", *(f"block {number}" for number in range(1, LAYERS + 1))]


@pytest.fixture(autouse=True)
def quiet():
    """transformers' own progress bars and hints: these tests load the twin without our loader."""
    log = transformers.utils.logging
    before = log.get_verbosity()
    log.set_verbosity_error()
    yield
    log.set_verbosity(before)


def source(tiny, name):
    """The model as users name it: a folder, with its tower after #."""
    family, mark, tower = name.partition("#")
    return f"{tiny(family)}{mark}{tower}"


def load(tiny, name):
    """The model as transformers gives it, and its tokenizer or image processor."""
    family, _, tower = name.partition("#")
    module = transformers.AutoModel.from_pretrained(tiny(family))
    if tower:
        module = getattr(module, f"{tower}_model")
    if name in IMAGE_MODELS:
        return module.eval(), transformers.AutoImageProcessor.from_pretrained(tiny(family))
    return module.eval(), transformers.AutoTokenizer.from_pretrained(tiny(family))


def states_of(module, name, inputs):
    """Embeddings and outputs of the blocks, from `output_hidden_states`; the last one of decoders by a hook."""
    kept = []
    block = getattr(module, LAST_BLOCK[name])[-1] if name in LAST_BLOCK else None
    hook = block.register_forward_hook(lambda _module, _inputs, out: kept.append(out)) if block is not None else None
    with torch.no_grad():
        states = list(module(**inputs, output_hidden_states=True).hidden_states)
    if hook is not None:
        hook.remove()
        states[-1] = kept[0][0] if isinstance(kept[0], tuple) else kept[0]
    return states


def text_rows(tiny, name, how):
    """Per layer the pooled rows of all texts, each run alone."""
    module, tokenizer = load(tiny, name)
    rows = [[] for _ in range(LAYERS + 1)]
    for text in TEXTS:
        inputs = tokenizer(
            text.split() if how == "word" else text,
            is_split_into_words=how == "word",
            return_tensors="pt",
            return_token_type_ids=False,
        )
        length = inputs["input_ids"].shape[1]
        words = torch.tensor([[-1 if word is None else word for word in inputs.word_ids(0)]])
        positions = Positions(
            mask=torch.ones(1, length, dtype=torch.bool), words=words, word_count=int(words.max()) + 1
        )
        for layer, state in enumerate(states_of(module, name, inputs)):
            rows[layer].append(TWINS[how](state, positions))
    return [torch.cat(layer) for layer in rows]


def without_projection(found, name, how):
    """The layers without the last one of a tower, which is no block; words have none."""
    if "#" in name and how != "word":
        assert found[-1].layer.name == f"projection {LAYERS + 1}"
        return found[:-1]
    return found


@pytest.mark.parametrize("name", ["clip#text", "clip#vision"])
def test_the_projection_is_the_embedding_that_both_towers_share(name, tiny):
    model = transformers.AutoModel.from_pretrained(tiny("clip")).eval()
    text = name == "clip#text"
    (found,) = extract(source(tiny, name), list(TEXTS) if text else IMAGES, layers=[-1])
    _, preprocessor = load(tiny, name)
    with torch.no_grad():
        if text:
            parts = [preprocessor(item, return_tensors="pt") for item in TEXTS]
            expected = [model.text_projection(model.text_model(**part).pooler_output) for part in parts]
        else:
            parts = [
                preprocessor(images=item, input_data_format="channels_last", return_tensors="pt") for item in IMAGES
            ]
            expected = [model.visual_projection(model.vision_model(**part).pooler_output) for part in parts]
    torch.testing.assert_close(found.values, torch.cat(expected), rtol=1e-4, atol=1e-4)
    assert found.layer.index == LAYERS + 1 and found.layer.label == "projection"


@pytest.mark.parametrize("how", ["mean", "last", "cls", "word"])
@pytest.mark.parametrize("name", TEXT_MODELS)
def test_text_models_match_their_hidden_states(name, how, tiny):
    if how == "cls" and name in LEFT_TO_RIGHT:
        with pytest.raises(SpecError, match=r"reads from left to right: its first position sees only itself"):
            extract(source(tiny, name), list(TEXTS), pooling=how)
        return
    found = without_projection(extract(source(tiny, name), list(TEXTS), pooling=how, batch_size=3), name, how)
    assert [item.layer.name for item in found] == NAMES
    for item, expected in zip(found, text_rows(tiny, name, how), strict=True):
        torch.testing.assert_close(item.values, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("how", ["cls", "mean", "spatial-mean"])
@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_image_models_match_their_hidden_states(name, how, tiny):
    if how == "cls" and name == "convnext":
        with pytest.raises(SpecError, match=r"has no class token\. Use 'spatial-mean'\.$"):
            extract(source(tiny, name), IMAGES, pooling=how)
        return
    module, processor = load(tiny, name)
    leading = 0 if name == "convnext" else 1
    found = without_projection(extract(source(tiny, name), IMAGES, pooling=how, batch_size=2), name, how)
    assert [item.layer.name for item in found] == NAMES
    for number, picture in enumerate(IMAGES):
        states = states_of(module, name, processor(images=[picture], return_tensors="pt"))
        for item, state in zip(found, states, strict=True):
            flat = state.flatten(2).transpose(1, 2) if state.ndim == 4 else state
            expected = TWINS[how](flat, Positions(leading=leading))[0]
            torch.testing.assert_close(item.values[number], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", FINAL_NORM)
def test_the_last_layer_of_decoders_is_before_the_final_norm(name, tiny):
    module, tokenizer = load(tiny, name)
    norm = getattr(module, FINAL_NORM[name])
    last = extract(tiny(name), list(TEXTS), pooling="last")[-1].values
    with torch.no_grad():
        for row, text in zip(last, TEXTS, strict=True):
            states = module(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states
            torch.testing.assert_close(norm(row), states[-1][0, -1], rtol=1e-4, atol=1e-4)
            assert not torch.allclose(row, states[-1][0, -1], atol=1e-2)


@pytest.mark.parametrize("name", [*TEXT_MODELS, *IMAGE_MODELS])
def test_layers_differ_so_that_a_shift_by_one_would_be_seen(name, tiny):
    data = IMAGES if name in IMAGE_MODELS else list(TEXTS)
    found = [item.values for item in extract(source(tiny, name), data)]
    for before, after in pairwise(found):
        assert before.shape != after.shape or (before - after).abs().mean() > 0.01


@pytest.mark.parametrize(
    ("name", "how"),
    [("bert", "mean"), ("gpt2", "last"), ("llama", "last"), ("clip#text", "last"), ("vit", "cls"),
     ("convnext", "spatial-mean"), ("clip#vision", "cls")],
)  # fmt: skip
def test_default_pooling_of_the_family(name, how, tiny):
    data = IMAGES if name in IMAGE_MODELS else list(TEXTS)
    assert extract(source(tiny, name), data)[0].recipe["pooling"] == how
