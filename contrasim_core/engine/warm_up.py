"""Preloaded by every worker, so that the first run does not wait for slow imports."""

from __future__ import annotations

import importlib
from typing import Any


def dask_setup(_worker: Any) -> None:
    """Import what runs need; called by Dask when the worker starts."""
    for module in ("torch", "transformers", "contrasim_core.runs"):
        importlib.import_module(module)
