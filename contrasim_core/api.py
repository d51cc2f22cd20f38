"""The public functions of `import contrasim_core as cs`: matrices, models and names in, numbers out."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

from torch import Tensor, nn

from contrasim_core.activations.layer import Activations, Matrix
from contrasim_core.data import Inputs
from contrasim_core.encoder.contrasim import ContraSim
from contrasim_core.encoder.measures import LEARNED
from contrasim_core.encoder.spec import ENCODER_KINDS, EncoderKind, EncoderSpec
from contrasim_core.errors import FewSamplesWarning, SpecError
from contrasim_core.measure.base import MeasureSpec
from contrasim_core.measure.closed_form import MEASURES, closed_form
from contrasim_core.measure.grid import Layer, as_layer, few_samples_note, similarity_grids
from contrasim_core.measure.result import SimilarityGrid
from contrasim_core.progress import Progress, silent
from contrasim_core.refs import DatasetRef, ModelRef, Pooling
from contrasim_core.runs.extract import extract
from contrasim_core.runs.layer_prediction.result import BenchmarkResult
from contrasim_core.runs.layer_prediction.spec import Protocol
from contrasim_core.store import Store

__all__ = ["benchmark", "compare", "extract", "measures", "similarity", "similarity_grid"]

Measure = str | MeasureSpec | ContraSim
ModelLike = str | Path | ModelRef | nn.Module
DataLike = str | Path | DatasetRef | Inputs | Sequence[Any] | Tensor


def measures() -> tuple[MeasureSpec, ...]:
    """Return all measures, closed-form first, with source, range, direction and invariances.

    The learned ones are templates: `ContraSim(...).fit(...)` turns them into measures.
    """
    return (*MEASURES, *LEARNED)


def similarity(x: Matrix, y: Matrix, measure: Measure = "cka.linear", **options: float | str) -> float:
    """Return how similar two representations of the same samples are.

    Args:
        x: [n, dx], a tensor, an array or nested lists; row i is sample i.
        y: [n, dy].
        measure: id of a closed-form measure, or a trained `ContraSim`.
        options: options of the measure, such as `t=0.4` for `cka.rbf` or `threshold=0.9` for `svcca`.

    Raises:
        UnknownMeasureError: if no measure has this id.
        RepresentationError: if a matrix cannot be used; the message says why.

    >>> round(similarity([[0.0], [1.0], [2.0]], [[1.0], [3.0], [5.0]]), 6)
    1.0
    """
    if isinstance(measure, ContraSim):
        return measure.similarity(x, y)
    spec = _spec(measure, options)
    value = spec(x, y)
    note = few_samples_note(spec, len(x), max(_width(x), _width(y)))
    if note:
        warnings.warn(note, FewSamplesWarning, stacklevel=2)
    return value


def _width(x: Matrix) -> int:
    return int(x.shape[1]) if hasattr(x, "shape") else len(x[0])


def _spec(measure: Measure, options: Mapping[str, float | str]) -> MeasureSpec:
    spec = (
        measure.measure()
        if isinstance(measure, ContraSim)
        else closed_form(measure)
        if isinstance(measure, str)
        else measure
    )
    return spec.with_options(**options) if options else spec


def similarity_grid(
    xs: Sequence[Matrix | Activations],
    ys: Sequence[Matrix | Activations] | None = None,
    measure: Measure = "cka.linear",
    *,
    symmetrise: bool = False,
    anchors: tuple[Sequence[Matrix | Activations], Sequence[Matrix | Activations]] | None = None,
    **options: float | str,
) -> SimilarityGrid:
    """Compare all layers of one model with all layers of another, sharing factors between cells.

    Args:
        xs: layers of A, [n, d] each, or activations.
        ys: layers of B on the same samples; defaults to `xs`.
        measure: id of a closed-form measure, or a trained `ContraSim`.
        symmetrise: for asymmetric measures, return the mean of f(x, y) and f(y, x).
        anchors: for `contrasim.relative`, the same layers on the anchor samples, for each side.
        options: options of the measure.

    Raises:
        PairingError: if two activations come from different samples.
        RepresentationError: if a matrix cannot be used; the message says which and why.
    """
    rows: list[Any] = list(xs)
    columns: list[Any] = rows if ys is None else list(ys)
    if anchors is not None:
        if not isinstance(measure, ContraSim):
            raise SpecError("anchors are only for a trained contrasim.relative; closed-form measures do not use them.")
        first, second = anchors
        rows = _anchored(measure, rows, first, "x")
        columns = rows if ys is None else _anchored(measure, columns, second, "y")
    spec = _spec(measure, options)
    return similarity_grids(rows, columns, [spec], symmetrise=symmetrise)[spec.id]


def _anchored(
    encoder: ContraSim, layers: Sequence[Any], anchors: Sequence[Matrix | Activations], side: str
) -> list[Layer]:
    picked = [encoder.anchors_of(item) if isinstance(item, Activations) else item for item in anchors]
    if len(picked) != len(layers):
        raise SpecError(f"Got {len(layers)} layers and {len(picked)} sets of anchors. Give one set per layer.")
    return [as_layer(item, i, side, reference) for i, (item, reference) in enumerate(zip(layers, picked, strict=True))]


def compare(
    a: ModelLike | Sequence[Activations],
    b: ModelLike | Sequence[Activations],
    data: DataLike | None = None,
    *,
    measure: Measure = "cka.linear",
    layers: Literal["all"] | Sequence[int | str] = "all",
    pooling: Pooling | Literal["auto"] = "auto",
    limit: int | None = None,
    store: Store | None = None,
    device: str = "auto",
    progress: Progress = silent,
    **options: float | str,
) -> SimilarityGrid:
    """Compare two models, layer by layer, on the same data.

    Args:
        a: rows of the grid: a model in any form that `extract` takes, or activations.
        b: columns of the grid.
        data: as for `extract`; not needed for activations.
        measure: id of a closed-form measure, or a trained `ContraSim`.
        layers: as for `extract`.
        pooling: as for `extract`.
        limit: use only the first `limit` samples.
        store: where to keep activations; None keeps them in memory.
        device: where to run the models.
        progress: called as the work proceeds.
        options: options of the measure.

    Raises:
        PairingError: if the two sides have different samples.
        ContraSimError: if anything else cannot be used; the message says what to do.
    """
    sides: list[list[Activations]] = []
    for model in cast(tuple[Any, Any], (a, b)):
        if isinstance(model, (list, tuple)):
            sides.append(list(model))
            continue
        if data is None:
            raise SpecError("compare needs data to run the models on. Give a data set, texts or images.")
        activations = extract(
            model,
            data,
            layers=layers,
            pooling=pooling,
            limit=limit,
            store=store,
            device=device,
            progress=progress,
        )
        sides.append(activations)
    spec = _spec(measure, options)
    return similarity_grids(sides[0], sides[1], [spec], on_undefined="nan")[spec.id]


def benchmark(
    task: Literal["layer-prediction"] = "layer-prediction",
    *,
    test: Mapping[str, Sequence[Activations]] | Sequence[Activations],
    train: Mapping[str, Sequence[Activations]] | Sequence[Activations] | None = None,
    transfer_test: Mapping[str, Sequence[Activations]] | Sequence[Activations] | None = None,
    measures: Sequence[str] = ("cka.linear",),
    protocols: Sequence[Protocol] = ("seen",),
    pairs: Literal["all", "disjoint"] = "all",
    unseen_models: int = 4,
    encoder: EncoderSpec | None = None,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    device: str = "auto",
    progress: Progress = silent,
) -> BenchmarkResult:
    """Test which measure finds the corresponding layers of models that differ in their initialisation.

    For bundled models there is a shortcut: `python -m contrasim_core bench layer-prediction --models digits-vit`.

    Args:
        task: the benchmark.
        test: layers on the test samples, keyed by model or in one list.
        train: layers on the training samples, of the same models; needed by learned measures.
        transfer_test: layers on a second data set; needed by the protocol `transfer`.
        measures: ids, closed-form and learned.
        protocols: `seen`, `unseen`, `transfer`.
        pairs: all ordered pairs of models, or `disjoint` ones as in the paper.
        unseen_models: how many models at the end of the list `unseen` holds out of training.
        encoder: training options of learned measures; its kind and seed are set by `measures` and `seeds`.
        seeds: encoder seeds.
        device: where to train.
        progress: called as the work proceeds.
    """
    from contrasim_core.runs.layer_prediction.task import LayerPrediction

    if task != "layer-prediction":
        raise SpecError(f"Unknown benchmark {task!r}. It can be: 'layer-prediction'.")
    groups = [_by_model(part) for part in (test, train, transfer_test)]
    judged, trained, transferred = groups
    if not judged:
        raise SpecError("benchmark needs test activations: layers of two or more models. It got none.")

    def encoders(kind: EncoderKind, models: Sequence[str], step: Progress) -> list[ContraSim]:
        assert trained is not None  # noqa: S101 - otherwise this function is not passed on
        spec = (encoder or EncoderSpec()).replace(encoder=kind)
        return ContraSim.fit_seeds(spec, seeds, [trained[name] for name in models], device=device, progress=step)

    task_run = LayerPrediction(
        test=judged,
        train=trained,
        transfer_test=transferred,
        pairs=pairs,
        unseen_models=unseen_models,
        encoders=encoders if trained is not None else None,
        recipe=dict(next(iter(judged.values()))[0].recipe),
    )
    unknown = [name for name in measures if name not in ENCODER_KINDS]
    for name in unknown:
        closed_form(name)
    return task_run.run(measures, protocols, progress)


def _by_model(
    part: Mapping[str, Sequence[Activations]] | Sequence[Activations] | None,
) -> dict[str, list[Activations]] | None:
    from contrasim_core.activations.layer import by_model

    if part is None:
        return None
    return {name: list(layers) for name, layers in part.items()} if isinstance(part, Mapping) else by_model(part)
