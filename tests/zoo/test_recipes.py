"""Names of families and members, the schedule, and what a miniature of each family is good for."""

import itertools
import json
from dataclasses import replace
from functools import cache, partial
from typing import get_args, get_type_hints

import pytest
import torch
from transformers.utils import logging

import contrasim_core as cs
from contrasim_core.data import load_data
from contrasim_core.errors import UnknownModelError
from contrasim_core.models.find import resolve_model
from contrasim_core.models.load import load_model
from contrasim_core.models.pooling import default_pooling
from contrasim_core.progress import silent
from contrasim_core.zoo import language, training
from contrasim_core.zoo.build import build
from contrasim_core.zoo.cards import Card, cards, read_card
from contrasim_core.zoo.recipes import RECIPES, Recipe, family_of, recipe

KINDS = {"vit": "digits-vit", "allconv": "digits-cnn", "bert": "docs-bert"}


@pytest.fixture(scope="module")
def miniatures(tmp_path_factory):
    """One of each family, and what was reported while it was made; the language model reads a part of its texts."""
    root = tmp_path_factory.mktemp("zoo")
    reports = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(language, "load_data", cache(partial(load_data, limit=40)))
        for kind, family in KINDS.items():
            seen = reports.setdefault(kind, [])
            build(f"{family}-3", root=root, steps=2, progress=lambda *report, seen=seen, **_facts: seen.append(report))
        yield root, reports


@pytest.mark.parametrize("family", [item.family for item in RECIPES])
def test_members_are_named_by_family_and_seed(family):
    assert recipe(family).family == family
    assert family_of(f"{family}-7") == (recipe(family), 7)
    assert family_of(f"{family}-12")[1] == 12


def test_every_kind_of_trainer_has_a_family():
    kinds = {item.kind: item.family for item in RECIPES}
    assert len(kinds) == len(RECIPES)
    assert {kind: kinds[kind] for kind in KINDS} == KINDS
    assert set(kinds) == set(get_args(get_type_hints(Recipe)["kind"]))
    assert {item.task for item in RECIPES} == {"layer-prediction", "multilingual", "image-caption"}


def test_wrong_names_are_answered_with_the_right_ones():
    with pytest.raises(
        UnknownModelError, match=r"Unknown bundled family 'cats'\. It can be: digits-vit, digits-cnn, docs-b"
    ):
        recipe("cats")
    with pytest.raises(UnknownModelError, match=r"Unknown bundled family 'cats'.*a member is called digits-vit-0\."):
        build("cats-1")
    for name in ("digits-vit", "digits-vit-x", ""):
        with pytest.raises(
            UnknownModelError, match=r"is not a member of a bundled family\. Members are called digits-vit-0"
        ):
            family_of(name)


