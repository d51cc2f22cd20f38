"""Rows in two dimensions, before and after an encoder: PCA at once, UMAP (arXiv:1802.03426) with a fixed seed.

"After" is fitted to the encoded rows and then aligned with "before" as closely as rotation, reflection, shift and
scaling allow, so that points that move on the page have moved among their neighbours. UMAP starts the second fit from
the first.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from contrasim_core.errors import SpecError

Method = Literal["pca", "umap"]
Matrix = NDArray[np.float64]
LEAST_POINTS = 4


def project(
    rows: Matrix, method: Method, *, neighbours: int = 15, seed: int = 0, start: Matrix | None = None
) -> Matrix:
    """Project rows [m, d] to points [m, 2].

    Args:
        rows: finite rows.
        method: `pca` or `umap`.
        neighbours: neighbours of UMAP, at most as many as exist.
        seed: seed of UMAP.
        start: [m, 2] initial points of UMAP; None for its own spectral start, or PCA for few points.

    Raises:
        SpecError: if there are fewer than four rows.
    """
    if len(rows) < LEAST_POINTS:
        raise SpecError(f"{len(rows)} points are too few for a projection. Give at least {LEAST_POINTS}.")
    flat = principal(rows)
    if method == "pca":
        return flat
    first = flat if start is None else start
    spread = first.std() or 1.0
    with warnings.catch_warnings(), _threads_of_torch():
        warnings.simplefilter("ignore")  # about missing optional parts, and that a seed means one thread, as intended
        import umap

        fit: Any = umap.UMAP(
            n_neighbors=max(2, min(neighbours, len(rows) - 1)),
            metric="cosine",
            init=(10 * first / spread).astype(np.float32),
            random_state=seed,
            n_jobs=1,
        )
        points: Matrix = fit.fit_transform(rows).astype(np.float64)
    return points


@contextmanager
def _threads_of_torch() -> Iterator[None]:
    """Restore the number of threads that torch uses, which numba sets for the whole process when UMAP runs."""
    import torch

    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def principal(rows: Matrix) -> Matrix:
    """Return the first two principal components; the largest entry of each axis is positive."""
    centred = rows - rows.mean(0)
    u, s, vt = np.linalg.svd(centred, full_matrices=False)
    if vt.shape[0] < 2:
        line: Matrix = np.c_[u[:, :1] * s[:1], np.zeros(len(rows))]
        return line
    signs = np.sign(vt[np.arange(2), np.abs(vt[:2]).argmax(1)])
    points: Matrix = u[:, :2] * s[:2] * signs
    return points


def aligned(points: Matrix, target: Matrix) -> Matrix:
    """Shift, scale, rotate and mirror points [m, 2] to fit `target` by least squares."""
    a, b = points - points.mean(0), target - target.mean(0)
    u, s, vt = np.linalg.svd(a.T @ b)
    size = float((a**2).sum())
    scale = float(s.sum()) / size if size > 0 else 1.0
    found: Matrix = scale * a @ (u @ vt) + target.mean(0)
    return found


def moved(before: Matrix, after: Matrix) -> Matrix:
    """Return how far each point moved, in units of the root mean square distance of the points from their centre."""
    spread = np.sqrt(((before - before.mean(0)) ** 2).sum(1).mean()) or 1.0
    distance: Matrix = np.linalg.norm(after - before, axis=1) / spread
    return distance


SEPARATION = ("retrieval", "silhouette by item", "silhouette by source")


def separation(
    rows: Matrix, item: Sequence[int] | NDArray[Any], source: Sequence[int] | NDArray[Any]
) -> dict[str, float | None]:
    """Measure how well the rows are grouped by sample, and by source, in all dimensions.

    Distances are cosine distances, as for the encoders. A number is None if it is undefined, as with a single source.

    Args:
        rows: [m, d].
        item: [m] sample of each row.
        source: [m] source of each row.

    Returns:
        The numbers named in `SEPARATION`.
    """
    from sklearn.metrics import silhouette_score

    items, sources = np.asarray(item), np.asarray(source)
    unit = _unit(rows)
    found: dict[str, float | None] = {"retrieval": retrieval(unit, items, sources)}
    for name, labels in (("silhouette by item", items), ("silhouette by source", sources)):
        kinds = len(np.unique(labels))
        found[name] = float(silhouette_score(unit, labels, metric="cosine")) if 2 <= kinds < len(labels) else None
    return found


def trustworthiness(rows: Matrix, points: Matrix) -> float | None:
    """Return how well a picture [m, 2] keeps the cosine neighbours of its rows [m, d]; 1 without false neighbours."""
    from sklearn.manifold import trustworthiness as of

    near = min(5, (len(rows) - 1) // 2)
    return float(of(_unit(rows), points, n_neighbors=near)) if near >= 1 else None


def _unit(rows: Matrix) -> Matrix:
    unit: Matrix = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30)
    return unit


def retrieval(unit: Matrix, items: NDArray[Any], sources: NDArray[Any]) -> float | None:
    """Return the share of rows whose nearest row of another source is their own sample; ties are misses."""
    if len(np.unique(sources)) < 2:
        return None
    scores = unit @ unit.T
    other = sources[:, None] != sources[None, :]
    own = other & (items[:, None] == items[None, :])
    best_own = np.where(own, scores, -np.inf).max(1)
    best_wrong = np.where(other & ~own, scores, -np.inf).max(1)
    return float((best_own > best_wrong + 1e-12).mean())


class Timer:
    """Seconds by part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, part: str) -> None:
        """Assign the time since the last lap to this part."""
        now = time.monotonic()
        self.seconds[part] = round(now - self._last, 2)
        self._last = now
