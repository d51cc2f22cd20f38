"""Layer prediction (Kornblith et al. 2019, section 6.1; ContraSim, section 5.1).

For two models that differ in their initialisation, and for each layer of the first, is the most similar layer of the
second the one at the same depth? A tie is a miss. Three protocols define what an encoder is trained on:

* seen: the training samples of all models; judged on the test samples of the same models, as in the paper.
* unseen: the training samples of some models; judged on the test samples of the others.
* transfer: as seen, but judged on a second data set.

Closed-form measures are judged on the same pairs and samples under each protocol.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from contrasim_core.activations.layer import Activations
from contrasim_core.encoder.contrasim import ContraSim
from contrasim_core.encoder.result import TrainingCurve
from contrasim_core.encoder.spec import ENCODER_KINDS, EncoderKind
from contrasim_core.errors import ContraSimWarning, EncoderError, SpecError
from contrasim_core.measure.base import MeasureSpec
from contrasim_core.measure.closed_form import closed_form
from contrasim_core.measure.grid import Layer, as_layer, similarity_grids
from contrasim_core.measure.result import SimilarityGrid, best_match
from contrasim_core.progress import Progress, share, silent
from contrasim_core.runs.intervals import pair_interval
from contrasim_core.runs.layer_prediction.result import BenchmarkRecord, BenchmarkResult
from contrasim_core.runs.layer_prediction.spec import PROTOCOLS, Protocol

TASK = "layer-prediction"


Group = Mapping[str, Sequence[Activations]]


Pairs = list[tuple[int, int]]


Encoders = Callable[[EncoderKind, Sequence[str], Progress], Sequence[ContraSim]]
"""Encoders of a kind trained on the training samples of the named models, one per seed."""


@dataclass(frozen=True, eq=False, kw_only=True)
class LayerPrediction:
    """The representations a benchmark runs on.

    Attributes:
        test: layers by model, on the test samples.
        train: layers by model, on the training samples; needed by learned measures.
        transfer_test: layers by model, on the second data set; needed by `transfer`.
        pairs: all ordered pairs, or disjoint ones as in the paper.
        unseen_models: how many models at the end of the list `unseen` holds out of training.
        encoders: trains or loads encoders; needed by learned measures.
        recipe: how the representations were made, for captions.
    """

    test: Group
    train: Group | None = None
    transfer_test: Group | None = None
    pairs: Literal["all", "disjoint"] = "all"
    unseen_models: int = 4
    encoders: Encoders | None = None
    recipe: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        depths = {model: len(layers) for model, layers in self.test.items()}
        if len(depths) < 2 or 0 in depths.values() or len(set(depths.values())) > 1:
            raise SpecError(
                f"Layer prediction needs 2 or more models with equally many layers. It got {depths or 'none'}."
            )
        for part, group in (("train", self.train), ("transfer_test", self.transfer_test)):
            counts = None if group is None else {model: len(group.get(model, ())) for model in depths}
            if counts not in (None, depths):
                raise SpecError(f"{part} has other layers than test. Layers by model: {counts}, but {depths} in test.")
        if self.pairs not in ("all", "disjoint"):
            raise SpecError(f"pairs is {self.pairs!r}. It can be: 'all', 'disjoint'.")

    def run(
        self, measures: Sequence[str], protocols: Sequence[Protocol], progress: Progress = silent
    ) -> BenchmarkResult:
        """Judge every measure under every protocol.

        Args:
            measures: ids, closed-form (options may follow the id) and learned.
            protocols: which to run.
            progress: called as the work proceeds.

        Raises:
            SpecError: if a protocol lacks what it needs.
        """
        run = _Run(self, progress, len(measures) * len(protocols))
        learned = [name for name in measures if name in ENCODER_KINDS]
        formulas = [closed_form(name) for name in measures if name not in ENCODER_KINDS]
        for protocol in protocols:
            arena = self._arena(protocol)
            run.closed_form(arena, formulas)
            for kind in ENCODER_KINDS:
                if kind in learned:
                    run.learned(arena, kind)  # type: ignore[arg-type]
        return run.result(measures)

    def _arena(self, protocol: Protocol) -> Arena:
        if protocol not in PROTOCOLS:
            raise SpecError(f"Unknown protocol {protocol!r}. It can be: {', '.join(PROTOCOLS)}.")
        names = list(self.test)
        judged = names[-self.unseen_models :] if protocol == "unseen" else names
        trained = names[: -self.unseen_models] if protocol == "unseen" else names
        if protocol == "unseen" and (len(judged) < 2 or len(trained) < 2):
            raise SpecError(
                f"'unseen' needs 2 models to train on and 2 to judge. It got {len(names)} models, of which "
                f"{self.unseen_models} are held out."
            )
        if protocol == "transfer" and self.transfer_test is None:
            raise SpecError("'transfer' needs a second data set. Give transfer_test, or remove the protocol.")
        layers = self.transfer_test if protocol == "transfer" and self.transfer_test is not None else self.test
        return Arena(protocol, {name: layers[name] for name in judged}, tuple(trained), self._pairs(len(judged)))

    def _pairs(self, count: int) -> Pairs:
        if self.pairs == "disjoint":
            return [(first, first + 1) for first in range(0, count - 1, 2)]
        return list(permutations(range(count), 2))


@dataclass(frozen=True, eq=False)
class Arena:
    """The models and layers that one protocol judges.

    Attributes:
        protocol: name of the protocol.
        layers: layers by judged model.
        trained_on: models the encoders are trained on.
        pairs: positions of the models of each pair.
    """

    protocol: Protocol
    layers: dict[str, Sequence[Activations]]
    trained_on: tuple[str, ...]
    pairs: Pairs

    @property
    def depth(self) -> int:
        """Number of layers per model."""
        return len(next(iter(self.layers.values())))

    def names(self) -> list[str]:
        """Return the names of the pairs, for people."""
        models = list(self.layers)
        return [f"{models[a]} → {models[b]}" for a, b in self.pairs]


class _Run:
    """A benchmark run in progress."""

    def __init__(self, task: LayerPrediction, progress: Progress, steps: int) -> None:
        self.task, self.progress, self.steps = task, progress, steps
        self.done = 0
        self.records: list[BenchmarkRecord] = []
        self.grids: dict[str, SimilarityGrid] = {}
        self.predictions: dict[str, list[list[int]]] = {}
        self.pairs: dict[str, list[str]] = {}
        self.curves: dict[str, list[TrainingCurve]] = {}
        self.seconds: dict[str, float] = {}
        self._encoders: dict[tuple[EncoderKind, tuple[str, ...]], Sequence[ContraSim]] = {}

    def closed_form(self, arena: Arena, specs: Sequence[MeasureSpec]) -> None:
        """Judge the closed-form measures together, because they share factors."""
        if specs:
            started = time.monotonic()
            layers = [as_layer(item, 0, "x") for model in arena.layers.values() for item in model]
            step = share(self.progress, self.done, self.steps, f"{arena.protocol}: ")
            grids = self._all_pairs(layers, specs, step)
            for spec in specs:
                self._judge(arena, spec.id, None, grids[spec.id])
            self.done += len(specs)
            self._took(f"closed form, {arena.protocol}", started)

    def learned(self, arena: Arena, kind: EncoderKind) -> None:
        """Train or load one encoder per seed, and judge each."""
        started = time.monotonic()
        try:
            encoders = self._trained(kind, arena)
        except EncoderError as error:  # such as layers of different widths: the other measures are still judged
            self._without(arena, kind, str(error))
            return
        self.curves[f"{kind}|{len(arena.trained_on)} models"] = [encoder.curve for encoder in encoders]
        for encoder in encoders:
            spec = encoder.measure()
            layers = [
                as_layer(item, 0, "x", self._anchors(encoder, model, place))
                for model, items in arena.layers.items()
                for place, item in enumerate(items)
            ]
            grid = self._all_pairs(layers, [spec], silent)[spec.id]
            self._judge(arena, kind, encoder.spec.seed, grid)
        self.done += 1
        self._took(f"{kind}, {arena.protocol}", started)

    def _without(self, arena: Arena, kind: EncoderKind, reason: str) -> None:
        """Add a record without accuracy, for an encoder that cannot be trained on these layers."""
        nan = float("nan")
        self.records.append(
            BenchmarkRecord(
                task=TASK,
                measure=kind,
                protocol=arena.protocol,
                accuracy=nan,
                low=nan,
                high=nan,
                trials=len(arena.pairs) * arena.depth,
                chance=1 / arena.depth,
                reason=reason,
            )
        )
        self.pairs[arena.protocol] = arena.names()
        self.done += 1

    def _trained(self, kind: EncoderKind, arena: Arena) -> Sequence[ContraSim]:
        """Return the encoders of this kind and these training models; protocols that share them train them once."""
        if self.task.encoders is None:
            raise SpecError(f"{kind} is learned, so it needs representations of training samples. Give train.")
        wanted = (kind, arena.trained_on)
        if wanted not in self._encoders:
            step = share(self.progress, self.done, self.steps, f"{arena.protocol}: ")
            self._encoders[wanted] = self.task.encoders(kind, arena.trained_on, step)
        return self._encoders[wanted]

    def _anchors(self, encoder: ContraSim, model: str, place: int) -> object | None:
        """Return the same layer on the anchor samples, for relative encoders."""
        if not encoder.measure().needs_anchors or self.task.train is None:
            return None
        return encoder.anchors_of(self.task.train[model][place])

    def _all_pairs(
        self, layers: Sequence[Layer], specs: Sequence[MeasureSpec], progress: Progress
    ) -> dict[str, SimilarityGrid]:
        """Compare all layers of all models; asymmetric measures as (f(x, y) + f(y, x)) / 2."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ContraSimWarning)  # the protocol implies them, and notes are kept
            return similarity_grids(layers, layers, specs, symmetrise=True, on_undefined="nan", progress=progress)

    def _judge(self, arena: Arena, measure: str, seed: int | None, grid: SimilarityGrid) -> None:
        depth = arena.depth
        blocks = [grid.values[a * depth : (a + 1) * depth, b * depth : (b + 1) * depth] for a, b in arena.pairs]
        choices = [[best_match(row, grid.direction) for row in block] for block in blocks]
        wins = np.array([[choice == layer for layer, choice in enumerate(row)] for row in choices], dtype=bool)
        whole = all(np.isfinite(block).all() for block in blocks)
        reason = "" if whole else "; ".join(grid.undefined[:2]) or f"{measure} is not finite for some layers"
        low, high = pair_interval(wins, arena.pairs, disjoint=self.task.pairs == "disjoint")
        nan = float("nan")
        self.records.append(
            BenchmarkRecord(
                task=TASK,
                measure=measure,
                protocol=arena.protocol,
                accuracy=nan if reason else float(wins.mean()),
                low=nan if reason else low,
                high=nan if reason else high,
                trials=wins.size,
                chance=1 / depth,
                seed=seed,
                reason=reason,
            )
        )
        suffix = "" if seed is None else f"|{seed}"
        self.predictions[f"{measure}|{arena.protocol}{suffix}"] = [
            [-1 if choice is None else choice for choice in row] for row in choices
        ]
        self.pairs[arena.protocol] = arena.names()
        self.grids.setdefault(f"{measure}|{arena.protocol}", _mean_grid(grid, blocks, arena))

    def _took(self, part: str, started: float) -> None:
        self.seconds[part] = round(time.monotonic() - started, 2)

    def result(self, measures: Sequence[str]) -> BenchmarkResult:
        """Return the finished result, with measures in the requested order."""
        order = {name: place for place, name in enumerate(measures)}
        protocols = list(self.pairs)
        records = sorted(self.records, key=lambda item: (protocols.index(item.protocol), order[item.measure]))
        first = next(iter(self.task.test.values()))
        return BenchmarkResult(
            records=tuple(records),
            grids=self.grids,
            predictions=self.predictions,
            pairs=self.pairs,
            layers=tuple(layer.layer.label for layer in first),
            curves=self.curves,
            recipe={**self.task.recipe, "n": str(len(first[0].samples)), "pairs": self.task.pairs},
            seconds=self.seconds,
        )


def _mean_grid(grid: SimilarityGrid, blocks: Sequence[NDArray[np.float64]], arena: Arena) -> SimilarityGrid:
    """Return the mean over pairs, labelled with the layers of the first two models."""
    first, second = list(arena.layers.values())[:2]
    return SimilarityGrid(
        values=np.mean(blocks, axis=0),
        rows=tuple(item.layer for item in first),
        columns=tuple(item.layer for item in second),
        measure=grid.measure,
        label=grid.label,
        direction=grid.direction,
        bounds=grid.bounds,
        n=grid.n,
        notes=(f"Mean over {len(arena.pairs)} pairs of models.", *grid.notes),
        recipe=grid.recipe,
        undefined=grid.undefined,
    )
