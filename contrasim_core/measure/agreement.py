"""Which samples two layers agree on: per sample, how alike its similarities to all other samples are in both."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from contrasim_core.errors import RepresentationError
from contrasim_core.measure.linalg import centre

SAMPLES = 1000
"""At most this many samples are looked at: their Gram matrices are kept for all layers."""


def sample_agreement(
    xs: Sequence[Float[Tensor, "n dx"]], ys: Sequence[Float[Tensor, "n dy"]], limit: int = SAMPLES
) -> NDArray[np.float32]:
    """Cosine between row i of the two layers' centred Gram matrices, for every pair of layers and sample i.

    1: the sample has the same neighbourhood in both layers; around 0: unrelated ones. The mean over samples, weighted
    by the lengths of those rows, is close to linear CKA.

    Args:
        xs: layers of A, [n, d] each.
        ys: layers of B.
        limit: use the first `limit` samples.

    Returns:
        [A, B, min(n, limit)]; NaN for layers without variance.
    """
    left, right = [_unit_gram(x[:limit]) for x in xs], [_unit_gram(y[:limit]) for y in ys]
    count = min(limit, len(xs[0]))
    values = np.full((len(xs), len(ys), count), np.nan, dtype=np.float32)
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            if a is not None and b is not None:
                values[i, j] = (a * b).sum(1).cpu().numpy()
    return values


def _unit_gram(x: Float[Tensor, "n d"]) -> Float[Tensor, "n n"] | None:
    try:
        centred = centre(x)
    except RepresentationError:
        return None
    return torch.nn.functional.normalize(centred @ centred.T, dim=1).float()
