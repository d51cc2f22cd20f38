"""Layer prediction with every requested measure and protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contrasim_core.encoder.spec import ENCODER_KINDS, EncoderKind
from contrasim_core.measure.facts import needs_anchors
from contrasim_core.progress import Progress
from contrasim_core.refs import DatasetRef
from contrasim_core.runs.kind import Context
from contrasim_core.runs.layer_prediction.result import BenchmarkResult
from contrasim_core.runs.layer_prediction.spec import BenchmarkSpec
from contrasim_core.spec import Spec

if TYPE_CHECKING:
    from contrasim_core.activations.layer import Activations
    from contrasim_core.encoder.contrasim import ContraSim


def needs(spec: BenchmarkSpec) -> tuple[Spec, ...]:
    """Return the layers of every model on every test set, and one training per learned measure."""
    found: list[Spec] = [spec.source(model, data) for data in judged_on(spec) for model in spec.models]
    kinds = learned(spec)
    if needs_anchors(kinds):  # which are taken from the training samples
        found += [spec.source(model, spec.train) for model in spec.models]
    found += [spec.training(kind, spec.trained_on(protocol)) for protocol in spec.protocols for kind in kinds]
    return tuple(dict.fromkeys(found))


def judged_on(spec: BenchmarkSpec) -> list[DatasetRef]:
    """Return the test samples and, if needed, those of the second data set."""
    second = spec.transfer_test if "transfer" in spec.protocols else None
    return [spec.test] if second is None else [spec.test, second]


def learned(spec: BenchmarkSpec) -> list[EncoderKind]:
    """Return the learned measures among those requested."""
    return [name for name in spec.measures if name in ENCODER_KINDS]  # type: ignore[misc]


def title(spec: BenchmarkSpec) -> str:
    """Name the number of models and the data."""
    return f"Layer prediction, {len(spec.models)} models on {spec.test.label}"


def make(spec: BenchmarkSpec, have: Mapping[Spec, Any], context: Context) -> BenchmarkResult:
    """Judge every measure under every protocol."""
    from contrasim_core.activations.layer import pick_layers
    from contrasim_core.runs.layer_prediction.task import LayerPrediction

    def layers(data: DatasetRef) -> dict[str, list[Activations]]:
        return {
            model.label: pick_layers(have[spec.source(model, data)], spec.layers, spec.rows) for model in spec.models
        }

    refs = {model.label: model for model in spec.models}

    def encoders(kind: EncoderKind, models: Sequence[str], _step: Progress) -> Sequence[ContraSim]:
        found: Sequence[ContraSim] = have[spec.training(kind, tuple(refs[name] for name in models))]
        return found

    groups = [layers(data) for data in judged_on(spec)]
    task = LayerPrediction(
        test=groups[0],
        train=layers(spec.train) if needs_anchors(learned(spec)) else None,
        transfer_test=groups[1] if len(groups) > 1 else None,
        pairs=spec.pairs,
        unseen_models=spec.unseen_models,
        encoders=encoders,
        recipe={
            "models": f"{spec.models[0].label} … {spec.models[-1].label} ({len(spec.models)})",
            "data": spec.test.label,
            "transfer": spec.transfer_test.label if spec.transfer_test is not None else "",
            "pooling": spec.pooling,
        },
    )
    return task.run(spec.measures, spec.protocols, context.progress)


def load(_spec: BenchmarkSpec, folder: Path) -> BenchmarkResult:
    """Read the finished result."""
    return BenchmarkResult.load(folder)
