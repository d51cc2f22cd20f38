"""From a spec to the page that shows it: address parameters that lead to the same key."""

from __future__ import annotations

from contrasim_core.specs import (
    BenchmarkSpec,
    CompareSpec,
    ExtractionSpec,
    ProjectionSpec,
    RetrievalSpec,
    Spec,
    TrainSpec,
)
from pages._ui import router, url


def model_name(source: ExtractionSpec) -> str:
    """The name by which a page finds this model again."""
    tower = "" if source.model.tower == "auto" else f"#{source.model.tower}"
    return source.model.name + tower


def target(spec: Spec) -> tuple[str, dict[str, str]] | None:
    """The page of a spec and the parameters of its controls; None for specs that no page shows."""
    if isinstance(spec, CompareSpec):
        return router.COMPARE, _compare(spec)
    if isinstance(spec, TrainSpec):
        return router.TRAIN, {"run": spec.key}
    if isinstance(spec, BenchmarkSpec | RetrievalSpec):
        return router.BENCHMARKS, {"run": spec.key}
    if isinstance(spec, ProjectionSpec):
        return router.PROJECTIONS, {"run": spec.key}
    return None


def _compare(spec: CompareSpec) -> dict[str, str]:
    parameters = {"a": model_name(spec.a), "b": model_name(spec.b), "d": spec.a.data.name, "p": spec.a.pooling}
    for name, side in (("la", spec.a), ("lb", spec.b)):
        parameters[name] = "all" if side.layers == "all" else url.dotted(list(side.layers))
    if spec.a.data.limit:
        parameters["n"] = str(spec.a.data.limit)
    if spec.encoders:
        parameters["enc"] = url.joined(list(spec.encoders))
    return parameters
