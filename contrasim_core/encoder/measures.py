"""Learned measures as `MeasureSpec`s: layers become encodings once, and encodings are compared by a formula."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from contrasim_core.encoder.spec import EncoderKind
from contrasim_core.measure.base import Bulk, MeasureSpec, formulas_of
from contrasim_core.measure.facts import measure_facts
from contrasim_core.measure.rowwise import Encoded
from contrasim_core.measure.table import TABLE

Encode = Callable[[Tensor, str, Tensor | None], Tensor]
Score = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class EncoderFamily:
    """The family of one trained encoder."""

    name: str
    encode: Encode

    def prepare(self, values: Float[Tensor, "n d"], name: str, anchors: Float[Tensor, "k d"] | None) -> Tensor:
        """The layer's encodings."""
        return self.encode(values, name, anchors)

    def pair(self, a: Tensor, b: Tensor) -> Encoded:
        """Nothing is shared beyond the encodings."""
        return a, b

    def bulk(self, specs: Sequence[MeasureSpec], rows: Sequence[Tensor], columns: Sequence[Tensor]) -> dict[str, Bulk]:
        """Grids of the measures that have a form for them."""
        return {
            spec.id: spec.forms.grid(rows, columns, **spec.options) for spec in specs if spec.forms.grid is not None
        }


def _never_called(_values: Tensor, name: str, _anchors: Tensor | None) -> Tensor:
    raise AssertionError(f"{name}: a template has no encoder")


_TEMPLATE = EncoderFamily("template", _never_called)
LEARNED: tuple[MeasureSpec, ...] = tuple(MeasureSpec.of(row, _TEMPLATE) for row in TABLE if row.learned)


def learned_measure(kind: EncoderKind, encode: Encode, trained_on: frozenset[str]) -> MeasureSpec:
    """The measure of one trained encoder.

    Args:
        kind: which learned measure.
        encode: rows, layer name and anchors to encodings.
        trained_on: models the encoder saw; others carry a warning unless it reads them through anchors.
    """
    template = next(spec for spec in LEARNED if spec.id == kind)
    seen = None if template.needs_anchors else trained_on
    return replace(template, family=EncoderFamily(kind, encode), trained_on=seen)


def training_score(kind: EncoderKind) -> Score:
    """How training scores batches of encodings [e, b, n, k], for all pairs of batches at once: [e, b, b]."""
    score = formulas_of(measure_facts()[kind].formulas).all_pairs
    assert score is not None  # noqa: S101 - every learned measure has this form: a test
    return score
