"""Where and how the paper's items are run: which models and data play which role, and the resulting specs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from contrasim_core.activations.spec import Execution
from contrasim_core.encoder.spec import PAPER, EncoderSpec
from contrasim_core.errors import SpecError
from contrasim_core.models.find import expand_models
from contrasim_core.progress import Progress, silent
from contrasim_core.refs import Pooling
from contrasim_core.runs.layer_prediction.presets import benchmark_spec
from contrasim_core.runs.layer_prediction.spec import BenchmarkSpec
from contrasim_core.runs.retrieval import presets as presets_paired
from contrasim_core.runs.retrieval.spec import RetrievalSpec
from contrasim_core.store import Store
from contrasim_core.zoo.families import family_for_layers, quick_for

Scale = Literal["bundled", "hub"]
SEEDS = {"bundled": {"layers": 1, "pairs": 1, "captions": 5}, "hub": {"layers": 5, "pairs": 1, "captions": 5}}
TEXT_LAYERS = EncoderSpec(epochs=9, batch_rows=24)
TEXT_ROWS = 1000
"""Training options for the bundled BERTs: many small steps, because an encoder needs hundreds before it learns."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The setting in which an item is run.

    Attributes:
        scale: bundled models and data, or the paper's from the hub.
        store: where artifacts are kept.
        execution: device and batch size.
        progress: called as the work proceeds.
        seeds: encoder seeds instead of the scale's own.
        epochs: passes instead of the scale's own, for trial runs.
        rows: training and test samples instead of the scale's own, for trial runs.
        sources: models and data by role, instead of the scale's own.
    """

    scale: Scale
    store: Store
    execution: Execution = Execution()  # noqa: RUF009 - frozen
    progress: Progress = silent
    seeds: int | None = None
    epochs: int | None = None
    rows: tuple[int, int] | None = None
    sources: Mapping[str, str] = field(default_factory=dict)

    def source(self, role: str) -> str | None:
        """Return the model or data set that plays a role."""
        given = self.sources.get(role)
        return given if given is not None else ROLES[self.scale].get(role)

    def encoder(self, usual: EncoderSpec) -> EncoderSpec:
        """Return the training options."""
        return usual if self.epochs is None else usual.replace(epochs=self.epochs)

    def seeds_for(self, kind: str) -> tuple[int, ...]:
        """Return the encoder seeds."""
        return tuple(range(self.seeds or SEEDS[self.scale][kind]))


ROLES: dict[Scale, dict[str, str]] = {
    "bundled": {
        "language models": "docs-bert",
        "text 1": "python-docs",
        "text 2": "library-docs",
        "vision models": "digits-vit",
        "images 1": "digits",
        "images 2": "photo-patches",
        "multilingual 1": "phrases-bert-0",
        "multilingual 2": "phrases-roberta-0",
        "vit": "scenes-vit-0",
        "convnext": "scenes-convnext-0",
        "bert": "scenes-bert-0",
        "gpt2": "scenes-gpt2-0",
        "clip": "scenes-clip-0",
    },
    "hub": {
        "language models": ",".join(f"google/multiberts-seed_{seed}" for seed in range(10)),
        "text 1": "ptb-text-only/ptb_text_only",
        "text 2": "Salesforce/wikitext",
        "multilingual 1": "bert-base-multilingual-cased",
        "multilingual 2": "xlm-roberta-base",
        "parallel": "facebook/xnli",
        "parallel config": "all_languages",
        "vit": "google/vit-base-patch16-224",
        "convnext": "facebook/convnext-tiny-224",
        "bert": "bert-base-cased",
        "gpt2": "gpt2",
        "clip": "openai/clip-vit-base-patch32",
    },
}
"""Models and data by role. The paper's fine-tuned ViTs were not published, so the hub has no `vision models`; and its
Conceptual Captions are a list of addresses, not images, so `captioned` must be given."""


def layer_specs(bench: Bench, models: str, first: str, second: str, measures: Sequence[str]) -> list[BenchmarkSpec]:
    """Return layer prediction trained on the first data set and judged on both, and vice versa; disjoint pairs."""
    text = bench.source("language models") == models
    bundled = family_for_layers(expand_models(models)) is not None
    usual = TEXT_LAYERS if text else quick_for(models)
    encoder = bench.encoder(usual if bundled else PAPER)
    pooling: Pooling = "word" if text else "cls"
    rows = bench.rows[0] if bench.rows else TEXT_ROWS if text and bundled else None if bundled else 10_000
    return [
        benchmark_spec(
            models,
            measures=measures,
            data=data,
            transfer=other,
            protocols=("seen", "transfer"),
            pairs="disjoint",
            pooling=pooling,
            rows=rows,
            encoder=encoder,
            seeds=bench.seeds_for("layers"),
        )
        for data, other in ((first, second), (second, first))
    ]


def multilingual(bench: Bench, role: str, pooling: Pooling, measures: Sequence[str]) -> RetrievalSpec:
    """Return the multilingual benchmark of one model."""
    data = bench.source("parallel")
    usual = presets_paired.QUICK_MULTILINGUAL if data is None else presets_paired.PAPER_PAIRED
    return presets_paired.multilingual_spec(
        bench.source(role) or "",
        measures=measures,
        data=data,
        config=bench.source("parallel config"),
        pooling=pooling,
        encoder=bench.encoder(usual),
        seeds=bench.seeds_for("pairs"),
        rows=bench.rows,
    )


def captions(bench: Bench, measures: Sequence[str], *, clip: bool = False) -> RetrievalSpec:
    """Return the image-caption benchmark: two vision models with two text models, or the towers of CLIP.

    Raises:
        SpecError: at the hub's scale, if no images with captions are given.
    """
    data = bench.source("captioned")
    if data is None and bench.scale == "hub":
        raise SpecError(
            "At the hub's scale, give images with captions (--captioned): a folder, a zip, or a hub data set. The "
            "paper's Conceptual Captions are published as addresses, many of which no longer work."
        )
    usual = presets_paired.QUICK_CAPTION if data is None else presets_paired.PAPER_PAIRED
    options: dict[str, Any] = {
        "measures": measures,
        "data": data,
        "encoder": bench.encoder(usual),
        "seeds": bench.seeds_for("captions"),
        "rows": bench.rows,
    }
    if clip:
        return presets_paired.clip_spec(bench.source("clip") or "", **options)
    vision, text = ([bench.source(role) or "" for role in roles] for roles in (("vit", "convnext"), ("bert", "gpt2")))
    return presets_paired.caption_spec(vision, text, **options)
