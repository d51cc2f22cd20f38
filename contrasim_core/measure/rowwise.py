"""Measures that compare row i with row i and nothing else, without centring (arXiv:2303.16992, appendix A.4).

Of layers they are `dot` and `norm`; of encodings, which have length 1, they are the scores of the learned measures.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from contrasim_core.measure.base import Bulk, Formulas
from contrasim_core.measure.batched import Scores, Stack
from contrasim_core.measure.factors import PairFactors

Encoded = tuple[Float[Tensor, "n k"], Float[Tensor, "n k"]]


def mean_dot(x: Float[Tensor, "n d"], y: Float[Tensor, "n d"]) -> float:
    """Mean over rows of x_i . y_i (equation 2)."""
    return float((x * y).sum()) / len(x)


def stacked_dot(x: Stack, y: Stack) -> Scores:
    """`mean_dot` of each batch; the rows' products are added up before their mean is taken."""
    return (x * y).sum(-1).mean(-1)


def mean_dots(
    x: Float[Tensor, "*batch a rows"], y: Float[Tensor, "*batch b rows"], n: int
) -> Float[Tensor, "*batch a b"]:
    """`mean_dot` of all pairs of matrices, each flattened to one row, as one matrix product."""
    return x @ y.transpose(-1, -2) / n


def mean_closeness(u: Stack, v: Stack) -> Scores:
    """Mean over rows of 1 - |u_i - v_i| (equations 9 and 10)."""
    closeness: Tensor = (1 - (u - v).norm(dim=-1)).mean(-1)
    return closeness


def stacked_norm(x: Stack, y: Stack) -> Scores:
    """`mean_closeness` of the rows at length 1."""
    return mean_closeness(normalize(x, dim=-1), normalize(y, dim=-1))


def dot(pair: PairFactors) -> float:
    """Mean over rows of x_i . y_i."""
    return mean_dot(pair.a.finite, pair.b.finite)


def norm(pair: PairFactors) -> float:
    """Mean over rows of 1 - | x_i/|x_i| - y_i/|y_i| |; from -1 (opposite) to 1 (same direction)."""
    return float(mean_closeness(pair.a.unit_rows, pair.b.unit_rows))


def encoded_dot(pair: Encoded) -> float:
    """`mean_dot` of two encodings."""
    return mean_dot(pair[0].double(), pair[1].double())


def encoded_norm(pair: Encoded) -> float:
    """`mean_closeness` of two encodings, whose rows have length 1 as they come."""
    return float(mean_closeness(pair[0].double(), pair[1].double()))


def encoded_dots(rows: Sequence[Tensor], columns: Sequence[Tensor]) -> Bulk:
    """`mean_dot` of all pairs of encodings."""
    left, right = (torch.stack(list(side)).flatten(1).double() for side in (rows, columns))
    return mean_dots(left, right, len(rows[0])).numpy(), None


def trained_dot(z: Float[Tensor, "e b n k"]) -> Float[Tensor, "e b b"]:
    """`mean_dot` of all pairs of batches of encodings."""
    flat = z.flatten(2)
    return mean_dots(flat, flat, z.shape[2])


def trained_norm(z: Float[Tensor, "e b n k"]) -> Float[Tensor, "e b b"]:
    """`mean_closeness` of all pairs of batches of encodings, to train on.

    For rows of length 1, |u - v| = sqrt(2 - 2 u.v), kept away from 0, where its slope is infinite.
    """
    rows = z.transpose(1, 2)
    cosines = rows @ rows.transpose(2, 3)
    return (1 - (2 - 2 * cosines).clamp(min=1e-6).sqrt()).mean(1)


DOT = Formulas(pair=dot, stacked=stacked_dot)
NORM = Formulas(pair=norm, stacked=stacked_norm)
ENCODED_DOT = Formulas(pair=encoded_dot, grid=encoded_dots, stacked=stacked_dot, all_pairs=trained_dot)
ENCODED_NORM = Formulas(pair=encoded_norm, stacked=stacked_norm, all_pairs=trained_norm)
