"""The family of all closed-form measures: layers become `LayerFactors`, pairs become `PairFactors`."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from contrasim_core.errors import UnknownMeasureError
from contrasim_core.measure.base import Bulk, MeasureSpec
from contrasim_core.measure.bulk import cross_sums
from contrasim_core.measure.factors import LayerFactors, PairFactors
from contrasim_core.measure.facts import LEARNED_IDS
from contrasim_core.measure.table import TABLE


class ClosedForm:
    """Shared factors, and large matrix products for grids of measures that need no factorisation."""

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
        """Grids from cross sums, unless another measure needs factors anyway, and by the measures' own grid forms."""
        grids: dict[str, Bulk] = {}
        linear = [(spec, spec.forms.sums) for spec in specs if spec.forms.sums is not None]
        if linear and not any(spec.streams and spec.forms.sums is None for spec in specs):
            for spec, _ in linear:
                spec.check_rows(rows[0].n)
            sums = cross_sums(rows, columns)
            grids.update({spec.id: form(sums) for spec, form in linear})
        for spec in specs:
            if spec.forms.grid is not None:
                grids[spec.id] = spec.forms.grid(rows, columns, **spec.options)
        return grids


CLOSED_FORM = ClosedForm()
MEASURES: tuple[MeasureSpec, ...] = tuple(MeasureSpec.of(row, CLOSED_FORM) for row in TABLE if not row.learned)
"""All closed-form measures, in the order in which tables and menus show them."""


def closed_form(measure_id: str) -> MeasureSpec:
    """The closed-form measure with this id; options may follow, as in `cka.rbf:t=0.4` or `svcca:summary=r2`.

    Raises:
        UnknownMeasureError: if there is none.
        SpecError: if it has no such option.
    """
    base, _, suffix = measure_id.partition(":")
    for spec in MEASURES:
        if spec.id == base:
            return spec.with_options(**_options(suffix)) if suffix else spec
    registered = ", ".join(spec.id for spec in MEASURES)
    if base in LEARNED_IDS:
        raise UnknownMeasureError(
            f"{base} is a learned measure: it needs a trained encoder. Train one with contrasim_core.ContraSim "
            f"(or `python -m contrasim_core train`) and use its .similarity. Closed-form measures: {registered}."
        )
    raise UnknownMeasureError(f"No measure {measure_id!r}. Registered: {registered}, {', '.join(LEARNED_IDS)}.")


def _options(suffix: str) -> dict[str, float | str]:
    options: dict[str, float | str] = {}
    for item in suffix.split(","):
        name, separator, value = item.partition("=")
        if not separator:
            raise UnknownMeasureError(f"Options of a measure are written name=value, not {item!r}.")
        try:
            options[name.strip()] = float(value)
        except ValueError:
            options[name.strip()] = value.strip()
    return options
