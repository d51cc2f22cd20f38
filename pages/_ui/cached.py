"""Everything that is kept between runs of a page, and the only place that does so.

Results are frozen and keyed by their content, so they are shared and never go stale.
"""

from __future__ import annotations

import streamlit as st

from contrasim_core.engine.dask import DaskEngine
from contrasim_core.projection_results import Projection
from contrasim_core.results import BenchmarkResult, Comparison, TrainingCurve, read_curves
from contrasim_core.retrieval_results import RetrievalResult
from contrasim_core.specs import Spec, TrainSpec
from contrasim_core.store import Store, read_spec

RESULTS = 24


@st.cache_resource
def store() -> Store:
    """The store of this server."""
    return Store()


@st.cache_resource
def engine() -> DaskEngine:
    """The engine: a client of the worker processes."""
    return DaskEngine(store().root)


@st.cache_resource(max_entries=RESULTS)
def _comparison(folder: str, _stamp: int) -> Comparison:
    from pathlib import Path

    return Comparison.load(Path(folder))


@st.cache_resource(max_entries=RESULTS)
def _benchmark(folder: str, _stamp: int) -> BenchmarkResult:
    from pathlib import Path

    return BenchmarkResult.load(Path(folder))


@st.cache_resource(max_entries=RESULTS)
def _retrieval(folder: str, _stamp: int) -> RetrievalResult:
    from pathlib import Path

    return RetrievalResult.load(Path(folder))


@st.cache_resource(max_entries=RESULTS)
def _projection(folder: str, _stamp: int) -> Projection:
    from pathlib import Path

    return Projection.load(Path(folder))


def retrieval(key: str) -> RetrievalResult:
    """A finished multilingual or image-caption benchmark."""
    folder = store().need("retrieval", key)
    return _retrieval(str(folder), (folder / "manifest.json").stat().st_mtime_ns)


def projection(key: str) -> Projection:
    """A finished projection."""
    folder = store().need("projection", key)
    return _projection(str(folder), (folder / "manifest.json").stat().st_mtime_ns)


def comparison(key: str) -> Comparison:
    """A finished comparison."""
    folder = store().need("comparison", key)
    return _comparison(str(folder), (folder / "manifest.json").stat().st_mtime_ns)


def benchmark(key: str) -> BenchmarkResult:
    """A finished benchmark."""
    folder = store().need("benchmark", key)
    return _benchmark(str(folder), (folder / "manifest.json").stat().st_mtime_ns)


def curves(key: str) -> list[TrainingCurve]:
    """The curves of finished encoders."""
    return read_curves(store().need("encoders", key))


@st.cache_resource(max_entries=200)
def spec_of(kind: str, key: str) -> Spec:
    """What a finished artifact was made from."""
    return read_spec(store(), kind, key)


def trained() -> dict[str, TrainSpec]:
    """All finished encoders by key, the newest first; an order that reading does not change."""
    entries = sorted(store().entries(("encoders",)), key=lambda entry: (-entry.created, entry.key))
    keys = [entry.key for entry in entries if entry.complete]
    found = {key: spec_of("encoders", key) for key in keys}
    return {key: spec for key, spec in found.items() if isinstance(spec, TrainSpec)}
