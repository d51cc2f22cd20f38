"""Trainers of the digit models: vision transformers and all-convolutional networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, ViTConfig, ViTForImageClassification, ViTImageProcessor

from contrasim_core.data.vision import digits_with_labels
from contrasim_core.models.allconv import AllConvConfig, AllConvForImageClassification
from contrasim_core.progress import Progress
from contrasim_core.zoo.cards import Card
from contrasim_core.zoo.recipes import Recipe
from contrasim_core.zoo.training import finish, optimise, save

SIZE = 8
SMOOTHING = 0.1


def build_vision(recipe: Recipe, seed: int, folder: Path, progress: Progress) -> Card:
    """Train a digit classifier and write its folder.

    The seed sets the initial weights and the order of the samples; data, architecture and schedule are the family's.
    """
    pixels, labels = _tensors("train")
    torch.manual_seed(seed)
    model = _vit(recipe) if recipe.kind == "vit" else _allconv()
    order = torch.Generator().manual_seed(seed)
    queue: list[Tensor] = []

    def loss_of(_step: int) -> Tensor:
        if not queue:
            queue.extend(torch.randperm(len(pixels), generator=order).split(recipe.batch))
            if len(queue) > 1 and len(queue[-1]) < recipe.batch:
                queue.pop()
        index = queue.pop()
        logits = model(pixel_values=pixels[index]).logits
        loss: Tensor = nn.functional.cross_entropy(logits, labels[index], label_smoothing=SMOOTHING)
        return loss

    model.train()
    seconds = optimise(model, recipe, loss_of, progress, folder.name)
    model.eval()
    save(model, _processor(), folder)
    accuracy = _accuracy(type(model).from_pretrained(folder, dtype=torch.float32).eval())
    return finish(recipe, seed, folder, {"test accuracy": accuracy}, seconds, "classify digits")


def _processor() -> Any:
    return ViTImageProcessor(
        size={"height": SIZE, "width": SIZE}, image_mean=[0.5] * 3, image_std=[0.5] * 3, do_convert_rgb=True
    )


def _tensors(split: str) -> tuple[Tensor, Tensor]:
    """Return pixels as the processor does, and labels."""
    images, labels, _ = digits_with_labels(split)
    grey = torch.stack([torch.from_numpy(image) for image in images]).float() / 127.5 - 1
    return grey[:, None].repeat(1, 3, 1, 1), torch.tensor(labels)


def _vit(recipe: Recipe) -> PreTrainedModel:
    return ViTForImageClassification(
        ViTConfig(
            image_size=SIZE,
            patch_size=2,
            num_channels=3,
            hidden_size=recipe.width,
            num_hidden_layers=recipe.depth,
            num_attention_heads=recipe.heads,
            intermediate_size=recipe.mlp,
            num_labels=10,
        )
    )


def _allconv() -> PreTrainedModel:
    return AllConvForImageClassification(AllConvConfig(num_labels=10))


@torch.inference_mode()
def _accuracy(model: PreTrainedModel) -> float:
    """Return the share of test digits that the saved weights get right."""
    pixels, labels = _tensors("test")
    return float((model(pixel_values=pixels).logits.argmax(1) == labels).float().mean())
