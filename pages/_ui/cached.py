"""Everything that is kept between runs of a page, and the only place that does so.

Results are frozen and keyed by their content, so they are shared and never go stale.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from contrasim_core.encoder.result import TrainingCurve, read_curves
from contrasim_core.encoder.spec import TrainSpec
from contrasim_core.engine.dask import DaskEngine
from contrasim_core.runs.kinds import kind_of, stored_spec
from contrasim_core.spec import Spec
from contrasim_core.store import MANIFEST, Store

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
def _result(kind: str, key: str, _stamp: int) -> Any:
    spec = spec_of(kind, key)
    return kind_of(spec).run.load(spec, store().need(kind, key))


def result(kind: str, key: str) -> Any:
    """A finished result; read again only if it was made again."""
    folder = store().need(kind, key)
    return _result(kind, key, (folder / MANIFEST).stat().st_mtime_ns)


def curves(key: str) -> list[TrainingCurve]:
    """The curves of finished encoders."""
    return read_curves(store().need("encoders", key))


@st.cache_resource(max_entries=200)
def spec_of(kind: str, key: str) -> Spec:
    """What a finished artifact was made from."""
    return stored_spec(store(), kind, key)


def trained() -> dict[str, TrainSpec]:
    """All finished encoders by key, the newest first; an order that reading does not change."""
    entries = sorted(store().entries(("encoders",)), key=lambda entry: (-entry.created, entry.key))
    keys = [entry.key for entry in entries if entry.complete]
    found = {key: spec_of("encoders", key) for key in keys}
    return {key: spec for key, spec in found.items() if isinstance(spec, TrainSpec)}
