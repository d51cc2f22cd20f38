"""Options that suit the models of a bundled family: recipes, and training options of encoders."""

from __future__ import annotations

from collections.abc import Sequence

from contrasim_core.encoder.spec import QUICK, EncoderSpec
from contrasim_core.models.find import expand_models
from contrasim_core.zoo.recipes import RECIPES, Recipe


def quick_for(models: str) -> EncoderSpec:
    """Return quick training options: those of the bundled family, if the models belong to one.

    An encoder starts by giving every row the same code and needs some hundred steps to leave that state; how many
    depends on the models.
    """
    known = recipe_for(expand_models(models))
    return QUICK.replace(epochs=known.encoder_epochs, batch_rows=known.encoder_batch) if known else QUICK


def recipe_for(names: Sequence[str]) -> Recipe | None:
    """Return the recipe that all these models come from; None if they are not of one bundled family."""
    families = {name.partition("#")[0].rpartition("-")[0] for name in names}
    return next((item for item in RECIPES if families == {item.family}), None)


def family_for_layers(names: Sequence[str]) -> Recipe | None:
    """Return the recipe that all these models come from, if it is a family made for layer prediction."""
    known = recipe_for(names)
    return known if known is not None and known.task == "layer-prediction" else None
