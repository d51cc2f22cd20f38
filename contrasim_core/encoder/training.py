"""Training on whole layers: which layer is it, whatever the model?

The contrasted unit is a batch of rows of one layer of one model, as in the published code for layer prediction.
Positives of a unit are the same layer in the other models; negatives are all other layers of all models, its own
included. The similarity of two units is the measure's own (equation 2 for ContraSim).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from contrasim_core.encoder.losses import equation3, positives_only, supcon
from contrasim_core.encoder.net import StackedEncoder
from contrasim_core.encoder.relative import relative
from contrasim_core.encoder.similarity import SCORES
from contrasim_core.errors import EncoderError
from contrasim_core.progress import Progress, share, silent
from contrasim_core.results import TrainingCurve
from contrasim_core.specs import EncoderSpec

MEMORY_BUDGET = 3 * 2**30
"""Bytes of one training step's activations above which seeds are trained in smaller groups."""


@dataclass(frozen=True, eq=False)
class Units:
    """Representations to contrast: every layer of every model, on the same rows.

    Attributes:
        matrices: [layers][models], each [n, d].
        models: their names.
        layers: layer labels.
    """

    matrices: tuple[tuple[Float[Tensor, "n d"], ...], ...]
    models: tuple[str, ...]
    layers: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.models) < 2 or len(self.layers) < 2:
            raise EncoderError(
                f"Training contrasts layers across models: it needs 2 or more models and 2 or more layers, not "
                f"{len(self.models)} and {len(self.layers)}."
            )

    @property
    def rows(self) -> int:
        """N."""
        return len(self.matrices[0][0])

    @property
    def flat(self) -> list[Float[Tensor, "n d"]]:
        """All units, layer by layer."""
        return [matrix for layer in self.matrices for matrix in layer]

    @property
    def positives(self) -> Bool[Tensor, "b b"]:
        """Which pairs of units are the same layer of different models."""
        count = len(self.models)
        layer = torch.arange(len(self.layers)).repeat_interleave(count)
        return (layer[:, None] == layer[None, :]) & ~torch.eye(len(layer), dtype=torch.bool)


@dataclass(frozen=True, eq=False)
class Trained:
    """One trained encoder.

    Attributes:
        spec: its options, with its own seed.
        weights: see `net.encode`.
        anchors: rows of the training samples that are anchors; empty unless the input is relative.
        curve: loss and held-out accuracy by epoch.
    """

    spec: EncoderSpec
    weights: dict[str, Tensor]
    anchors: tuple[int, ...]
    curve: TrainingCurve


