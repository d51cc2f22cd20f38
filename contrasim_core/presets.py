"""Ready-made requests: what a bundled family is judged on, and which measures words such as `all` stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from contrasim_core.data import resolve_data
from contrasim_core.data.catalog import bundled
from contrasim_core.data.pairs import CAPTION_SIDE, IMAGE_SIDE
from contrasim_core.errors import SpecError
from contrasim_core.models import depth_of, expand_models, read_config, resolve_model, width_of
from contrasim_core.refs import ModelRef
from contrasim_core.specs import (
    ENCODER_KINDS,
    BenchmarkSpec,
    CompareSpec,
    EncoderSpec,
    ExtractionSpec,
    Pooling,
    Protocol,
    TrainSpec,
)
from contrasim_core.store import Store
from contrasim_core.zoo.recipes import RECIPES, Recipe

CLOSED_FORM_IDS = (
    "cka.linear",
    "cka.rbf",
    "cka.debiased",
    "cca.mean",
    "cca.r2",
    "svcca",
    "pwcca",
    "regression.r2",
    "hsic.linear",
    "procrustes",
    "dot",
    "norm",
)
KORNBLITH_IDS = (
    "cca.mean",
    "cca.r2",
    "svcca",
    "svcca:summary=r2",
    "pwcca",
    "regression.r2",
    "hsic.linear",
    "cka.linear",
    "cka.rbf:t=0.2",
    "cka.rbf:t=0.4",
    "cka.rbf",
)
"""The indexes of Table 2 of arXiv:1905.00414, in its order."""
USUAL_POOLING: dict[Pooling, tuple[str, ...]] = {
    "cls": ("vit", "deit", "beit", "dinov2", "clip_vision_model"),
    "spatial-mean": ("convnext", "convnextv2", "resnet", "regnet", "efficientnet", "mobilenet_v2", "contrasim-allconv"),
    "last": ("gpt2", "gpt_neo", "gpt_neox", "opt", "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "phi3"),
}
PAPER = EncoderSpec()
"""Training options of arXiv:2303.16992, section 6."""
QUICK = EncoderSpec(epochs=8, batch_rows=128)
"""Training options for small models: small batches and few passes are enough for most, on two cores."""


def expand_measures(text: str) -> tuple[str, ...]:
    """Measure ids from a comma-separated list; `all`, `closed-form`, `learned` and `kornblith` stand for several.

    Options of a measure are written after a colon, several of them separated by `;`: `svcca:threshold=0.9;summary=r2`.
    """
    groups = {
        "all": (*CLOSED_FORM_IDS, *ENCODER_KINDS),
        "closed-form": CLOSED_FORM_IDS,
        "learned": tuple(ENCODER_KINDS),
        "kornblith": KORNBLITH_IDS,
    }
    found: dict[str, None] = {}
    for part in (item.strip() for item in text.split(",")):
        found.update(dict.fromkeys(groups.get(part, (part.replace(";", ","),) if part else ())))
    if not found:
        raise SpecError("No measure is named. Give ids separated by commas, or 'all'.")
    return tuple(found)


def indices(text: str) -> tuple[int, ...]:
    """Layer indices from a comma-separated list.

    Raises:
        SpecError: if one is no number.
    """
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise SpecError(f"Layers are indices separated by commas, or 'all'; not {text!r}.") from error


def protocols(text: str) -> tuple[Protocol, ...]:
    """Protocols from a comma-separated list; `BenchmarkSpec` checks them."""
    return tuple(part.strip() for part in text.split(",") if part.strip())  # type: ignore[misc]


def usual_pooling(model: ModelRef) -> Pooling:
    """The pooling to suggest for a model, judged from its card or configuration, without loading it."""
    known = recipe_for([model.name])
    if known is not None and model.tower == "auto":
        return known.pooling
    if model.tower != "auto":
        return "cls" if model.tower == "vision" else "last"
    kind = str((read_config(model) or {}).get("model_type", ""))
    return next((pooling for pooling, kinds in USUAL_POOLING.items() if kind in kinds), "mean")


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
    """One model on one data set, both by name.

    Args:
        model: bundled name, folder or hub id.
        data: bundled name, file, folder or hub data set.
        pooling: how positions become rows.
        split: part of the data set.
        column: column of a table.
        limit: only the first samples.
        options: further fields of the spec.
    """
    ref = resolve_model(model)
    pinned = resolve_data(data, split=split, limit=limit, column=column or side_for(ref, data))
    return ExtractionSpec(model=ref, data=pinned, pooling=pooling, **options)


def side_for(model: ModelRef, data: str) -> str | None:
    """The side of bundled images with captions that a model can read; None for other data."""
    known = bundled(data)
    if known is None or CAPTION_SIDE not in known.sides:
        return None
    reads = model.tower == "text" or (model.tower == "auto" and "vocab_size" in (read_config(model) or {}))
    return CAPTION_SIDE if reads else IMAGE_SIDE


def estimate(spec: CompareSpec, store: Store) -> str:
    """What a comparison will cost, in words: samples, memory, and what is there already; nothing is loaded."""
    if store.find(spec.kind, spec.key) is not None:
        return "This comparison is finished."
    known = bundled(spec.a.data.name)
    count = spec.a.data.limit or (known.sizes[spec.a.data.split] if known else None)
    parts = [f"{count} samples" if count else "number of samples known once the data are read"]
    floats = 0
    for side in (spec.a, spec.b):
        depth, width = depth_of(side.model), width_of(side.model)
        layers = len(side.layers) if side.layers != "all" else depth + 1 if depth is not None else None
        there = any(store.find(item.kind, item.key) for item in (side, side.replace(layers="all")))
        state = "activations are there" if there else "activations to be extracted"
        parts.append(f"{side.model.label}: {layers or 'all'} layers, {state}")
        floats += (layers or 0) * (width or 0)
    if count and floats:
        unit = " for each word of a text" if spec.a.pooling == "word" else ""
        parts.append(f"{4 * count * floats / 1e6:.1f} MB{unit}")
    return "; ".join(parts) + "."


def quick_for(models: str) -> EncoderSpec:
    """Quick training options: those of the bundled family, if the models are of one.

    An encoder starts by giving every row the same code and needs some hundred steps to leave that state; how many
    depends on the models.
    """
    known = recipe_for(expand_models(models))
    return QUICK.replace(epochs=known.encoder_epochs, batch_rows=known.encoder_batch) if known else QUICK


def recipe_for(names: Sequence[str]) -> Recipe | None:
    """The recipe that all these models come from; None if they are not of one bundled family."""
    families = {name.partition("#")[0].rpartition("-")[0] for name in names}
    return next((item for item in RECIPES if families == {item.family}), None)


def family_for_layers(names: Sequence[str]) -> Recipe | None:
    """The recipe that all these models come from, if it is a family made for layer prediction."""
    known = recipe_for(names)
    return known if known is not None and known.task == "layer-prediction" else None


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
    """Layer prediction for a bundled family, or for models and data of one's own.

    Args:
        models: a bundled family, or names separated by commas.
        measures: measure ids.
        data: data set with a train and a test split; the family's own if left out.
        transfer: second data set; the family's own if left out.
        protocols: all that the data allow, if left out.
        pairs: `all` or `disjoint`.
        pooling: the family's own if left out.
        unseen_models: how many models `unseen` keeps from training; 4, or as many as leave two.
        rows: the family's own if left out.
        encoder: training options; `QUICK` for bundled models, else the paper's.
        seeds: encoder seeds.

    Raises:
        SpecError: if models of one's own come without data.
    """
    names = expand_models(models)
    known = family_for_layers(names)
    source = data or (known.test if known else None)
    if source is None:
        raise SpecError(f"{models} is no bundled family, so say which --data to use (a data set with train and test).")
    second = transfer or (known.transfer if known and data is None else None)
    keep = unseen_models if unseen_models is not None else max(0, min(4, len(names) - 2))
    allowed: dict[Protocol, bool] = {"seen": True, "unseen": keep >= 2, "transfer": second is not None}
    wanted = protocols or [name for name, there in allowed.items() if there]
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
        layers=tuple(range(1, known.depth + 1)) if known else None,
        rows=rows if rows is not None else (known.rows if known else None),
        seeds=tuple(seeds),
    )
