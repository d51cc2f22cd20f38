"""The family of all closed-form measures: layers become `LayerFactors`, pairs become `PairFactors`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jaxtyping import Float
from torch import Tensor

from contrasim_core.measure.bulk import CROSS_GRAM, cross_sums, rbf_grid
from contrasim_core.measure.factors import LayerFactors, PairFactors

if TYPE_CHECKING:
    from contrasim_core.measure.base import Bulk, MeasureSpec


class ClosedForm:
    """Shared factors, and one large matrix product for grids of measures that need no factorisation."""

    name = "closed form"

    def prepare(self, values: Float[Tensor, "n d"], name: str, _anchors: Float[Tensor, "k d"] | None) -> LayerFactors:
        """The layer's factors; anchors are of no use here."""
        return LayerFactors(values, name)

    def pair(self, a: LayerFactors, b: LayerFactors) -> PairFactors:
        """The pair's shared products."""
        return PairFactors(a, b)

    def bulk(
        self, specs: Sequence[MeasureSpec], rows: Sequence[LayerFactors], columns: Sequence[LayerFactors]
    ) -> dict[str, Bulk]:
        """CKA and HSIC from one cross-Gram matrix unless factors are needed anyway, and RBF CKA in blocks of rows."""
        grids: dict[str, Bulk] = {}
        linear = [spec for spec in specs if spec.id in CROSS_GRAM]
        if linear and not any(spec.streams and spec.id not in CROSS_GRAM for spec in specs):
            sums = cross_sums(rows, columns)
            grids.update({spec.id: CROSS_GRAM[spec.id](sums) for spec in linear})
        for spec in specs:
            if spec.id.partition(":")[0] == "cka.rbf":
                grids[spec.id] = rbf_grid(rows, columns, float(spec.options["t"]))
        return grids


CLOSED_FORM = ClosedForm()
