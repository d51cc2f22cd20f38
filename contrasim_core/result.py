"""What all results share: provenance, and JSON with a format number. Names no kind of run; imports no torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from contrasim_core.errors import ForeignFormatError
from contrasim_core.refs import LayerRef

RESULT_FORMAT = 1


SHARES = ("accuracy", "low", "high")  # NaN if a measure is undefined; JSON has no NaN


def versions() -> dict[str, str]:
    """Return the versions of the libraries that a number can depend on."""
    installed = {}
    for package in ("torch", "transformers", "numpy", "scikit-learn"):
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            continue
    return installed


def plain(value: Any) -> Any:
    """Convert dataclasses, arrays, tuples and numbers to what JSON can represent; NaN and infinity become None."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, LayerRef):
        return asdict(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write a result with its format number."""
    path.write_text(json.dumps({"format": RESULT_FORMAT, **plain(data)}, allow_nan=False), encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Read a result.

    Raises:
        ForeignFormatError: if it was written in another format.
    """
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    number = data.pop("format", None)
    if number != RESULT_FORMAT:
        raise ForeignFormatError(
            f"{path.name} in {path.parent.name} has format {number}; this version reads format {RESULT_FORMAT}. "
            "Delete that folder and run it again."
        )
    return data
