"""Two models under several measures: the request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from contrasim_core.activations.spec import ExtractionSpec
from contrasim_core.encoder.spec import ENCODER_KINDS, TrainSpec
from contrasim_core.spec import Spec, require


@dataclass(frozen=True, kw_only=True)
class CompareSpec(Spec):
    """Compare two models, layer by layer, under several measures.

    Attributes:
        a: rows of the grids.
        b: columns of the grids; on the same data as `a`.
        measures: measure ids, closed-form or learned.
        encoders: trainings behind the learned measures; the first seed of the first of each kind is used.
        groups: number of groups of the delete-a-group jackknife behind the intervals; 0 for no intervals.
    """

    kind: ClassVar[str] = "comparison"
    revision: ClassVar[int] = 2
    a: ExtractionSpec
    b: ExtractionSpec
    measures: tuple[str, ...] = ("cka.linear",)
    encoders: tuple[TrainSpec, ...] = ()
    groups: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        require(len(self.measures) >= 1, "CompareSpec.measures is empty. Choose at least one measure.")
        require(self.groups == 0 or self.groups >= 2, f"CompareSpec.groups is {self.groups}. It must be 0, or 2+.")
        require(
            self.a.data == self.b.data,
            f"The two sides use different data ({self.a.data.label} and {self.b.data.label}). "
            "Layers can be compared only on the same samples.",
        )
        lacking = [name for name in self.measures if name in ENCODER_KINDS and self.training(name) is None]
        require(
            not lacking,
            f"{', '.join(lacking)}: a learned measure needs a trained encoder of its kind. Train one on the page Train "
            "encoder, or with `contrasim train`, and choose it here.",
        )

    def training(self, kind: str) -> TrainSpec | None:
        """Return the training behind a learned measure; None if no encoder of this kind was given."""
        return next((item for item in self.encoders if item.encoder.encoder == kind), None)
