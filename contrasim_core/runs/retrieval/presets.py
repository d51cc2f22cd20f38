"""Ready-made requests for the multilingual and image-caption benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any, Literal

from contrasim_core.activations.spec import ExtractionSpec
from contrasim_core.data import resolve_data
from contrasim_core.data.catalog import bundled
from contrasim_core.data.pairs import CAPTION_SIDE, IMAGE_SIDE, column_of
from contrasim_core.encoder.spec import EncoderSpec
from contrasim_core.errors import SpecError
from contrasim_core.models.find import resolve_model
from contrasim_core.models.pooling import default_pooling
from contrasim_core.refs import DatasetRef, Pooling
from contrasim_core.runs.retrieval.spec import Negatives, RetrievalSpec

LANGUAGES = ("en", "ar", "zh", "ru", "tr")
"""The five languages of the paper."""


PAPER_PAIRED = EncoderSpec(epochs=30)
"""Training options of arXiv:2303.16992 for translations and captions."""


QUICK_MULTILINGUAL = EncoderSpec(epochs=10, batch_rows=128)


QUICK_CAPTION = EncoderSpec(epochs=12, batch_rows=128)
"""Training options that are enough for the small bundled models, on two cores."""


QUICK_ROWS = {"multilingual": (1024, 400), "image-caption": (2048, 3000)}
"""Training and test samples for the small bundled models."""


BATCH = {"multilingual": 8, "image-caption": 64}
"""Rows of a batch, as in the paper."""


SEEDS = {"multilingual": (0,), "image-caption": (0, 1, 2, 3, 4)}
"""Number of encoder seeds, as in the paper: languages form twenty pairs, images and captions one or four."""


HUB_ROWS = (10_000, 5_000)
"""Training and test samples of the paper."""


NEIGHBOURS_OF_FEW = 4
"""Neighbours of UMAP when five samples are shown, as in figure 5 of the paper."""


MULTILINGUAL_MODEL = "phrases-bert-0"


VISION_MODELS = ("scenes-vit-0", "scenes-convnext-0")


TEXT_MODELS = ("scenes-bert-0", "scenes-gpt2-0")


CLIP_MODEL = "scenes-clip-0"


def negatives(text: str) -> tuple[Negatives, ...]:
    """Parse kinds of distractors from a comma-separated list; `RetrievalSpec` checks them."""
    return tuple(part.strip() for part in text.split(",") if part.strip())  # type: ignore[misc]


def multilingual_spec(
    model: str = MULTILINGUAL_MODEL,
    *,
    measures: Sequence[str],
    data: str | None = None,
    languages: Sequence[str] = LANGUAGES,
    pooling: Pooling = "cls",
    config: str | None = None,
    **options: Any,
) -> RetrievalSpec:
    """Return the request for the multilingual benchmark of one model: all ordered pairs of languages.

    Args:
        model: bundled name, folder or hub id.
        measures: measure ids.
        data: parallel texts with a train and a test split; defaults to the bundled phrases.
        languages: columns of the data; 2 or more.
        pooling: how positions become rows.
        config: configuration of a hub data set, such as `all_languages` of XNLI.
        options: as for `retrieval_options`.

    Raises:
        SpecError: if fewer than two languages are named, or one is named twice.
    """
    if len(set(languages)) < 2 or len(set(languages)) != len(languages):
        raise SpecError(f"Languages are {', '.join(languages) or 'none'}. Name 2 or more, each once.")
    kept = _options("multilingual", data is None, options)
    source = data or "cldr-phrases"
    sides = {part: [_side(source, name, languages, part, config) for name in languages] for part in ("train", "test")}
    rows = dict(zip(("train", "test"), kept.pop("rows"), strict=True))
    return RetrievalSpec(
        task="multilingual",
        train=_extractions([model] * len(languages), sides["train"], [pooling] * len(languages), rows["train"], "all"),
        test=_extractions([model] * len(languages), sides["test"], [pooling] * len(languages), rows["test"], "all"),
        pairs=tuple(permutations(range(len(languages)), 2)),
        measures=tuple(measures),
        **kept,
    )


def caption_spec(
    vision: Sequence[str] = VISION_MODELS,
    text: Sequence[str] = TEXT_MODELS,
    *,
    measures: Sequence[str],
    data: str | None = None,
    config: str | None = None,
    pooling: dict[str, Pooling] | None = None,
    **options: Any,
) -> RetrievalSpec:
    """Return the request for the image-caption benchmark: every vision model with every text model, last layers.

    Args:
        vision: models that read the images; `name#vision` for a tower of CLIP.
        text: models that read the captions.
        measures: measure ids.
        data: images with captions, with a train and a test split; defaults to the bundled scenes.
        config: configuration of a hub data set.
        pooling: pooling by model; defaults to what is usual for its family.
        options: as for `retrieval_options`.

    Raises:
        SpecError: if a vision or a text model is missing.
    """
    if not vision or not text:
        raise SpecError("Name at least one vision model and one text model.")
    kept = _options("image-caption", data is None, options)
    source = data or "scenes"
    models = [*vision, *text]
    sides = [IMAGE_SIDE] * len(vision) + [CAPTION_SIDE] * len(text)
    how = [(pooling or {}).get(model) or pooling_for_caption(model) for model in models]
    rows = dict(zip(("train", "test"), kept.pop("rows"), strict=True))
    made = {
        part: _extractions(
            models,
            [_side(source, side, (IMAGE_SIDE, CAPTION_SIDE), part, config) for side in sides],
            how,
            rows[part],
            (-1,),
        )
        for part in ("train", "test")
    }
    pairs = tuple((a, len(vision) + b) for a in range(len(vision)) for b in range(len(text)))
    return RetrievalSpec(
        task="image-caption", train=made["train"], test=made["test"], pairs=pairs, measures=tuple(measures), **kept
    )


def clip_spec(model: str = CLIP_MODEL, *, measures: Sequence[str], **options: Any) -> RetrievalSpec:
    """Return the request for the image-caption benchmark of the two towers of one model, in their shared space."""
    return caption_spec((f"{model}#vision",), (f"{model}#text",), measures=measures, **options)


def pooling_for_caption(model: str) -> Pooling:
    """Return the paper's pooling: class token for ViT and BERT, last token for GPT-2, spatial mean for ConvNeXt."""
    usual = default_pooling(resolve_model(model))
    return "cls" if usual == "mean" else usual


