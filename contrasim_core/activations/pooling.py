"""From hidden states [batch, positions, d] or feature maps [batch, d, h, w] to one row per sample, or per word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from contrasim_core.errors import SpecError
from contrasim_core.refs import Pooling

POOLINGS: tuple[str, ...] = get_args(Pooling)


@dataclass(frozen=True, eq=False)
class Positions:
    """What pooling needs to know about a batch in addition to the hidden states.

    Attributes:
        mask: [batch, positions], true at real tokens; None for images, where every position is real.
        words: [batch, positions], number of the word that a token belongs to, counted over the whole batch; -1 for
            special tokens and padding. Only for `word` pooling.
        word_count: number of words in the batch.
        leading: special positions at the front that are not image patches (class and register tokens).
    """

    mask: Bool[Tensor, "batch positions"] | None = None
    words: Int[Tensor, "batch positions"] | None = None
    word_count: int = 0
    leading: int = 0


def pooler(how: Pooling, positions: Positions) -> Callable[[Tensor], Tensor]:
    """Return the pooling as a function of one hidden state; its result is float32 [rows, d] for any input type."""

    def apply(hidden: Tensor) -> Tensor:
        if hidden.ndim == 2:
            return hidden.float()
        if hidden.ndim == 4:
            return _pool_map(hidden, how)
        if hidden.ndim != 3:
            raise SpecError(f"A hidden state of shape {tuple(hidden.shape)} cannot be pooled. Expected 2, 3 or 4 axes.")
        return _POOL[how](hidden.float(), positions)

    return apply


def _pool_map(hidden: Tensor, how: Pooling) -> Tensor:
    if how not in ("spatial-mean", "mean"):
        raise SpecError(f"{how!r} pooling needs token positions; this layer is a feature map. Use 'spatial-mean'.")
    return hidden.float().mean((2, 3))


def _cls(hidden: Tensor, _positions: Positions) -> Tensor:
    return hidden[:, 0]


def _mean(hidden: Tensor, positions: Positions) -> Tensor:
    if positions.mask is None:
        return hidden.mean(1)
    weights = positions.mask.to(hidden.dtype).unsqueeze(-1)
    return (hidden * weights).sum(1) / weights.sum(1)


def _last(hidden: Tensor, positions: Positions) -> Tensor:
    if positions.mask is None:
        return hidden[:, -1]
    numbers = torch.arange(positions.mask.shape[1], device=hidden.device)
    final = torch.where(positions.mask, numbers, -1).max(1).values
    return hidden[torch.arange(len(hidden), device=hidden.device), final]


def _word(hidden: Tensor, positions: Positions) -> Tensor:
    if positions.words is None:
        raise SpecError("'word' pooling needs a text model with a fast tokenizer.")
    inside = positions.words >= 0
    index = positions.words[inside]
    total = hidden.new_zeros(positions.word_count, hidden.shape[-1]).index_add_(0, index, hidden[inside])
    count = torch.bincount(index, minlength=positions.word_count).unsqueeze(1)
    return total / count


def _spatial_mean(hidden: Tensor, positions: Positions) -> Tensor:
    return hidden[:, positions.leading :].mean(1)


_POOL: dict[Pooling, Callable[[Tensor, Positions], Tensor]] = {
    "cls": _cls,
    "mean": _mean,
    "last": _last,
    "word": _word,
    "spatial-mean": _spatial_mean,
}
