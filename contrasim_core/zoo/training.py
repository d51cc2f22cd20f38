"""What the trainers of all bundled models share: schedule, loop, saving and the card."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from contrasim_core.progress import Progress
from contrasim_core.result import versions
from contrasim_core.zoo.cards import Card
from contrasim_core.zoo.recipes import Recipe

REPORT_EVERY = 20  # steps


def schedule(step: int, steps: int) -> float:
    """Return the share of the peak learning rate: linear warm-up over a tenth of the steps, then cosine to zero."""
    warm = max(1, steps // 10)
    return (step + 1) / warm if step < warm else 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def optimise(
    model: nn.Module, recipe: Recipe, loss_of: Callable[[int], Tensor], progress: Progress, name: str
) -> float:
    """Run the recipe's steps; return the seconds it took.

    Args:
        model: in training mode.
        recipe: steps, learning rate, weight decay.
        loss_of: returns the loss of a step, given its number.
        progress: called every few steps.
        name: name of the model, for progress messages.
    """
    optimiser = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    rates = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: schedule(step, recipe.steps))
    started = time.monotonic()
    for step in range(recipe.steps):
        loss = loss_of(step)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        rates.step()
        if step % REPORT_EVERY == REPORT_EVERY - 1 or step == recipe.steps - 1:
            progress(
                step + 1, recipe.steps, f"Training {name}: step {step + 1} of {recipe.steps}, loss {loss.item():.3f}"
            )
    return time.monotonic() - started


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the progress bars and advice of transformers; its verbosity is restored afterwards."""
    from transformers.utils import logging

    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def save(model: Any, preprocessor: Any, folder: Path) -> None:
    """Write a folder in Hugging Face format, weights in half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    model.half().save_pretrained(folder)
    preprocessor.save_pretrained(folder)


def finish(recipe: Recipe, seed: int, folder: Path, score: dict[str, float], seconds: float, task: str) -> Card:
    """Write and return the card."""
    from safetensors import safe_open

    with safe_open(folder / "model.safetensors", framework="pt") as stored:
        parameters = sum(math.prod(stored.get_slice(name).get_shape()) for name in stored.keys())  # noqa: SIM118
    options = {
        name: value
        for name, value in asdict(recipe).items()
        if name in ("width", "depth", "heads", "mlp", "steps", "batch", "learning_rate", "weight_decay")
    }
    card = Card(
        name=f"{recipe.family}-{seed}",
        family=recipe.family,
        about=recipe.about,
        data=", ".join(f"{name} (train)" for name in recipe.train),
        task=task,
        seed=seed,
        score={key: round(value, 4) for key, value in score.items()},
        parameters=parameters,
        megabytes=round(sum(file.stat().st_size for file in folder.iterdir()) / 1e6, 2),
        layers=recipe.depth,
        pooling=recipe.pooling,
        recipe=options,
        rebuild=f"python -m contrasim_core zoo build {recipe.family}-{seed}",
        seconds=round(seconds, 1),
        versions=versions(),
    )
    card.save(folder)
    return card
