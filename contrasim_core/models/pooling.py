"""The default pooling of a model, from its card or its configuration alone: nothing is loaded."""

from __future__ import annotations

from typing import Any

from contrasim_core.models.find import read_card, read_config
from contrasim_core.models.model_types import (
    CAUSAL_TOWERS,
    DECODERS,
    LAST_TOKEN_TOWERS,
    WITH_CLASS_TOKEN,
    WITHOUT_CLASS_TOKEN,
)
from contrasim_core.refs import ModelRef, Pooling

POOLING_OF_TYPES: tuple[tuple[Pooling, tuple[str, ...]], ...] = (
    ("cls", WITH_CLASS_TOKEN),
    ("spatial-mean", WITHOUT_CLASS_TOKEN),
    ("last", (*DECODERS, *CAUSAL_TOWERS, *LAST_TOKEN_TOWERS)),
)


def default_pooling(model: ModelRef) -> Pooling:
    """The pooling of a model if none is asked for; the API, the commands and the pages all take it from here.

    That of the card for a bundled model. For others `cls` for vision transformers with a class token, `spatial-mean`
    for ConvNets and vision transformers without one, `last` for decoders and text towers like that of CLIP, and `mean`
    for the rest: text encoders, unknown types, and models that are not on this machine yet.
    """
    card = read_card(model)
    if card and model.tower == "auto":
        pooling: Pooling = card["pooling"]
        return pooling
    types = model_types(read_config(model) or {}, model.tower)
    known = (pooling for name in types for pooling, names in POOLING_OF_TYPES if name in names)
    return next(known, "mean")


def model_types(config: dict[str, Any], tower: str) -> tuple[str, ...]:
    """The types to judge a model by, the first that is known: of the tower asked for, or of the whole.

    A whole that is of no known type, such as a language model that also sees images, is judged by its text part.
    """
    whole = str(config.get("model_type", ""))
    part = "vision" if tower == "vision" else "text"
    nested = config.get(f"{part}_config")
    if not isinstance(nested, dict):
        return (whole,)
    inner = str(nested.get("model_type") or f"{whole.replace('-', '_')}_{part}_model")
    return (whole, inner) if tower == "auto" else (inner,)
