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
    """Encoders for a bundled family, or for models and data of one's own; the embeddings (layer 0) are left out.

    Args:
        models: a bundled family, or names separated by commas.
        encoder: what to train.
        data: data set with a train split; the family's own if left out.
        pooling: the family's own if left out, else `mean`.
        rows: the family's own if left out.
        seeds: one encoder each.

    Raises:
        SpecError: if models of one's own come without data.
    """
    names = expand_models(models)
    known = family_for_layers(names)
    source = data or (known.test if known else None)
    if source is None:
        raise SpecError(f"{models} is no bundled family, so say which --data to train on.")
    pinned = resolve_data(source, split="train")
    how: Pooling = pooling or (known.pooling if known else "mean")
    sources = tuple(ExtractionSpec(model=resolve_model(name), data=pinned, pooling=how) for name in names)
    return TrainSpec(
        encoder=encoder,
        sources=sources,
        rows=rows if rows is not None else (known.rows if known else None),
        seeds=tuple(seeds),
    )
