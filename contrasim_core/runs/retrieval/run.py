"""The multilingual and image-caption benchmarks, with every requested measure and kind of distractor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from contrasim_core.data import load_data, thumbnails_of
from contrasim_core.data.pairs import leaks
from contrasim_core.encoder.spec import ENCODER_KINDS, EncoderKind
from contrasim_core.measure.facts import needs_anchors
from contrasim_core.progress import Progress
from contrasim_core.runs.kind import Context
from contrasim_core.runs.retrieval.result import RetrievalResult
from contrasim_core.runs.retrieval.spec import RetrievalSpec
from contrasim_core.spec import Spec

if TYPE_CHECKING:
    from contrasim_core.activations.layer import Activations
    from contrasim_core.activations.spec import ExtractionSpec
    from contrasim_core.encoder.contrasim import ContraSim


def needs(spec: RetrievalSpec) -> tuple[Spec, ...]:
    """Return the layers of the test samples, the distractors, the encoders, and the layers with their anchors."""
    found: list[Spec] = list(spec.test)
    if "faiss" in spec.negatives:
        found += [spec.neighbours(source) for source in sorted({candidates for _, candidates in spec.pairs})]
    kinds = learned(spec)
    if needs_anchors(kinds):
        found += spec.train
    return tuple(dict.fromkeys([*found, *(spec.training(kind) for kind in kinds)]))


def learned(spec: RetrievalSpec) -> list[EncoderKind]:
    """Return the learned measures among those requested."""
    return [name for name in spec.measures if name in ENCODER_KINDS]  # type: ignore[misc]


def title(spec: RetrievalSpec) -> str:
    """Name task, models and data."""
    return f"{spec.task.capitalize()}, {', '.join(model_names(spec))} on {spec.test[0].data.label}"


def model_names(spec: RetrievalSpec) -> list[str]:
    """Return the labels of the models, each once."""
    return list(dict.fromkeys(source.model.label for source in spec.test))


def make(spec: RetrievalSpec, have: Mapping[Spec, Any], context: Context) -> RetrievalResult:
    """Judge every measure against every kind of distractor."""
    from contrasim_core.activations.layer import layers_of
    from contrasim_core.runs.retrieval.task import Retrieval

    contents = [load_data(source.data) for source in spec.test]
    relative = needs_anchors(learned(spec))
    left_out = leaks([load_data(source.data) for source in spec.train], contents) if learned(spec) else ()

    def encoders(kind: EncoderKind, _step: Progress) -> list[tuple[tuple[int, int], ContraSim]]:
        training = spec.training(kind)
        places = [pair for pair in training.pairs for _ in training.seeds]
        return list(zip(places, have[training], strict=True))

    def neighbours(source: int) -> NDArray[np.int32]:
        found: NDArray[np.int32] = have[spec.neighbours(source)].rows
        return found

    def layers(sources: tuple[ExtractionSpec, ...]) -> dict[str, list[Activations]]:
        picked = [layers_of(source, have[source], spec.layers) for source in sources]
        return dict(zip(spec.names, picked, strict=True))

    task = Retrieval(
        task=spec.task,
        test=layers(spec.test),
        pairs=spec.pairs,
        batch=spec.batch,
        candidates=spec.candidates,
        neighbours=neighbours,
        train=layers(spec.train) if relative else None,
        encoders=encoders,
        own_pair=spec.task == "image-caption",
        layers=("last",) if spec.last_layers else None,
        recipe={
            "model": ", ".join(model_names(spec)),
            "data": spec.test[0].data.label,
            "pooling": " / ".join(dict.fromkeys(source.pooling for source in spec.test)),
            **({"left out of training": f"{len(left_out)} samples that the test has too"} if left_out else {}),
        },
    )
    result = task.run(spec.measures, spec.negatives, context.progress)
    samples = {name: item.texts for name, item in zip(spec.names, contents, strict=True)}
    images = next((item.images for item in contents if item.images), None)
    return replace(result, samples=samples, thumbnails=None if images is None else thumbnails_of(images))


def load(_spec: RetrievalSpec, folder: Path) -> RetrievalResult:
    """Read the finished result."""
    return RetrievalResult.load(folder)
