"""How the bundled models are made. One recipe per family; members differ only in their seed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from contrasim_core.errors import UnknownModelError
from contrasim_core.refs import Pooling

SEEDS = tuple(range(10))


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one family is trained. All members share everything but the seed.

    Attributes:
        family: name of the family; members are called `family-seed`.
        kind: which trainer.
        about: architecture in a few words.
        width: width of the hidden states; ignored by the convolutional networks, which set their own.
        depth: number of blocks.
        heads: number of attention heads.
        mlp: width of the feed-forward layers.
        steps: number of optimiser steps.
        batch: samples per step.
        learning_rate: peak learning rate: linear warm-up over a tenth of the steps, then cosine to zero.
        weight_decay: weight decay of AdamW.
        pooling: the pooling its benchmark uses.
        train: bundled data sets trained on.
        test: data set of the benchmark.
        transfer: second data set of the benchmark.
        rows: number of rows in the benchmark, if there are many words.
        encoder_epochs: passes that are enough to train an encoder on the family.
        encoder_batch: rows per step of that training.
        tried: what else was tried, for the card of the family: options and the score of linear CKA with them.
        task: the benchmark that it is made for.
        seeds: members of the family.
    """

    family: str
    kind: Literal[
        "vit",
        "allconv",
        "bert",
        "multilingual-bert",
        "multilingual-roberta",
        "scene-vit",
        "scene-convnext",
        "scene-bert",
        "scene-gpt2",
        "scene-clip",
    ]
    about: str
    width: int = 64
    depth: int = 6
    heads: int = 4
    mlp: int = 256
    steps: int = 600
    batch: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    pooling: Pooling = "cls"
    train: tuple[str, ...] = ("digits",)
    test: str = "digits"
    transfer: str = "photo-patches"
    rows: int | None = None
    encoder_epochs: int = 8
    encoder_batch: int = 128
    tried: tuple[tuple[str, str], ...] = ()
    task: Literal["layer-prediction", "multilingual", "image-caption"] = "layer-prediction"
    seeds: tuple[int, ...] = SEEDS


