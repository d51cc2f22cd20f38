"""Ready-made requests for layer prediction."""

from __future__ import annotations

from collections.abc import Sequence

from contrasim_core.data import resolve_data
from contrasim_core.encoder.spec import PAPER, EncoderSpec
from contrasim_core.errors import SpecError
from contrasim_core.models.find import expand_models, resolve_model
from contrasim_core.refs import Pooling
from contrasim_core.runs.layer_prediction.spec import BenchmarkSpec, Protocol
from contrasim_core.zoo.families import family_for_layers, quick_for


def protocols(text: str) -> tuple[Protocol, ...]:
    """Parse protocols from a comma-separated list; `BenchmarkSpec` checks them."""
    return tuple(part.strip() for part in text.split(",") if part.strip())  # type: ignore[misc]


def benchmark_spec(
    models: str,
    *,
    measures: Sequence[str],
    data: str | None = None,
    transfer: str | None = None,
    protocols: Sequence[Protocol] | None = None,
    pairs: str = "all",
    pooling: Pooling | None = None,
    unseen_models: int | None = None,
    rows: int | None = None,
    encoder: EncoderSpec | None = None,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
) -> BenchmarkSpec:
    """Return the request for layer prediction on a bundled family, or on the user's own models and data.

    Args:
        models: a bundled family, or names separated by commas.
        measures: measure ids.
        data: data set with a train and a test split; defaults to the family's own.
        transfer: second data set; defaults to the family's own.
        protocols: defaults to all that the data allow.
        pairs: `all` or `disjoint`.
        pooling: defaults to the family's own.
        unseen_models: how many models `unseen` holds out of training; by default 4, or fewer so that two remain.
        rows: defaults to the family's own.
        encoder: training options; `QUICK` for bundled models, else the paper's.
        seeds: encoder seeds.

    Raises:
        SpecError: if the user's own models are given without data.
    """
    names = expand_models(models)
    known = family_for_layers(names)
    source = data or (known.test if known else None)
    if source is None:
        raise SpecError(f"{models} is not a bundled family. Give --data, a data set with a train and a test split.")
    second = transfer or (known.transfer if known and data is None else None)
    keep = unseen_models if unseen_models is not None else max(0, min(4, len(names) - 2))
    allowed: dict[Protocol, bool] = {"seen": True, "unseen": keep >= 2, "transfer": second is not None}
    wanted = protocols or [name for name, possible in allowed.items() if possible]
    return BenchmarkSpec(
        models=tuple(resolve_model(name) for name in names),
        train=resolve_data(source, split="train"),
        test=resolve_data(source, split="test"),
        transfer_test=resolve_data(second, split="test") if second and "transfer" in wanted else None,
        measures=tuple(measures),
        protocols=tuple(wanted),
        pairs="disjoint" if pairs == "disjoint" else "all",
        unseen_models=keep,
        pooling=pooling or (known.pooling if known else "mean"),
        rows=rows if rows is not None else (known.rows if known else None),
        encoder=encoder or (quick_for(models) if known else PAPER),
        seeds=tuple(seeds),
    )
