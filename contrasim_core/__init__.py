"""contrasim_core: how similar are the representations inside these networks, and can you believe the number?

    import contrasim_core as cs
    cs.similarity(x, y)                                             # two matrices [n, d]
    cs.compare("digits-vit-0", "digits-vit-1", "digits")            # two models, layer by layer

Importing this is light: torch and transformers are loaded by the first call that needs them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contrasim_core.activations.layer import Activations, load_activations
    from contrasim_core.api import benchmark, compare, extract, measures, similarity, similarity_grid
    from contrasim_core.encoder.contrasim import ContraSim
    from contrasim_core.encoder.spec import EncoderSpec
    from contrasim_core.errors import ContraSimError
    from contrasim_core.measure.result import SimilarityGrid
    from contrasim_core.runs.layer_prediction.result import BenchmarkResult
    from contrasim_core.store import Store

__version__ = "0.1.0"

_HOME = {
    "similarity": "api",
    "similarity_grid": "api",
    "measures": "api",
    "extract": "api",
    "compare": "api",
    "benchmark": "api",
    "Activations": "activations.layer",
    "load_activations": "activations.layer",
    "ContraSim": "encoder.contrasim",
    "ContraSimError": "errors",
    "BenchmarkResult": "runs.layer_prediction.result",
    "SimilarityGrid": "measure.result",
    "EncoderSpec": "encoder.spec",
    "Store": "store",
}

__all__ = [
    "Activations",
    "BenchmarkResult",
    "ContraSim",
    "ContraSimError",
    "EncoderSpec",
    "SimilarityGrid",
    "Store",
    "benchmark",
    "compare",
    "extract",
    "load_activations",
    "measures",
    "similarity",
    "similarity_grid",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
