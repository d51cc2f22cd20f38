"""The Python lines that run a spec again."""

from __future__ import annotations

from contrasim_core.errors import SpecError
from contrasim_core.specs import (
    BenchmarkSpec,
    CompareSpec,
    ExtractionSpec,
    PairedSpec,
    ProjectionSpec,
    RetrievalSpec,
    Spec,
    TrainSpec,
)

VERBS: dict[type[Spec], str] = {
    CompareSpec: "compare",
    TrainSpec: "train",
    BenchmarkSpec: "benchmark",
    PairedSpec: "train_pairs",
    RetrievalSpec: "retrieval",
    ProjectionSpec: "projection",
    ExtractionSpec: "run",
}


def python_lines(spec: Spec, file: str = "spec.json") -> str:
    """Lines that read the spec from a file and run it.

    Args:
        spec: what to run.
        file: name of the file with the spec's JSON.

    Raises:
        SpecError: if this kind of spec is not run by itself.
    """
    if type(spec) not in VERBS:
        raise SpecError(f"A {spec.kind} spec cannot be run by itself.")
    return (
        "from pathlib import Path\n"
        "from contrasim_core import Store, runs, specs\n"
        f'spec = specs.spec_from_json(Path("{file}").read_text())\n'
        f"result = runs.{VERBS[type(spec)]}(spec, store=Store())\n"
    )
