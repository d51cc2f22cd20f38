"""How batches of encodings are scored, for all pairs of batches at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from contrasim_core.encoder.spec import EncoderKind

Score = Callable[[Tensor], Tensor]


def mean_dot(z: Float[Tensor, "e b n k"]) -> Float[Tensor, "e b b"]:
    """Mean over rows of z_i . z_j for all pairs of batches (equation 2)."""
    flat = z.flatten(2)
    return flat @ flat.transpose(1, 2) / z.shape[2]


def mean_norm(z: Float[Tensor, "e b n k"]) -> Float[Tensor, "e b b"]:
    """Mean over rows of 1 - |z_i - z_j| for rows of length 1 (equations 9 and 10).

    |u - v| = sqrt(2 - 2 u.v), kept away from 0, where its slope is infinite.
    """
    rows = z.transpose(1, 2)
    cosines = rows @ rows.transpose(2, 3)
    return (1 - (2 - 2 * cosines).clamp(min=1e-6).sqrt()).mean(1)


def cka(z: Float[Tensor, "e b n k"]) -> Float[Tensor, "e b b"]:
    """Linear CKA of the encodings for all pairs of batches, by their Gram matrices."""
    centred = z - z.mean(2, keepdim=True)
    grams = (centred @ centred.transpose(2, 3)).flatten(2)
    unit = torch.nn.functional.normalize(grams, dim=2)
    return unit @ unit.transpose(1, 2)


SCORES: dict[EncoderKind, Score] = {
    "contrasim": mean_dot,
    "contrasim.norm": mean_norm,
    "contrasim.relative": mean_dot,
    "deepdot": mean_dot,
    "deepcka": cka,
}