def train(
    units: Units,
    spec: EncoderSpec,
    seeds: Sequence[int],
    *,
    device: torch.device | str = "cpu",
    progress: Progress = silent,
) -> list[Trained]:
    """Train one encoder per seed, all in one batched computation (in groups if memory is short).

    Args:
        units: what to contrast.
        spec: architecture, loss and schedule; its own seed is not used.
        seeds: one encoder each. An encoder depends on its own seed alone.
        device: where to train.
        progress: told after each epoch.

    Raises:
        EncoderError: if there are too few rows.
    """
    split = _Split.of(units, spec)
    step_floats = len(units.flat) * min(spec.batch_rows, len(split.train)) * (sum(spec.hidden) + 2 * spec.out_dim) * 3
    size = max(1, min(len(seeds), MEMORY_BUDGET // (4 * step_floats)))
    groups = [list(seeds[first : first + size]) for first in range(0, len(seeds), size)]
    found: list[Trained] = []
    started = time.monotonic()
    for number, group in enumerate(groups):
        step = share(progress, number, len(groups))
        found += _Training(units, spec, group, split, torch.device(device)).run(step, started)
    return found


@dataclass(frozen=True)
class _Split:
    """Row numbers to train on and to hold out; the same for all seeds."""

    train: tuple[int, ...]
    held_out: tuple[int, ...]

    @classmethod
    def of(cls, units: Units, spec: EncoderSpec) -> _Split:
        held = int(units.rows * spec.held_out)
        if units.rows - held < 8:
            raise EncoderError(
                f"{units.rows - held} rows are too few to train on. Give at least 8 (hundreds are usual)."
            )
        order = torch.randperm(units.rows, generator=torch.Generator().manual_seed(0)).tolist()
        return cls(tuple(sorted(order[held:])), tuple(sorted(order[:held])))


class _Training:
    """The training of a group of seeds."""

    def __init__(
        self, units: Units, spec: EncoderSpec, seeds: Sequence[int], split: _Split, device: torch.device
    ) -> None:
        self.units, self.spec, self.seeds, self.split, self.device = units, spec, seeds, split, device
        self.score = SCORES[spec.encoder]
        self.positives = units.positives.to(device)
        self.generators = [torch.Generator().manual_seed(1_000_003 * (seed + 1)) for seed in seeds]
        self.anchors = [self._pick_anchors(generator) for generator in self.generators]
        self.inputs, self.order = self._inputs()
        in_dims = [part.shape[2] for part in self.inputs[0]]
        self.net = StackedEncoder(in_dims, spec.hidden, spec.out_dim, seeds).to(device)
        self.optimiser = torch.optim.Adam(self.net.parameters(), lr=spec.learning_rate, weight_decay=spec.weight_decay)

    def _pick_anchors(self, generator: torch.Generator) -> tuple[int, ...]:
        if self.spec.encoder != "contrasim.relative":
            return ()
        if self.spec.anchors > len(self.split.train):
            raise EncoderError(
                f"{self.spec.anchors} anchors are asked for, but there are {len(self.split.train)} training samples. "
                "Give more samples or fewer anchors."
            )
        order = torch.randperm(len(self.split.train), generator=generator)[: self.spec.anchors]
        return tuple(self.split.train[i] for i in order.tolist())

    def _inputs(self) -> tuple[list[list[Float[Tensor, "b n d"]]], Int[Tensor, " b"]]:
        """What encoder e reads, units of one width together, and where each unit stands in that order.

        One shared list unless each encoder has anchors of its own.
        """
        matrices = self.units.flat
        if self.spec.encoder == "contrasim.relative":
            read = [torch.stack([relative(matrix, matrix[list(rows)]) for matrix in matrices]) for rows in self.anchors]
            return [[item] for item in read], torch.arange(len(matrices))
        dims = torch.tensor([matrix.shape[1] for matrix in matrices])
        places = [torch.nonzero(dims == width).flatten().tolist() for width in dims.unique().tolist()]
        parts = [torch.stack([matrices[place].float() for place in part]) for part in places]
        return [parts], torch.tensor([place for part in places for place in part]).argsort()

    def run(self, progress: Progress, started: float) -> list[Trained]:
        """Train, epoch by epoch."""
        losses: list[list[float]] = []
        accuracies: list[list[float]] = []
        for epoch in range(self.spec.epochs):
            losses.append(self._epoch())
            if len(self.split.held_out) >= 4:
                accuracies.append(self._accuracy())
            shown = f", held-out accuracy {sum(accuracies[-1]) / len(self.seeds):.0%}" if accuracies else ""
            message = f"Training {self.spec.encoder}: epoch {epoch + 1} of {self.spec.epochs}{shown}"
            progress(epoch + 1, self.spec.epochs, message, **self._facts(epoch + 1, losses, accuracies))
        return [
            Trained(
                spec=self.spec.replace(seed=seed),
                weights={name: value.cpu() for name, value in self.net.single(e).items()},
                anchors=self.anchors[e],
                curve=TrainingCurve(
                    encoder=self.spec.encoder,
                    seed=seed,
                    loss=tuple(loss[e] for loss in losses),
                    accuracy=tuple(accuracy[e] for accuracy in accuracies),
                    chance=1 / len(self.units.layers),
                    seconds=time.monotonic() - started,
                ),
            )
            for e, seed in enumerate(self.seeds)
        ]

    def _epoch(self) -> list[float]:
        """One pass over the training rows; returns the mean loss of each encoder."""
        count = len(self.split.train)
        rows = torch.tensor(self.split.train)
        orders = [rows[torch.randperm(count, generator=generator)] for generator in self.generators]
        total = torch.zeros(len(self.seeds), device=self.device)
        steps = 0
        for first in range(0, count, self.spec.batch_rows):
            if count - first < 4 and steps:
                break  # a rest of three rows says nothing
            batch = [order[first : first + self.spec.batch_rows] for order in orders]
            loss = self._loss(self._encode(batch))
            self.optimiser.zero_grad(set_to_none=True)
            loss.sum().backward()
            self.optimiser.step()
            total += loss.detach()
            steps += 1
        return [float(value) for value in total / steps]

    def _encode(self, rows: Sequence[Tensor]) -> Float[Tensor, "e b n k"]:
        """Encodings of these rows of all units, by each encoder its own rows."""
        shared = len(self.inputs) == 1
        parts = [
            torch.stack([self.inputs[0 if shared else e][p][:, index].flatten(0, 1) for e, index in enumerate(rows)])
            for p in range(len(self.inputs[0]))
        ]
        z: Tensor = self.net(*(part.to(self.device) for part in parts))
        z = z.reshape(len(z), -1, len(rows[0]), z.shape[-1])
        return z if len(parts) == 1 else z[:, self.order]

    def _loss(self, z: Float[Tensor, "e b n k"]) -> Float[Tensor, " e"]:
        s = self.score(z)
        if self.spec.encoder in ("deepdot", "deepcka"):
            return positives_only(s, self.positives)
        loss = supcon if self.spec.loss == "supcon" else equation3
        return loss(s, self.positives, self.spec.temperature)

    def _facts(self, epoch: int, losses: list[list[float]], accuracies: list[list[float]]) -> dict[str, float]:
        """The epoch's numbers by seed, for live curves."""
        facts = {"epoch": float(epoch)}
        for e, seed in enumerate(self.seeds):
            facts[f"loss {seed}"] = losses[-1][e]
            if accuracies:
                facts[f"accuracy {seed}"] = accuracies[-1][e]
        return facts

    @torch.no_grad()
    def _accuracy(self) -> list[float]:
        """Layer-prediction accuracy on the held-out rows, over all ordered pairs of models."""
        rows = torch.tensor(self.split.held_out[: self.spec.batch_rows])
        s = self.score(self._encode([rows] * len(self.seeds)))
        return [layer_accuracy(item, len(self.units.models)) for item in s]


def layer_accuracy(s: Float[Tensor, "b b"], models: int) -> float:
    """Share of (model pair, layer) whose best match among the other model's layers is the same layer; ties lose.

    Args:
        s: similarities of units ordered layer by layer, model by model.
        models: number of models.
    """
    layers = len(s) // models
    grid = s.unflatten(1, (layers, models)).unflatten(0, (layers, models))  # [layer, model a, layer of b, model b]
    own = grid.diagonal(dim1=0, dim2=2)  # [model a, model b, layer]
    better = (grid >= own.permute(2, 0, 1).unsqueeze(2)).sum(2)  # layers of b at least as similar, itself included
    apart = ~torch.eye(models, dtype=torch.bool, device=s.device)
    wins = (better == 1) & apart
    return float(wins.sum()) / (layers * models * (models - 1))