RECIPES: tuple[Recipe, ...] = (
    Recipe(
        family="digits-vit",
        kind="vit",
        about="ViT, 6 layers of width 64, patches of 2 x 2 pixels",
        tried=(
            ("as it is, 10 models", "53 %; 57 % among the first six"),
            ("batch 64", "47 %"),
            ("patches of 4 x 4", "33 %"),
            ("150 epochs", "36 %"),
            ("80 epochs, batch 32, learning rate 5e-4", "39 %"),
            ("learning rate 2e-3, weight decay 0.5", "31 %"),
            ("learning rate 3e-3, weight decay 0.5", "24 %"),
            ("weight decay 2", "40 %"),
            ("initial range 0.01", "42 %"),
            ("initial range 0.1", "17 %"),
            ("images shifted by a pixel, with noise", "33 %, accuracy only 75 %"),
            ("5 layers, learning rate 7e-4, 80 epochs", "47 %, chance 20 %"),
            ("4 layers, learning rate 5e-4", "52 %, chance 25 %"),
            ("4 layers, weight decay 0.3", "63 %, chance 25 %"),
            ("4 layers of width 96, learning rate 7e-4", "67 %, chance 25 %"),
            ("width 96, learning rate 5e-4, 80 epochs", "58 %"),
        ),
    ),
    Recipe(
        family="digits-cnn",
        kind="allconv",
        about="All-convolutional net (6 convolutions of 32 to 128 channels with batch normalisation)",
        steps=400,
        learning_rate=1e-2,
        tried=(
            ("as it is, 10 models", "90 %; 100 % among the first three"),
            ("Tiny-10: 8 convolutions of 16 to 64 channels, learning rate 3e-3, 10 models", "39 %, chance 12 %"),
            ("the same, feature maps flattened, 4 models", "56 %, chance 12 %"),
            ("the same, twice the channels", "60 %, chance 12 %"),
            ("the same, twice the channels, learning rate 1e-2", "70 %, chance 12 %"),
        ),
        pooling="spatial-mean",
    ),
    Recipe(
        family="docs-bert",
        kind="bert",
        about="BERT (ModernBERT's layers), 6 layers of width 64, own WordPiece vocabulary of 1,000",
        mlp=128,
        steps=900,
        batch=32,
        learning_rate=3e-3,
        tried=(
            ("as it is, 10 models", "41 %"),
            ("layers of the first BERT, vocabulary 2,048, batch 32, 1,500 steps", "17 %, chance"),
            ("the same, vocabulary 300, 800 steps", "17 %, chance"),
        ),
        weight_decay=0.01,
        pooling="word",
        train=("python-docs", "library-docs"),
        test="python-docs",
        transfer="library-docs",
        rows=2000,
        encoder_epochs=20,
        encoder_batch=64,
    ),
    Recipe(
        family="phrases-bert",
        kind="multilingual-bert",
        about="Multilingual BERT (ModernBERT's layers), 6 layers of width 64, WordPiece vocabulary of 3,000",
        mlp=128,
        steps=2000,
        batch=96,
        learning_rate=3e-3,
        weight_decay=0.01,
        train=("cldr-phrases",),
        test="cldr-phrases",
        transfer="",
        task="multilingual",
        seeds=(0,),
    ),
    Recipe(
        family="phrases-roberta",
        kind="multilingual-roberta",
        about="RoBERTa with the norm before each block, 6 layers of width 64, byte-level vocabulary of 3,000",
        steps=2000,
        batch=96,
        learning_rate=3e-3,
        weight_decay=0.01,
        train=("cldr-phrases",),
        test="cldr-phrases",
        transfer="",
        task="multilingual",
        seeds=(0,),
    ),
    Recipe(
        family="scenes-vit",
        kind="scene-vit",
        about="ViT, 4 layers of width 64, patches of 4 x 4 pixels",
        depth=4,
        steps=2000,
        batch=64,
        train=("scenes",),
        test="scenes",
        transfer="",
        task="image-caption",
        seeds=(0,),
    ),
    Recipe(
        family="scenes-convnext",
        kind="scene-convnext",
        about="ConvNeXt, 4 stages of 32 to 64 channels",
        depth=5,
        steps=1500,
        learning_rate=3e-3,
        pooling="spatial-mean",
        train=("scenes",),
        test="scenes",
        transfer="",
        task="image-caption",
        seeds=(0,),
    ),
    Recipe(
        family="scenes-bert",
        kind="scene-bert",
        about="BERT, 4 layers of width 64, a token for each word",
        depth=4,
        steps=4000,
        batch=64,
        learning_rate=2e-3,
        train=("scenes",),
        test="scenes",
        transfer="",
        task="image-caption",
        seeds=(0,),
    ),
    Recipe(
        family="scenes-gpt2",
        kind="scene-gpt2",
        about="GPT-2, 4 layers of width 64, a token for each word",
        depth=4,
        steps=2000,
        batch=64,
        learning_rate=2e-3,
        pooling="last",
        train=("scenes",),
        test="scenes",
        transfer="",
        task="image-caption",
        seeds=(0,),
    ),
    Recipe(
        family="scenes-clip",
        kind="scene-clip",
        about="CLIP, two towers of 4 layers of width 64",
        depth=4,
        steps=500,
        learning_rate=1e-3,
        train=("scenes",),
        test="scenes",
        transfer="",
        task="image-caption",
        seeds=(0,),
    ),
)


def recipe(family: str) -> Recipe:
    """Return the recipe of a family.

    Raises:
        UnknownModelError: if there is no such family.
    """
    for item in RECIPES:
        if item.family == family:
            return item
    known = ", ".join(item.family for item in RECIPES)
    raise UnknownModelError(
        f"Unknown bundled family {family!r}. It can be: {known}; a member is called {RECIPES[0].family}-0."
    )


def family_of(name: str) -> tuple[Recipe, int]:
    """Return recipe and seed of a bundled model, given a name such as `digits-vit-3`."""
    found = re.fullmatch(r"(.+)-(\d+)", name)
    if not found:
        raise UnknownModelError(
            f"{name!r} is not a member of a bundled family. Members are called {RECIPES[0].family}-0 and so on."
        )
    return recipe(found[1]), int(found[2])
