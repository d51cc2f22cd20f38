"""Ready-made requests for activations: model and data by name."""

from __future__ import annotations

from typing import Any

from contrasim_core.activations.spec import ExtractionSpec
from contrasim_core.data import resolve_data
from contrasim_core.data.catalog import bundled
from contrasim_core.data.pairs import CAPTION_SIDE, IMAGE_SIDE
from contrasim_core.models.find import read_config, resolve_model
from contrasim_core.refs import ModelRef, Pooling


def extraction_spec(
    model: str,
    data: str,
    *,
    pooling: Pooling,
    split: str = "test",
    column: str | None = None,
    limit: int | None = None,
    **options: Any,
) -> ExtractionSpec:
    """Return the request for one model on one data set, both by name.

    Args:
        model: bundled name, folder or hub id.
        data: bundled name, file, folder or hub data set.
        pooling: how positions become rows.
        split: part of the data set.
        column: column of a table.
        limit: use only the first samples.
        options: further fields of the spec.
    """
    ref = resolve_model(model)
    pinned = resolve_data(data, split=split, limit=limit, column=column or side_for(ref, data))
    return ExtractionSpec(model=ref, data=pinned, pooling=pooling, **options)


def side_for(model: ModelRef, data: str) -> str | None:
    """Return the side of bundled images with captions that a model can read; None for other data."""
    known = bundled(data)
    if known is None or CAPTION_SIDE not in known.sides:
        return None
    reads = model.tower == "text" or (model.tower == "auto" and "vocab_size" in (read_config(model) or {}))
    return CAPTION_SIDE if reads else IMAGE_SIDE
