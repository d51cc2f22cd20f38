"""Nearest rows of a layer, for hard negatives. Exact by default; never the query itself, never a copy of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from contrasim_core.errors import SpecError

Metric = Literal["l2", "ip"]


Index = Literal["flat", "ivf"]


MISSING = -1


IVF_PROBES = 16


TRAIN_PER_CELL = 39  # FAISS warns below


@dataclass(frozen=True, kw_only=True)
class Search:
    """How to search for neighbours.

    Attributes:
        metric: `l2` (Euclidean distance, as in the paper) or `ip` (inner product).
        index: `flat` is exact; `ivf` searches only the cells nearest to the query, for pools of millions.
        gpu: use a GPU build of FAISS.
    """

    metric: Metric = "l2"
    index: Index = "flat"
    gpu: bool = False


def nearest(
    values: Float[Tensor, "n d"],
    k: int,
    *,
    search: Search = Search(),
    groups: Sequence[int] | NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Return the k nearest other rows of each row, nearest first.

    Neither a row itself, nor an exact copy of it, nor a row of its group is among its neighbours. A row is recognised
    by identity, not by position. Rows with NaN or infinity have no neighbours and are never neighbours.

    Args:
        values: rows of one layer.
        k: number of neighbours per row.
        search: metric and kind of index.
        groups: [n] equal numbers for rows that represent the same thing, such as equal texts; None if all differ.

    Returns:
        [n, k] row numbers; -1 where there are fewer than k.

    Raises:
        SpecError: if k is less than 1, or a GPU build of FAISS is requested but not installed.
    """
    if k < 1:
        raise SpecError(f"k is {k}. It must be 1 or more.")
    rows = np.ascontiguousarray(values.detach().cpu().float().numpy())
    found = np.full((len(rows), k), MISSING, dtype=np.int64)
    pool = np.flatnonzero(np.isfinite(rows).all(axis=1))
    if len(pool) < 2:
        return found
    same = _groups(rows, groups)
    largest = int(np.unique(same[pool], return_counts=True)[1].max())
    wanted = min(k + largest, len(pool))  # a query and its copies may come before its neighbours
    places = _search(_searched(values, pool, search.metric), wanted, search)
    ids = np.where(places >= 0, pool[places.clip(0)], MISSING)
    allowed = (ids != MISSING) & (same[ids.clip(0)] != same[pool][:, None])
    order = np.argsort(~allowed, axis=1, kind="stable")[:, :k]  # allowed ones, still nearest first
    kept = np.where(np.take_along_axis(allowed, order, 1), np.take_along_axis(ids, order, 1), MISSING)
    found[pool, : kept.shape[1]] = kept
    return found


def neighbours_of(
    layers: Sequence[Float[Tensor, "n d"]],
    k: int,
    *,
    search: Search = Search(),
    groups: Sequence[int] | NDArray[np.int64] | None = None,
) -> NDArray[np.int32]:
    """Return [layers, n, k]: the nearest rows in each layer, with one index per layer."""
    found = [nearest(layer, k, search=search, groups=groups) for layer in layers]
    return np.stack(found).astype(np.int32)


def has_gpu() -> bool:
    """Return whether this is a GPU build of FAISS and a GPU is available."""
    import faiss

    return hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() > 0


def _searched(values: Tensor, pool: NDArray[np.int64], metric: Metric) -> NDArray[np.float32]:
    """Return the rows for FAISS, in float32.

    For distances they are first centred in float64: FAISS computes |x|² + |y|² - 2xy in float32, which loses all digits
    of the distances if the mean is hundreds of times the spread.
    """
    rows = values.detach().cpu()[torch.from_numpy(pool)].double()
    if metric == "l2":
        rows -= rows.mean(0)
    return np.ascontiguousarray(rows.float().numpy())


def _groups(rows: NDArray[np.float32], groups: Sequence[int] | NDArray[np.int64] | None) -> NDArray[np.int64]:
    """Return group numbers: rows that are copies of each other, or declared to be the same, share one."""
    copies = np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
    if groups is None:
        return copies
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    declared = np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1)
    n = len(rows)
    links = coo_matrix(
        (np.ones(2 * n), (np.r_[np.arange(n), np.arange(n)], np.r_[n + copies, n + copies.max() + 1 + declared])),
        shape=(n + copies.max() + declared.max() + 2,) * 2,
    )
    return np.asarray(connected_components(links, directed=False)[1][:n], dtype=np.int64)


def _search(pool: NDArray[np.float32], k: int, search: Search) -> NDArray[np.int64]:
    """Return positions in the pool of the k nearest of each of its rows; -1 where FAISS finds none."""
    import faiss

    dim = pool.shape[1]
    index: Any = faiss.IndexFlatIP(dim) if search.metric == "ip" else faiss.IndexFlatL2(dim)
    if search.index == "ivf":
        cells = max(1, min(int(4 * np.sqrt(len(pool))), len(pool) // TRAIN_PER_CELL))
        metric = faiss.METRIC_INNER_PRODUCT if search.metric == "ip" else faiss.METRIC_L2
        index = faiss.IndexIVFFlat(index, dim, cells, metric)
        index.nprobe = min(IVF_PROBES, cells)
        index.train(pool)
    if search.gpu:
        if not hasattr(faiss, "StandardGpuResources"):
            raise SpecError(
                "The installed FAISS is the CPU build, without GPU support. Remove gpu, or install faiss-gpu."
            )
        index = faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index)
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(torch.get_num_threads())
    try:
        index.add(pool)
        places: NDArray[np.int64] = index.search(pool, k)[1]
    finally:
        faiss.omp_set_num_threads(threads)
    return places
