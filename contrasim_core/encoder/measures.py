"""Learned measures as `MeasureSpec`s: layers become encodings once, and grids of encodings are one matrix product."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from contrasim_core.encoder.spec import EncoderKind
from contrasim_core.measure.base import Bulk, Invariance, MeasureSpec
from contrasim_core.measure.bulk import cross_sums
from contrasim_core.measure.factors import LayerFactors

Encode = Callable[[Tensor, str, Tensor | None], Tensor]
Encoded = tuple[Float[Tensor, "n k"], Float[Tensor, "n k"]]


def mean_dot(pair: Encoded) -> float:
    """Mean over rows of z_i . z'_i (equation 2)."""
    return float((pair[0].double() * pair[1].double()).sum()) / len(pair[0])


def mean_norm(pair: Encoded) -> float:
    """Mean over rows of 1 - |z_i - z'_i| (equations 9 and 10)."""
    return float((1 - (pair[0].double() - pair[1].double()).norm(dim=1)).mean())


def encoded_cka(pair: Encoded) -> float:
    """Linear CKA of the encodings."""
    sums = cross_sums([LayerFactors(pair[0], "the encoding of x")], [LayerFactors(pair[1], "the encoding of y")])
    return float(sums.gram[0, 0] / np.sqrt(sums.a.gram[0] * sums.b.gram[0]))


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
        """Mean dot products of all pairs as one product; CKA by cross-Gram sums."""
        grids: dict[str, Bulk] = {}
        for spec in specs:
            if spec.score is mean_dot:
                left, right = (torch.stack(list(side)).flatten(1).double() for side in (rows, columns))
                grids[spec.id] = ((left @ right.T / len(rows[0])).numpy(), None)
            elif spec.score is encoded_cka:
                prepared = {id(z): LayerFactors(z, spec.id) for z in (*rows, *columns)}
                sums = cross_sums([prepared[id(z)] for z in rows], [prepared[id(z)] for z in columns])
                grids[spec.id] = (sums.gram / np.sqrt(np.outer(sums.a.gram, sums.b.gram)), None)
        return grids


def _never_called(_values: Tensor, name: str, _anchors: Tensor | None) -> Tensor:
    raise AssertionError(f"{name}: a template has no encoder")


_TEMPLATE = EncoderFamily("template", _never_called)
RELATIVE_INVARIANCE: frozenset[Invariance] = frozenset(
    {"translation", "scale", "permutation", "orthogonal", "joint orthogonal"}
)
LEARNED: tuple[MeasureSpec, ...] = (
    MeasureSpec(
        id="contrasim",
        label="ContraSim",
        score=mean_dot,
        family=_TEMPLATE,
        source="arXiv:2303.16992, section 4, eqs. 2 and 3",
        formula=r"\tfrac1n\textstyle\sum_i e_\theta(x_i)\cdot e_\theta(y_i)",
        bounds=(-1.0, 1.0),
        invariant_to=frozenset(),
        min_samples=1,
        streams=False,
    ),
    MeasureSpec(
        id="contrasim.norm",
        label="ContraSim (norm)",
        score=mean_norm,
        family=_TEMPLATE,
        source="arXiv:2303.16992, appendix A.5, eqs. 9 and 10 on encodings",
        formula=r"\tfrac1n\textstyle\sum_i 1-\lVert e_\theta(x_i)-e_\theta(y_i)\rVert",
        bounds=(-1.0, 1.0),
        invariant_to=frozenset(),
        min_samples=1,
        streams=False,
    ),
    MeasureSpec(
        id="contrasim.relative",
        label="ContraSim (relative)",
        score=mean_dot,
        family=_TEMPLATE,
        source="arXiv:2303.16992, eq. 2, on relative representations (arXiv:2209.15430, eq. 1)",
        formula=r"\tfrac1n\textstyle\sum_i e_\theta(r(x_i))\cdot e_\theta(r(y_i)),\; r(x)_j=\cos(x-\bar a,a_j-\bar a)",
        bounds=(-1.0, 1.0),
        invariant_to=RELATIVE_INVARIANCE,
        min_samples=1,
        streams=False,
        needs_anchors=True,
    ),
    MeasureSpec(
        id="deepdot",
        label="DeepDot",
        score=mean_dot,
        family=_TEMPLATE,
        source="arXiv:2303.16992, section 6, eq. 4 with the dot product: positives only",
        formula=r"\tfrac1n\textstyle\sum_i e_\theta(x_i)\cdot e_\theta(y_i),\;\mathcal L=-s",
        bounds=(-1.0, 1.0),
        invariant_to=frozenset(),
        min_samples=1,
        streams=False,
    ),
    MeasureSpec(
        id="deepcka",
        label="DeepCKA",
        score=encoded_cka,
        family=_TEMPLATE,
        source="arXiv:2303.16992, section 6, eq. 4 with CKA: positives only",
        formula=r"\mathrm{CKA}(e_\theta(X),e_\theta(Y)),\;\mathcal L=-s",
        invariant_to=frozenset(),
        streams=False,
    ),
)


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
