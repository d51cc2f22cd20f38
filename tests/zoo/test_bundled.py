"""What is bundled: complete, small, as its cards say, and made by today's recipes."""

import json

import pytest

from contrasim_core.models.find import BUNDLED_ROOT, bundled_names
from contrasim_core.zoo.cards import cards, read_card
from contrasim_core.zoo.recipes import RECIPES, family_of, recipe

pytestmark = pytest.mark.skipif(
    not BUNDLED_ROOT.is_dir(),
    reason="the bundled weights are not here; `python -m contrasim_core zoo build` makes them",
)
NAMES = bundled_names()
every_model = pytest.mark.parametrize("name", NAMES)
LEAST = {
    "multilingual-bert": {"masked accuracy": 0.2, "translation among 100, block 4": 0.7},
    "multilingual-roberta": {"masked accuracy": 0.1, "translation among 100, block 4": 0.5},
    "scene-vit": {"test accuracy, each property": 0.8, "test accuracy, all seven": 0.2},
    "scene-convnext": {"test accuracy, each property": 0.9, "test accuracy, all seven": 0.5},
    "scene-bert": {"masked word accuracy, second telling": 0.5},
    "scene-gpt2": {"next word accuracy, second telling": 0.8},
    "scene-clip": {"right caption among 100": 0.7},
}
"""What each must have learned, far above a guess."""
LIMIT = 40  # MB, all together


@pytest.mark.parametrize("family", [item.family for item in RECIPES])
def test_a_bundled_family_has_all_its_members(family):
    members = [name for name in NAMES if name.startswith(f"{family}-")]
    if not members:
        pytest.skip(f"no {family} is bundled")
    assert members == [f"{family}-{seed}" for seed in recipe(family).seeds]


def test_every_bundled_model_has_a_card_and_a_recipe():
    assert [card.name for card in cards()] == NAMES
    assert {family_of(name)[0] for name in NAMES} <= set(RECIPES)


def test_all_together_are_small():
    sizes = {name: sum(file.stat().st_size for file in (BUNDLED_ROOT / name).iterdir()) / 1e6 for name in NAMES}
    assert sum(sizes.values()) < LIMIT
    for name, size in sizes.items():
        assert read_card(BUNDLED_ROOT / name).megabytes == pytest.approx(size, abs=0.02)


@every_model
def test_the_card_agrees_with_the_recipe(name):
    card, (recipe, seed) = read_card(BUNDLED_ROOT / name), family_of(name)
    assert (card.name, card.family, card.seed, card.about) == (name, recipe.family, seed, recipe.about)
    assert card.recipe == {key: getattr(recipe, key) for key in card.recipe}
    assert set(card.recipe) >= {"width", "depth", "steps", "batch", "learning_rate", "weight_decay"}
    assert (card.layers, card.pooling) == (recipe.depth, recipe.pooling)
    assert card.data == ", ".join(f"{data} (train)" for data in recipe.train)
    assert card.rebuild == f"python -m contrasim_core zoo build {name}"
    assert card.seconds > 0
    assert {"torch", "transformers"} <= set(card.versions)


@every_model
def test_the_card_records_that_something_was_learned(name):
    card, (recipe, _) = read_card(BUNDLED_ROOT / name), family_of(name)
    if recipe.kind == "bert":
        accuracies = [card.score[f"{data} masked accuracy"] for data in recipe.train]
        assert min(accuracies) > 0.2
    elif recipe.task == "layer-prediction":
        assert card.score["test accuracy"] > 0.9
    else:
        least = LEAST[recipe.kind]
        assert {score: value for score, value in card.score.items() if value < least[score]} == {}
        assert set(card.score) == set(least)


@every_model
def test_the_folder_holds_no_code_and_no_pickle(name):
    files = {file.name for file in (BUNDLED_ROOT / name).iterdir()}
    assert {"card.json", "config.json", "model.safetensors"} <= files
    assert {file.rpartition(".")[2] for file in files} <= {"json", "safetensors", "txt"}
    assert "auto_map" not in json.loads((BUNDLED_ROOT / name / "config.json").read_text())


@pytest.mark.parametrize("name", [name for name in NAMES if name in ("digits-vit-0", "digits-cnn-9")])
def test_the_recorded_accuracy_is_what_the_weights_have(name):
    import torch
    from transformers import AutoModelForImageClassification

    from contrasim_core.models import allconv as architectures
    from contrasim_core.zoo.training import quiet
    from contrasim_core.zoo.vision import _accuracy

    architectures.register()
    with quiet():
        model = AutoModelForImageClassification.from_pretrained(BUNDLED_ROOT / name, dtype=torch.float32).eval()
    assert _accuracy(model) == pytest.approx(read_card(BUNDLED_ROOT / name).score["test accuracy"], abs=0.002)
