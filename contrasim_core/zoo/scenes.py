"""Trainers of the scene models: two that see, two that read, and CLIP, which does both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertTokenizerFast,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPTextConfig,
    CLIPVisionConfig,
    ConvNextConfig,
    ConvNextForImageClassification,
    ConvNextImageProcessor,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
)

from contrasim_core.data import scenes as drawn
from contrasim_core.data.pairs import CAPTION_SIDE, IMAGE_SIDE, PairedData
from contrasim_core.progress import Progress
from contrasim_core.zoo.cards import Card
from contrasim_core.zoo.multilingual import hide, padded
from contrasim_core.zoo.recipes import Recipe
from contrasim_core.zoo.training import finish, optimise, save

SIZE = drawn.PIXELS
PATCH = 4
LENGTH = 48
MASKED = 0.25
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PARTS = (2, 8, 6, 2, 2, 8, 6)
"""Number of values of each property: size, colour, shape of the upper or left one, the axis, the same of the other."""


def build_scene_model(recipe: Recipe, seed: int, folder: Path, progress: Progress) -> Card:
    """Train one of the five on the training scenes and write its folder."""
    train, test = drawn.scenes().part("train"), drawn.scenes().part("test")
    torch.manual_seed(seed)
    build = {
        "scene-vit": _vision,
        "scene-convnext": _vision,
        "scene-bert": _reader,
        "scene-gpt2": _reader,
        "scene-clip": _clip,
    }[recipe.kind]
    return build(recipe, seed, folder, progress, train, test)


# Vision models: what is in the picture, and where?


def _vision(recipe: Recipe, seed: int, folder: Path, progress: Progress, train: PairedData, test: PairedData) -> Card:
    pixels, parts = pixels_of(train), torch.tensor([parts_of(name) for name in train.ids])
    model = _vit(recipe) if recipe.kind == "scene-vit" else _convnext(recipe)
    random = torch.Generator().manual_seed(seed)
    batches = _shuffled(len(pixels), recipe.batch, random)

    def loss_of(_step: int) -> Tensor:
        index = next(batches)
        logits = model(pixel_values=pixels[index]).logits.split(PARTS, dim=1)
        losses = [nn.functional.cross_entropy(item, parts[index, k]) for k, item in enumerate(logits)]
        return torch.stack(losses).mean()

    model.train()
    seconds = optimise(model, recipe, loss_of, progress, folder.name)
    model.eval()
    processor = ViTImageProcessor if recipe.kind == "scene-vit" else ConvNextImageProcessor
    size = {"height": SIZE, "width": SIZE} if recipe.kind == "scene-vit" else {"shortest_edge": SIZE}
    save(model, processor(size=size, crop_pct=1.0, image_mean=[0.5] * 3, image_std=[0.5] * 3), folder)
    saved = type(model).from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        logits = torch.cat([saved(pixel_values=part).logits for part in pixels_of(test).split(250)])
    right = torch.stack([item.argmax(1) for item in logits.split(PARTS, dim=1)], 1) == torch.tensor(
        [parts_of(name) for name in test.ids]
    )
    score = {
        "test accuracy, each property": float(right.float().mean()),
        "test accuracy, all seven": float(right.all(1).float().mean()),
    }
    return finish(recipe, seed, folder, score, seconds, "name size, colour and shape of both shapes, and the axis")


def parts_of(name: str) -> tuple[int, ...]:
    """Return what a picture shows, in the order of `PARTS`."""
    labels = drawn.seen_from_first(drawn.labels_of(name))
    return (*labels[:3], labels[3] // 2, *labels[4:])


def pixels_of(data: PairedData) -> Tensor:
    """Return pixels as the processors do."""
    stacked = torch.from_numpy(np.stack(data.sides[IMAGE_SIDE])).permute(0, 3, 1, 2)
    return stacked.float() / 127.5 - 1


def _shuffled(count: int, size: int, random: torch.Generator) -> Iterator[Tensor]:
    """Yield batches of row numbers, epoch after epoch, indefinitely."""
    while True:
        order = torch.randperm(count, generator=random)
        yield from (part for part in order.split(min(size, count)) if len(part) == min(size, count))


def _vit(recipe: Recipe) -> PreTrainedModel:
    return ViTForImageClassification(
        ViTConfig(
            image_size=SIZE,
            patch_size=PATCH,
            hidden_size=recipe.width,
            num_hidden_layers=recipe.depth,
            num_attention_heads=recipe.heads,
            intermediate_size=recipe.mlp,
            num_labels=sum(PARTS),
        )
    )


def _convnext(recipe: Recipe) -> PreTrainedModel:
    width = recipe.width
    return ConvNextForImageClassification(
        ConvNextConfig(
            image_size=SIZE,
            patch_size=2,
            hidden_sizes=[width // 2, width // 2, width, width],
            depths=[1, 1, recipe.depth - 3, 1],
            num_labels=sum(PARTS),
        )
    )


# Text models: a scene described twice, in other words and starting from its other shape. To predict the second
# description, a model must remember the first, and so it learns to represent the whole scene.


def _reader(recipe: Recipe, seed: int, folder: Path, progress: Progress, train: PairedData, test: PairedData) -> Card:
    tokenizer = make_tokenizer(causal=recipe.kind == "scene-gpt2")
    model = _gpt2(recipe, tokenizer) if recipe.kind == "scene-gpt2" else _bert(recipe, tokenizer)
    random = torch.Generator().manual_seed(seed)
    batches = _shuffled(len(train), recipe.batch, random)
    loss = _next_loss if recipe.kind == "scene-gpt2" else _masked_loss

    def loss_of(_step: int) -> Tensor:
        scenes = [drawn.labels_of(train.ids[i]) for i in next(batches).tolist()]
        return loss(model, tokenizer, _told_twice(tokenizer, scenes, random), random)[0]

    model.train()
    seconds = optimise(model, recipe, loss_of, progress, folder.name)
    model.eval()
    save(model, tokenizer, folder)
    saved = type(model).from_pretrained(folder, dtype=torch.float32).eval()
    fixed = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        ids = _told_twice(tokenizer, [drawn.labels_of(name) for name in test.ids[:600]], fixed)
        right = loss(saved, tokenizer, ids, fixed)[1]
    name = "next word" if recipe.kind == "scene-gpt2" else "masked word"
    return finish(
        recipe, seed, folder, {f"{name} accuracy, second telling": right}, seconds, f"guess the {name} of captions"
    )


def make_tokenizer(*, causal: bool) -> PreTrainedTokenizerFast:
    """Make a tokenizer with one token per word; the captions use few words."""
    texts = [drawn.caption((a % 2, a % 8, a % 6, a % 4, 0, 0, 0), a % 3) for a in range(24)]
    words = sorted({word for text in texts for word in text.split()} | {"."})
    vocabulary = {word: number for number, word in enumerate([*SPECIAL, *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))  # noqa: S106 - a token of text
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    if causal:
        special = {"unk_token": "[UNK]", "pad_token": "[PAD]", "eos_token": "[SEP]"}
        return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=LENGTH, **special)
    first, last = SPECIAL.index("[CLS]"), SPECIAL.index("[SEP]")
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", last), ("[CLS]", first))
    return BertTokenizerFast(tokenizer_object=tokenizer, model_max_length=LENGTH)


def _told_twice(tokenizer: PreTrainedTokenizerFast, scenes: list[drawn.Labels], random: torch.Generator) -> Tensor:
    """Describe each scene twice in random words, from either shape in random order."""
    dice = torch.randint(len(drawn.PHRASES) * 2, (len(scenes), 2), generator=random).tolist()
    texts = []
    for labels, (one, other) in zip(scenes, dice, strict=True):
        first, second = (labels, drawn.turned(labels)) if one % 2 else (drawn.turned(labels), labels)
        texts.append(f"{drawn.caption(first, one // 2)} . {drawn.caption(second, other // 2)} .")
    rows: list[list[int]] = tokenizer(texts)["input_ids"]
    return padded(rows, tokenizer.pad_token_id)


def _second_telling(tokenizer: PreTrainedTokenizerFast, ids: Tensor) -> Tensor:
    """Return a mask of the second sentence."""
    stop = tokenizer.convert_tokens_to_ids(".")
    after: Tensor = ((ids == stop).cumsum(1) - (ids == stop).long()) >= 1
    return after & (ids >= len(SPECIAL))


def _masked_loss(
    model: Any, tokenizer: PreTrainedTokenizerFast, ids: Tensor, random: torch.Generator
) -> tuple[Tensor, float]:
    inputs, chosen = hide(tokenizer, ids, random, MASKED)
    logits = model(input_ids=inputs, attention_mask=(ids != tokenizer.pad_token_id).long()).logits
    scored = chosen & _second_telling(tokenizer, ids)
    right = float((logits[scored].argmax(1) == ids[scored]).float().mean())
    return nn.functional.cross_entropy(logits[chosen], ids[chosen]), right


def _next_loss(
    model: Any, tokenizer: PreTrainedTokenizerFast, ids: Tensor, _random: torch.Generator
) -> tuple[Tensor, float]:
    logits = model(input_ids=ids, attention_mask=(ids != tokenizer.pad_token_id).long()).logits[:, :-1]
    target = ids[:, 1:]
    real = target != tokenizer.pad_token_id
    scored = _second_telling(tokenizer, ids)[:, 1:]
    right = float((logits[scored].argmax(1) == target[scored]).float().mean())
    return nn.functional.cross_entropy(logits[real], target[real]), right


def _bert(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    return BertForMaskedLM(
        BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=recipe.width,
            num_hidden_layers=recipe.depth,
            num_attention_heads=recipe.heads,
            intermediate_size=recipe.mlp,
            max_position_embeddings=LENGTH,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def _gpt2(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(tokenizer),
            n_positions=LENGTH,
            n_embd=recipe.width,
            n_layer=recipe.depth,
            n_head=recipe.heads,
            n_inner=recipe.mlp,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
        )
    )


# CLIP: which caption belongs to which picture (arXiv:2103.00020)?


def _clip(recipe: Recipe, seed: int, folder: Path, progress: Progress, train: PairedData, test: PairedData) -> Card:
    tokenizer = make_tokenizer(causal=False)
    pixels = pixels_of(train)
    ids = padded(tokenizer(list(train.sides[CAPTION_SIDE]))["input_ids"], tokenizer.pad_token_id)
    model = CLIPModel(_clip_config(recipe, tokenizer))
    random = torch.Generator().manual_seed(seed)
    batches = _shuffled(len(pixels), recipe.batch, random)

    def loss_of(_step: int) -> Tensor:
        index = next(batches)
        mask = (ids[index] != tokenizer.pad_token_id).long()
        logits = model(input_ids=ids[index], attention_mask=mask, pixel_values=pixels[index]).logits_per_text
        here = torch.arange(len(index))
        return (nn.functional.cross_entropy(logits, here) + nn.functional.cross_entropy(logits.T, here)) / 2

    model.train()
    seconds = optimise(model, recipe, loss_of, progress, folder.name)
    model.eval()
    save(model, tokenizer, folder)
    side = {"height": SIZE, "width": SIZE}
    CLIPImageProcessor(
        size={"shortest_edge": SIZE}, crop_size=side, image_mean=[0.5] * 3, image_std=[0.5] * 3
    ).save_pretrained(folder)
    right = _retrieval(CLIPModel.from_pretrained(folder, dtype=torch.float32).eval(), tokenizer, test)
    score = {"right caption among 100": right}
    return finish(recipe, seed, folder, score, seconds, "tell which caption belongs to which picture")


def _clip_config(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> CLIPConfig:
    shared = {
        "hidden_size": recipe.width,
        "num_hidden_layers": recipe.depth,
        "num_attention_heads": recipe.heads,
        "intermediate_size": recipe.mlp,
        "projection_dim": recipe.width,
    }
    text = CLIPTextConfig(
        **shared,
        vocab_size=len(tokenizer),
        max_position_embeddings=LENGTH,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
    )
    vision = CLIPVisionConfig(**shared, image_size=SIZE, patch_size=PATCH)
    return CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=recipe.width)


@torch.inference_mode()
def _retrieval(model: CLIPModel, tokenizer: PreTrainedTokenizerFast, test: PairedData) -> float:
    """Return the share of test captions that find their picture among a hundred."""
    wins: list[float] = []
    size = min(100, len(test))
    for first in range(0, len(test) - size + 1, size):
        part = test.take(range(first, first + size))
        ids = padded(tokenizer(list(part.sides[CAPTION_SIDE]))["input_ids"], tokenizer.pad_token_id)
        mask = (ids != tokenizer.pad_token_id).long()
        logits = model(input_ids=ids, attention_mask=mask, pixel_values=pixels_of(part)).logits_per_text
        wins.append(float((logits.argmax(1) == torch.arange(size)).float().mean()))
    return sum(wins) / len(wins)
