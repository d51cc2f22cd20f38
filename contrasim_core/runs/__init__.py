"""Runs: a spec in, a result out. There is one folder per kind; `kinds` lists them, and `keep` runs them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contrasim_core.runs.keep import Plan, plan, run
    from contrasim_core.runs.kinds import read_spec, title_of

_HOME = {"Plan": "keep", "plan": "keep", "run": "keep", "read_spec": "kinds", "title_of": "kinds"}
__all__ = ["Plan", "plan", "read_spec", "run", "title_of"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
