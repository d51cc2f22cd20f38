"""Miniatures of the models for the paired benchmarks: they load like hub models, and their tasks are what they say."""

import pytest
import torch

import contrasim_core as cs
from contrasim_core.data import load_data, phrases, scenes
from contrasim_core.models.find import resolve_model
from contrasim_core.models.load import load_model
from contrasim_core.zoo import multilingual
from contrasim_core.zoo import scenes as trainers
from contrasim_core.zoo.build import build
from contrasim_core.zoo.cards import read_card
from contrasim_core.zoo.recipes import RECIPES, recipe

FAMILIES = [item.family for item in RECIPES if item.task != "layer-prediction"]
LAYERS = {
    "phrases-bert": 7,
    "phrases-roberta": 7,
    "scenes-vit": 5,
    "scenes-convnext": 5,
    "scenes-bert": 5,
    "scenes-gpt2": 5,
    "scenes-clip#text": 6,
    "scenes-clip#vision": 6,
}


@pytest.fixture(scope="module")
def miniatures(tmp_path_factory):
    root = tmp_path_factory.mktemp("zoo")
    few = phrases.phrases().take(range(0, 5000, 16))
    drawn = scenes.scenes().take(range(420))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(multilingual, "phrases", lambda: few)
        patch.setattr(trainers.drawn, "scenes", lambda: drawn)
        for family in FAMILIES:
            build(f"{family}-0", root=root, steps=2)
        yield root


@pytest.mark.parametrize("name", LAYERS)
def test_a_miniature_loads_back_and_gives_finite_layers(name, miniatures):
    family, _, tower = name.partition("#")
    folder = f"{miniatures / family}-0" + (f"#{tower}" if tower else "")
    image = tower == "vision" or family in ("scenes-vit", "scenes-convnext")
    data = load_data("scenes" if "scenes" in name else "cldr-phrases", limit=6,
                     column=("image" if image else "caption") if "scenes" in name else "zh")  # fmt: skip
    layers = cs.extract(folder, data, device="cpu")
    assert len(layers) == LAYERS[name]
    assert {item.values.shape[1] for item in layers} <= {32, 64}
    assert layers[-1].values.shape == (6, 64)
    assert all(bool(torch.isfinite(item.values).all()) for item in layers)
    assert float((layers[-1].values - layers[-1].values[0]).abs().max()) > 0
    assert layers[-1].layer.label == ("projection" if tower else str(LAYERS[name] - 1))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_card_says_what_was_made(family, miniatures):
    card, known = read_card(miniatures / f"{family}-0"), recipe(family)
    assert (card.family, card.seed, card.layers, card.pooling) == (family, 0, known.depth, known.pooling)
    assert card.data == f"{known.train[0]} (train)"
    assert all(0 <= value <= 1 for value in card.score.values())


def test_the_projection_of_a_tower_is_what_clip_compares(miniatures):
    """The last layer of each tower is the embedding that CLIP's own logits are made of."""
    from transformers import CLIPModel

    folder = miniatures / "scenes-clip-0"
    data = {side: load_data("scenes", limit=5, column=side) for side in ("image", "caption")}
    ours = [
        cs.extract(f"{folder}#{tower}", data[side], layers=[-1], device="cpu")[0]
        for tower, side in (("vision", "image"), ("text", "caption"))
    ]
    assert [item.layer.index for item in ours] == [5, 5]
    model = CLIPModel.from_pretrained(folder, dtype=torch.float32).eval()
    loaded = load_model(resolve_model(f"{folder}#text"), device="cpu")
    images = load_model(resolve_model(f"{folder}#vision"), device="cpu").preprocessor
    with torch.inference_mode():
        logits = model(
            **loaded.preprocessor(list(data["caption"].texts), padding=True, return_tensors="pt"),
            **images(images=list(data["image"].images), input_data_format="channels_last", return_tensors="pt"),
        ).logits_per_image
    a, b = (torch.nn.functional.normalize(item.values, dim=1) for item in ours)
    torch.testing.assert_close(a @ b.T * model.logit_scale.exp().detach(), logits, atol=1e-3, rtol=1e-3)


def test_hidden_pieces_are_ordinary_ones():
    tokenizer = multilingual.bert_tokenizer(["Egypt and Kenya", "埃及和肯尼亚"])
    ids = torch.tensor(tokenizer(["Egypt and Kenya"])["input_ids"])
    inputs, chosen = multilingual.hide(tokenizer, ids, torch.Generator().manual_seed(0))
    assert bool(chosen.any()) and not bool(chosen[0, 0]) and not bool(chosen[0, -1])
    assert (inputs[chosen] == tokenizer.mask_token_id).all()
    assert (inputs[~chosen] == ids[~chosen]).all()


def test_a_batch_holds_phrases_and_then_their_translations():
    texts = {"en": ("one", "two"), "tr": ("bir", "iki")}
    tokenizer = multilingual.bert_tokenizer([text for side in texts.values() for text in side])
    tokens = {name: multilingual._plain(tokenizer, side) for name, side in texts.items()}
    ids = multilingual._batch(tokenizer, tokens, 16, torch.Generator().manual_seed(0))
    said = [tokenizer.decode(row, skip_special_tokens=True) for row in ids]
    pairs = {frozenset(("one", "bir")), frozenset(("two", "iki"))}
    assert {frozenset(item) for item in zip(said[:16], said[16:], strict=True)} == pairs


def test_what_a_picture_shows_does_not_depend_on_who_tells_it():
    labels = (1, 0, 2, 3, 0, 3, 4)
    names = ["scene-" + "".join(map(str, item)) for item in (labels, scenes.turned(labels))]
    assert trainers.parts_of(names[0]) == trainers.parts_of(names[1]) == (0, 3, 4, 1, 1, 0, 2)


def test_readers_are_told_each_scene_twice_in_other_words():
    tokenizer = trainers.make_tokenizer(causal=True)
    labels = (1, 0, 2, 0, 0, 3, 4)
    ids = trainers._told_twice(tokenizer, [labels] * 20, torch.Generator().manual_seed(0))
    for row in ids:
        first, second, _ = tokenizer.decode(row, skip_special_tokens=True).split(".")
        assert ("above" in first) != ("above" in second)
        assert "below" in first + second
        assert first.count("triangle") == second.count("triangle") == 1
    second = trainers._second_telling(tokenizer, ids)
    for row, mask in zip(ids, second, strict=True):
        words = tokenizer.convert_ids_to_tokens(row[mask])
        assert words[-1] == "." and words.count(".") == 1
        assert "[UNK]" not in tokenizer.convert_ids_to_tokens(row)
