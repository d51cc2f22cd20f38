"""Single trials: which of the true batch and its distractors does a measure find most similar?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contrasim_core.measure.batched import Batched
from contrasim_core.measure.result import TIE
from contrasim_core.runs.retrieval.result import RIGHT, UNDEFINED

CHUNK_FLOATS = 2**24


@dataclass(frozen=True, eq=False)
class Trials:
    """Outcomes [layers, batches]: choice (as in `Choices.chosen`), own score and best other score."""

    chosen: NDArray[np.int16]
    own: NDArray[np.float64]
    best: NDArray[np.float64]

    @property
    def wins(self) -> NDArray[np.float64]:
        """Return 1 where the true batch was chosen."""
        wins: NDArray[np.float64] = (self.chosen == RIGHT).astype(np.float64)
        return wins


def random_distractors(rows: int, batches: NDArray[np.int32], count: int, seed: int) -> NDArray[np.int32]:
    """Draw [batches, count, n] rows for each batch's distractors: none of its own rows, none twice in a distractor.

    The distractors of a batch share no rows if there are enough rows.
    """
    random = np.random.RandomState(seed)
    n = batches.shape[1]
    found = np.empty((len(batches), count, n), dtype=np.int32)
    for place, batch in enumerate(batches):
        others = np.setdiff1d(np.arange(rows, dtype=np.int32), batch)
        if len(others) >= count * n:
            found[place] = random.choice(others, (count, n), replace=False)
        else:
            found[place] = np.stack([random.choice(others, n, replace=False) for _ in range(count)])
    return found


def judge_batches(
    a: Tensor, b: Tensor, batches: NDArray[np.int32], distractors: NDArray[np.int32], score: Batched
) -> tuple[NDArray[np.int16], NDArray[np.float64], NDArray[np.float64]]:
    """Return choice, own score and best other score of each batch.

    A trial needs all its distractors, because fewer would be easier: a missing row (-1) makes it undefined, which is a
    miss. So is a trial in which the true batch, or every distractor, has no score. A single distractor without a score
    cannot win.

    Args:
        a: [rows, da] of the anchor's source.
        b: [rows, db] of the candidates' source.
        batches: [m, n] rows.
        distractors: [m, k, n] rows, -1 if missing.
        score: the measure.
    """
    count, k, n = distractors.shape
    size = max(1, CHUNK_FLOATS // max(1, (k + 1) * n * max(b.shape[1], n)))
    scores = torch.empty(count, k + 1, dtype=torch.float64)
    for first in range(0, count, size):
        part = torch.from_numpy(batches[first : first + size].astype(np.int64))
        others = torch.from_numpy(distractors[first : first + size].astype(np.int64)).clamp(min=0)
        rows = torch.cat([part[:, None], others], dim=1)
        scores[first : first + size] = score(a[part][:, None], b[rows]).double()
    values = scores.numpy()
    own, rest = values[:, 0], np.where(np.isnan(values[:, 1:]), -np.inf, values[:, 1:])
    place, best = rest.argmax(1) + 1, rest.max(1)
    margin = TIE * np.maximum(np.abs(own), np.where(np.isfinite(best), np.abs(best), 0))
    chosen = np.where(own > best + margin, RIGHT, np.where(best > own + margin, place, -place))
    missing = (distractors < 0).any((1, 2)) | np.isnan(own) | np.isneginf(best)
    return np.where(missing, UNDEFINED, chosen).astype(np.int16), own, best