def _options(task: Literal["multilingual", "image-caption"], own: bool, options: dict[str, Any]) -> dict[str, Any]:  # noqa: FBT001
    """Return options with defaults: small and quick for the bundled data, the paper's for other data.

    `rows` are the numbers of training and test samples, the rest are fields of `RetrievalSpec`.
    """
    quick = QUICK_MULTILINGUAL if task == "multilingual" else QUICK_CAPTION
    rows = QUICK_ROWS[task] if own else HUB_ROWS
    given = {name: value for name, value in options.items() if value is not None}
    return {
        "encoder": quick if own else PAPER_PAIRED,
        "batch": BATCH[task],
        "rows": rows,
        "seeds": SEEDS[task],
        **given,
    }


def _side(source: str, side: str, sides: Sequence[str], split: str, config: str | None) -> DatasetRef:
    column = side if bundled(source) is not None else column_of(side, sides)
    return resolve_data(source, split=split, column=column, config=config)


def _extractions(
    models: Sequence[str],
    data: Sequence[DatasetRef],
    pooling: Sequence[Pooling],
    limit: int | None,
    layers: Literal["all"] | tuple[int, ...],
) -> tuple[ExtractionSpec, ...]:
    return tuple(
        ExtractionSpec(model=resolve_model(model), data=replace(item, limit=limit), pooling=how, layers=layers)
        for model, item, how in zip(models, data, pooling, strict=True)
    )
