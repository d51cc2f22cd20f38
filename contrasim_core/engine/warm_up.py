"""Preloaded by every worker, so that the first run does not have to wait for slow imports."""

from __future__ import annotations

import importlib
from typing import Any


def dask_setup(_worker: Any) -> None:
    """Import what runs need; Dask calls this when the worker starts."""
    for module in ("torch", "transformers", "contrasim_core.runs"):
        importlib.import_module(module)
