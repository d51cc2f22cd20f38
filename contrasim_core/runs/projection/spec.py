"""Rows in two dimensions: the request."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from contrasim_core.activations.spec import ExtractionSpec, names_of
from contrasim_core.encoder.spec import PairedSpec
from contrasim_core.spec import Spec, require


@dataclass(frozen=True, kw_only=True)
class ProjectionSpec(Spec):
    """Show rows of several sources in two dimensions, before and after an encoder.

    Attributes:
        sources: languages of a model, or models; all on the same samples.
        training: the encoders, one of which is shown; None for the raw rows alone.
        pair: position, among the training's pairs, of the encoder that is shown (its first seed).
        layer: index of the layer; -1 for the last.
        items: number of samples shown; 0 for all.
        method: `pca` or `umap`.
        neighbours: neighbours of UMAP.
        seed: seed of UMAP.
    """

    kind: ClassVar[str] = "projection"
    revision: ClassVar[int] = 3
    sources: tuple[ExtractionSpec, ...]
    training: PairedSpec | None = None
    pair: int = 0
    layer: int = -1
    items: int = 50
    method: Literal["pca", "umap"] = "pca"
    neighbours: int = 15
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(len(self.sources) >= 1, "ProjectionSpec.sources is empty. Give at least one.")
        require(self.items >= 0, f"ProjectionSpec.items is {self.items}. It must be 0 (all) or more.")
        require(self.neighbours >= 2, f"ProjectionSpec.neighbours is {self.neighbours}. It must be 2 or more.")
        pairs = len(self.training.pairs) if self.training is not None else 1
        require(0 <= self.pair < pairs, f"ProjectionSpec.pair is {self.pair}; the training has {pairs} pairs.")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the sources."""
        return names_of(self.sources)

    @property
    def trained(self) -> PairedSpec | None:
        """The training whose encoder is shown; like the benchmark, it excludes the samples that are shown."""
        if self.training is None or self.training.apart_from:
            return self.training
        shown = self.sources[0].data
        forms = tuple(replace(shown, column=source.data.column) for source in self.training.sources)
        return self.training.replace(apart_from=forms)
