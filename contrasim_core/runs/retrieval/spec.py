"""The multilingual and image-caption benchmarks: the request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from contrasim_core.activations.spec import ExtractionSpec, names_of
from contrasim_core.encoder.spec import EncoderKind, EncoderSpec, PairedSpec, check_pairs
from contrasim_core.neighbours.spec import NeighboursSpec
from contrasim_core.spec import Spec, check_literal, require

Negatives = Literal["random", "faiss"]


@dataclass(frozen=True, kw_only=True)
class RetrievalSpec(Spec):
    """The multilingual or the image-caption benchmark: which batch is the translation, or the caption, of this one?

    Attributes:
        task: the benchmark.
        train: one extraction per source (language, or model), on the samples the encoders are trained on.
        test: the same sources on the samples the measures are judged on.
        pairs: ordered pairs of sources: anchor, candidates.
        layers: layer indices, the same in every source; None for all but the embeddings (index 0).
        measures: measure ids, closed-form and learned.
        negatives: kinds of distractors.
        batch: number of rows per batch.
        candidates: number of distractors per trial.
        metric: how FAISS measures distance: `l2` or inner product.
        index: `flat` is exact; `ivf` is for pools of millions.
        encoder: training options of the learned measures.
        seeds: encoder seeds.
    """

    kind: ClassVar[str] = "retrieval"
    revision: ClassVar[int] = 2
    task: Literal["multilingual", "image-caption"]
    train: tuple[ExtractionSpec, ...]
    test: tuple[ExtractionSpec, ...]
    pairs: tuple[tuple[int, int], ...]
    layers: tuple[int, ...] | None = None
    measures: tuple[str, ...] = ("cka.linear",)
    negatives: tuple[Negatives, ...] = ("random", "faiss")
    batch: int = 8
    candidates: int = 10
    metric: Literal["l2", "ip"] = "l2"
    index: Literal["flat", "ivf"] = "flat"
    encoder: EncoderSpec = EncoderSpec(epochs=30)  # noqa: RUF009 - frozen
    seeds: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        super().__post_init__()
        for item in self.negatives:
            check_literal("RetrievalSpec", "negatives", Negatives, item)
        check_pairs("RetrievalSpec", self.pairs, len(self.test))
        require(
            len(self.train) == len(self.test),
            f"RetrievalSpec has {len(self.train)} sources to train on and {len(self.test)} to test on.",
        )
        require(len(self.measures) >= 1, "RetrievalSpec.measures is empty. Choose at least one measure.")
        require(len(self.negatives) >= 1, "RetrievalSpec.negatives is empty. Choose random or faiss.")
        require(self.batch >= 2, f"RetrievalSpec.batch is {self.batch}. It must be 2 or more.")
        require(self.candidates >= 1, f"RetrievalSpec.candidates is {self.candidates}. It must be 1 or more.")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the sources."""
        return names_of(self.test)

    @property
    def last_layers(self) -> bool:
        """Whether only the last layer of each source is judged."""
        return self.layers is None and all(source.layers == (-1,) for source in self.test)

    @property
    def trained_pairs(self) -> tuple[tuple[int, int], ...]:
        """Pairs that encoders are trained on: each once, because training treats both sides alike."""
        return tuple(dict.fromkeys((min(pair), max(pair)) for pair in self.pairs))

    def training(self, encoder: EncoderKind) -> PairedSpec:
        """Return the training of one learned measure, without the test samples."""
        return PairedSpec(
            encoder=self.encoder.replace(encoder=encoder),
            sources=self.train,
            pairs=self.trained_pairs,
            layers=self.layers,
            apart_from=tuple(source.data for source in self.test),
            seeds=self.seeds,
        )

    def neighbours(self, source: int) -> NeighboursSpec:
        """Return the search for the distractors of one source."""
        return NeighboursSpec(
            source=self.test[source], layers=self.layers, k=self.candidates, metric=self.metric, index=self.index
        )
