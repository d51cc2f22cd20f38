"""Nearest rows of a layer: the request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from contrasim_core.activations.spec import ExtractionSpec
from contrasim_core.spec import Spec


@dataclass(frozen=True, kw_only=True)
class NeighboursSpec(Spec):
    """The nearest rows of every row, in layers of one source.

    Attributes:
        source: the extraction.
        layers: layer indices; None for all but the embeddings.
        k: number of neighbours per row.
        metric: `l2` or inner product.
        index: `flat` is exact.
    """

    kind: ClassVar[str] = "neighbours"
    source: ExtractionSpec
    layers: tuple[int, ...] | None = None
    k: int = 10
    metric: Literal["l2", "ip"] = "l2"
    index: Literal["flat", "ivf"] = "flat"