def test_the_learning_rate_warms_up_and_falls_to_zero():
    rates = [training.schedule(step, 100) for step in range(100)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert rates[10] == 1
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))
    assert rates[-1] < 0.001
    assert [training.schedule(step, 1) for step in range(1)] == [1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_miniature_loads_back_and_gives_finite_layers(kind, miniatures):
    root, _ = miniatures
    name = f"{KINDS[kind]}-3"
    card, family = read_card(root / name), recipe(KINDS[kind])
    loaded = load_model(resolve_model(root / name), device="cpu")
    assert loaded.modality == ("text" if kind == "bert" else "image")
    assert len(loaded.blocks) == family.depth == card.layers
    assert default_pooling(loaded.ref) == {"vit": "cls", "allconv": "spatial-mean", "bert": "mean"}[kind]
    layers = cs.extract(root / name, load_data(family.test, limit=6), pooling=family.pooling)
    assert len(layers) == family.depth + 1
    assert [item.layer.index for item in layers] == list(range(family.depth + 1))
    for item in layers:
        assert len(item.samples) >= 6
        assert bool(torch.isfinite(item.values).all())
    if kind != "allconv":
        assert {item.values.shape[1] for item in layers} == {family.width}
    assert float((layers[1].values - layers[1].values[0]).abs().max()) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_card_says_what_was_made(kind, miniatures):
    root, reports = miniatures
    name = f"{KINDS[kind]}-3"
    card, family = read_card(root / name), recipe(KINDS[kind])
    assert (card.name, card.family, card.seed) == (name, family.family, 3)
    assert card.recipe["steps"] == 2
    assert {key: card.recipe[key] for key in card.recipe if key != "steps"} == {
        key: getattr(family, key) for key in card.recipe if key != "steps"
    }
    assert card.rebuild == f"python -m contrasim_core zoo build {name}"
    assert card.parameters == sum(
        item.numel() for key, item in _tensors(root / name).items() if not key.endswith("position_ids")
    )
    size = sum(file.stat().st_size for file in (root / name).iterdir() if file.name != "card.json")
    assert card.megabytes == pytest.approx(size / 1e6, abs=0.006)
    assert len(card.score) == (4 if kind == "bert" else 1)
    assert all(value >= 0 for value in card.score.values())
    assert reports[kind][-1][:2] == (2, 2)
    assert f"Training {name}: step 2 of 2, loss" in reports[kind][-1][2]


def _tensors(folder):
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def test_weights_are_stored_in_half_precision(miniatures):
    root, _ = miniatures
    for family in KINDS.values():
        kinds = {item.dtype for item in _tensors(root / f"{family}-3").values() if item.is_floating_point()}
        assert kinds == {torch.float16}


def test_the_seed_makes_the_network(miniatures, tmp_path):
    """The same name gives the same weights; another seed other ones, from the same tokenizer and configuration."""
    root, _ = miniatures
    for family in (KINDS["allconv"], KINDS["bert"]):
        for name in (f"{family}-3", f"{family}-4"):
            build(name, root=tmp_path, steps=2)
        first, again, other = (
            _tensors(folder) for folder in (root / f"{family}-3", tmp_path / f"{family}-3", tmp_path / f"{family}-4")
        )
        assert all(torch.equal(first[key], again[key]) for key in first)
        matrices = [key for key in first if first[key].ndim >= 2]
        assert not any(torch.equal(first[key], other[key]) for key in matrices)
        for file in ("config.json", "tokenizer.json", "preprocessor_config.json"):
            if (root / f"{family}-3" / file).exists():
                assert (root / f"{family}-3" / file).read_text() == (tmp_path / f"{family}-4" / file).read_text()


def test_building_is_quiet_and_leaves_the_loudness_as_it_was(tmp_path, capfd):
    logging.enable_progress_bar()
    level = logging.get_verbosity()
    build("digits-cnn-0", root=tmp_path, steps=1)
    written = capfd.readouterr()
    assert (written.out, written.err) == ("", "")
    assert logging.is_progress_bar_enabled()
    assert logging.get_verbosity() == level
    with pytest.raises(ZeroDivisionError), training.quiet():
        _ = 1 / 0
    assert logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    with training.quiet():
        pass
    assert not logging.is_progress_bar_enabled()
    logging.enable_progress_bar()


def test_steps_and_defaults_go_to_the_trainer(monkeypatch, tmp_path):
    from contrasim_core.zoo import vision

    calls = []
    monkeypatch.setattr(vision, "build_vision", lambda *arguments: calls.append(arguments))
    build("digits-vit-5", root=tmp_path)
    build("digits-vit-5", root=tmp_path, steps=9)
    assert calls[0] == (recipe("digits-vit"), 5, tmp_path / "digits-vit-5", silent)
    assert calls[1][0] == replace(recipe("digits-vit"), steps=9)


def test_cards_come_back_from_disk_and_folders_without_one_are_passed_over(tmp_path):
    card = Card(
        name="a-0",
        family="a",
        about="",
        data="",
        task="",
        seed=0,
        score={"x": 0.5},
        parameters=1,
        megabytes=0.1,
        layers=2,
        pooling="cls",
    )
    for name in ("a-0", "unfinished"):
        (tmp_path / name).mkdir()
    card.save(tmp_path / "a-0")
    (tmp_path / "stray.txt").write_text("")
    assert read_card(tmp_path / "a-0") == card
    assert cards(tmp_path) == [card]
    assert json.loads((tmp_path / "a-0" / "card.json").read_text())["score"] == {"x": 0.5}
