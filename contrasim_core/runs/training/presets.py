"""Ready-made requests for encoders of layers."""

from __future__ import annotations

from collections.abc import Sequence

from contrasim_core.activations.spec import ExtractionSpec
from contrasim_core.data import resolve_data
from contrasim_core.encoder.spec import EncoderSpec, TrainSpec
from contrasim_core.errors import SpecError
from contrasim_core.models.find import expand_models, resolve_model
from contrasim_core.refs import Pooling
from contrasim_core.zoo.families import family_for_layers


def train_spec(
    models: str,
    *,
    encoder: EncoderSpec,
    data: str | None = None,
    pooling: Pooling | None = None,
    rows: int | None = None,
    seeds: Sequence[int] = (0,),
) -> TrainSpec:
    """Return the request for encoders of a bundled family, or of the user's own models and data, without layer 0.

    Args:
        models: a bundled family, or names separated by commas.
        encoder: what to train.
        data: data set with a train split; defaults to the family's own.
        pooling: defaults to the family's own, else `mean`.
        rows: defaults to the family's own.
        seeds: one encoder per seed.

    Raises:
        SpecError: if the user's own models are given without data.
    """
    names = expand_models(models)
    known = family_for_layers(names)
    source = data or (known.test if known else None)
    if source is None:
        raise SpecError(f"{models} is not a bundled family. Give --data, a data set to train on.")
    pinned = resolve_data(source, split="train")
    how: Pooling = pooling or (known.pooling if known else "mean")
    sources = tuple(ExtractionSpec(model=resolve_model(name), data=pinned, pooling=how) for name in names)
    return TrainSpec(
        encoder=encoder,
        sources=sources,
        rows=rows if rows is not None else (known.rows if known else None),
        seeds=tuple(seeds),
    )
