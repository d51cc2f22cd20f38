"""All kinds of runs, in one table. No other file knows them all."""

from __future__ import annotations

import json

from contrasim_core.activations.spec import ExtractionSpec
from contrasim_core.encoder.spec import PairedSpec, TrainSpec
from contrasim_core.errors import SpecError
from contrasim_core.neighbours.spec import NeighboursSpec
from contrasim_core.runs.comparison import run as comparison
from contrasim_core.runs.comparison.spec import CompareSpec
from contrasim_core.runs.comparison.words import cost_of_comparison
from contrasim_core.runs.extraction import run as extraction
from contrasim_core.runs.kind import Kind
from contrasim_core.runs.layer_prediction import run as layer_prediction
from contrasim_core.runs.layer_prediction.spec import BenchmarkSpec
from contrasim_core.runs.neighbours import run as neighbours
from contrasim_core.runs.paired_training import run as paired_training
from contrasim_core.runs.projection import run as projection
from contrasim_core.runs.projection.spec import ProjectionSpec
from contrasim_core.runs.retrieval import run as retrieval
from contrasim_core.runs.retrieval.spec import RetrievalSpec
from contrasim_core.runs.training import run as training
from contrasim_core.spec import Spec, spec_from_json
from contrasim_core.store import Store

KINDS: tuple[Kind, ...] = (
    Kind(
        spec=ExtractionSpec, run=extraction, page=None, verb="Extracting", noun="models", product="activations",
        find=extraction.find, pin=extraction.pin, parts=extraction.parts, resumable=True,
    ),
    Kind(spec=TrainSpec, run=training, page="train_encoder", verb="Training", noun="encoders", product="encoders"),
    Kind(spec=PairedSpec, run=paired_training, page=None, verb="Training", noun="encoders", product="encoders"),
    Kind(spec=NeighboursSpec, run=neighbours, page=None, verb="Searching", noun="layers", product="neighbours"),
    Kind(
        spec=CompareSpec, run=comparison, page="compare", verb="Comparing", noun="models", product="comparisons",
        cost=cost_of_comparison,
    ),
    Kind(
        spec=BenchmarkSpec, run=layer_prediction, page="benchmarks", verb="Judging", noun="measures", product="scores",
    ),
    Kind(spec=RetrievalSpec, run=retrieval, page="benchmarks", verb="Judging", noun="measures", product="scores"),
    Kind(spec=ProjectionSpec, run=projection, page="projections", verb="Projecting", noun="layers", product="views"),
)  # fmt: skip
NAMES: tuple[str, ...] = tuple(kind.name for kind in KINDS)


def kind_of(spec: Spec) -> Kind:
    """Return the row of a spec's kind.

    Raises:
        SpecError: if this kind of spec cannot be run by itself.
    """
    for kind in KINDS:
        if type(spec) is kind.spec:
            return kind
    raise SpecError(f"A {spec.kind} spec cannot be run by itself.")


def title_of(spec: Spec) -> str:
    """Return one line about a run."""
    return kind_of(spec).run.title(spec)


def read_spec(text: str) -> Spec:
    """Read the spec of a run from the JSON text that `Spec.to_json` wrote.

    Raises:
        SpecError: if the text is not such a spec.
    """
    return spec_from_json(text, (kind.spec for kind in KINDS))


def stored_spec(store: Store, kind: str, key: str) -> Spec:
    """Return the spec that a finished result was made from.

    Raises:
        MissingArtifactError: if the result does not exist.
    """
    return read_spec(json.dumps(store.manifest(kind, key)["spec"]))
