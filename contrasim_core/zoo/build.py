"""Train a bundled model from its recipe."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from contrasim_core.models.find import BUNDLED_ROOT
from contrasim_core.progress import Progress, silent
from contrasim_core.zoo.cards import Card
from contrasim_core.zoo.recipes import family_of


def build(name: str, *, root: Path = BUNDLED_ROOT, progress: Progress = silent, steps: int | None = None) -> Card:
    """Train one bundled model from its recipe and write its folder.

    Args:
        name: such as `digits-vit-0`.
        root: where to write the folder.
        progress: called every few steps.
        steps: fewer steps than the recipe's, for a trial run.

    Raises:
        UnknownModelError: if the name is not a member of a family.
    """
    chosen, seed = family_of(name)
    if steps is not None:
        chosen = replace(chosen, steps=steps)
    from contrasim_core.zoo.training import quiet

    with quiet():
        if chosen.kind == "bert":
            from contrasim_core.zoo.language import build_bert

            return build_bert(chosen, seed, root / name, progress)
        if chosen.task == "multilingual":
            from contrasim_core.zoo.multilingual import build_multilingual

            return build_multilingual(chosen, seed, root / name, progress)
        if chosen.task == "image-caption":
            from contrasim_core.zoo.scenes import build_scene_model

            return build_scene_model(chosen, seed, root / name, progress)
        from contrasim_core.zoo.vision import build_vision

        return build_vision(chosen, seed, root / name, progress)
