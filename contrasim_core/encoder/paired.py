"""Training on paired rows: which row of the other side is the translation, or the caption, of this one?

Positives are two forms of one sample in the same layer; negatives are all other rows of the batch, of both forms. One
encoder serves both sides and all layers, as in the paper (arXiv:2303.16992, sections 6.2 and 6.3). The loss treats both
sides alike, so an encoder of (a, b) is one of (b, a) too. Encoders of many pairs and seeds are trained as one batched
computation.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from contrasim_core.encoder import similarity
from contrasim_core.encoder.losses import equation3, supcon
from contrasim_core.encoder.net import StackedEncoder
from contrasim_core.encoder.relative import relative
from contrasim_core.encoder.training import Trained
from contrasim_core.errors import EncoderError
from contrasim_core.progress import Progress, share, silent
from contrasim_core.results import TrainingCurve
from contrasim_core.specs import EncoderSpec

MEMORY_BUDGET = 3 * 2**30
"""Bytes of one training step above which encoders are trained in smaller groups."""
HELD_OUT_ROWS = 256  # judged after each epoch, for the curve
Job = tuple[tuple[int, int], int]
"""The pair of sources an encoder is trained on, and its seed."""


@dataclass(frozen=True, eq=False)
class Sides:
    """Representations of the same samples from several sources: languages of a model, or models.

    Attributes:
        matrices: [sources][layers], each [n, d]; layer l of a source is paired with layer l of another.
        names: of the sources.
    """

    matrices: tuple[tuple[Float[Tensor, "n _d"], ...], ...]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        depths = {name: len(layers) for name, layers in zip(self.names, self.matrices, strict=True)}
        rows = {name: len(layers[0]) for name, layers in zip(self.names, self.matrices, strict=True) if layers}
        if len(self.names) < 2 or 0 in depths.values() or len(set(depths.values())) > 1:
            raise EncoderError(f"Paired training needs 2 or more sources with equally many layers, not {depths}.")
        if len(set(rows.values())) > 1:
            raise EncoderError(f"The sources have different numbers of rows: {rows}. Row i of all must be sample i.")

    @property
    def rows(self) -> int:
        """N."""
        return len(self.matrices[0][0])

    def width(self, source: int) -> int:
        """Columns of a source's layers; they must be equal.

        Raises:
            EncoderError: if they are not.
        """
        widths = {matrix.shape[1] for matrix in self.matrices[source]}
        if len(widths) > 1:
            raise EncoderError(
                f"The layers of {self.names[source]} have different widths ({', '.join(map(str, sorted(widths)))}). "
                "Choose layers of one width, or contrasim.relative."
            )
        return widths.pop()


def train_pairs(
    sides: Sides,
    spec: EncoderSpec,
    pairs: Sequence[tuple[int, int]],
    seeds: Sequence[int],
    *,
    device: torch.device | str = "cpu",
    progress: Progress = silent,
) -> list[Trained]:
    """Train an encoder for each pair of sources and each seed, all in one batched computation.

    Pairs of other widths, and more encoders than fit in memory, are trained in groups. An encoder depends on its own
    pair and seed alone.

    Args:
        sides: what to contrast.
        spec: architecture, loss and schedule; its own seed is not used.
        pairs: sources of each encoder.
        seeds: one encoder each, for every pair.
        device: where to train.
        progress: told after each epoch.

    Returns:
        Encoders in the order pair by pair, seed by seed.

    Raises:
        EncoderError: if there are too few rows, or fewer than anchors.
    """
    train, held_out = _split(sides.rows, spec)
    step_bytes = 24 * min(spec.batch_rows, len(train)) * (sum(spec.hidden) + 2 * spec.out_dim + 4 * spec.batch_rows)
    size = max(1, MEMORY_BUDGET // step_bytes)
    jobs = [(pair, seed) for pair in pairs for seed in seeds]
    groups = [part for same in _by_width(sides, spec, jobs) for part in _cut(same, size)]
    found: dict[Job, Trained] = {}
    started = time.monotonic()
    for number, group in enumerate(groups):
        step = share(progress, number, len(groups))
        trained = _Training(sides, spec, group, train, held_out, torch.device(device)).run(step, started)
        found.update(zip(group, trained, strict=True))
    return [found[job] for job in jobs]


def _split(rows: int, spec: EncoderSpec) -> tuple[Int[Tensor, " t"], Int[Tensor, " h"]]:
    """Row numbers to train on and to hold out; the same for all encoders."""
    held = int(rows * spec.held_out)
    if rows - held < 8:
        raise EncoderError(f"{rows - held} rows are too few to train on. Give at least 8 (hundreds are usual).")
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(0))
    return order[held:].sort().values, order[:held].sort().values


def _by_width(sides: Sides, spec: EncoderSpec, jobs: Sequence[Job]) -> list[list[Job]]:
    """Encoders with equal input widths together: only they can be stacked."""
    if spec.encoder == "contrasim.relative":
        return [list(jobs)]
    groups: dict[tuple[int, int], list[Job]] = {}
    for pair, seed in jobs:
        groups.setdefault((sides.width(pair[0]), sides.width(pair[1])), []).append((pair, seed))
    return list(groups.values())


def _cut(jobs: Sequence[Job], size: int) -> list[list[Job]]:
    return [list(jobs[first : first + size]) for first in range(0, len(jobs), size)]


class _Training:
    """The training of encoders whose inputs have the same widths."""

    def __init__(
        self,
        sides: Sides,
        spec: EncoderSpec,
        jobs: Sequence[Job],
        train: Int[Tensor, " t"],
        held_out: Int[Tensor, " h"],
        device: torch.device,
    ) -> None:
        self.sides, self.spec, self.jobs, self.device = sides, spec, list(jobs), device
        self.train, self.held_out = train, held_out[:HELD_OUT_ROWS]
        self.generators = [torch.Generator().manual_seed(1_000_003 * (seed + 1)) for _, seed in jobs]
        self.anchors = self._anchors()
        self.inputs: dict[tuple[int, int, tuple[int, ...]], Tensor] = {}
        self.widths = sorted({self._input(job, 0, side).shape[1] for job in range(len(jobs)) for side in (0, 1)})
        seeds = [seed for _, seed in jobs]
        self.net = StackedEncoder(self.widths, spec.hidden, spec.out_dim, seeds).to(device)
        self.optimiser = torch.optim.Adam(self.net.parameters(), lr=spec.learning_rate, weight_decay=spec.weight_decay)

    @property
    def depth(self) -> int:
        """Layers."""
        return len(self.sides.matrices[0])

    def _anchors(self) -> list[tuple[int, ...]]:
        """Training rows that are the anchors of each encoder; the same samples on both sides."""
        if self.spec.encoder != "contrasim.relative":
            return [()] * len(self.jobs)
        count = self.spec.anchors
        if count > len(self.train):
            raise EncoderError(
                f"{count} anchors are asked for, but there are {len(self.train)} training samples. "
                "Give more samples or fewer anchors."
            )
        orders = [torch.randperm(len(self.train), generator=generator) for generator in self.generators]
        return [tuple(self.train[order[:count]].tolist()) for order in orders]

    def _input(self, job: int, layer: int, side: int) -> Float[Tensor, "n k"]:
        """What an encoder reads of a layer of one of its sides."""
        source = self.jobs[job][0][side]
        wanted = (source, layer, self.anchors[job])
        if wanted not in self.inputs:
            matrix = self.sides.matrices[source][layer]
            rows = list(self.anchors[job])
            self.inputs[wanted] = relative(matrix, matrix[rows]) if rows else matrix.float()
        return self.inputs[wanted]

    def run(self, progress: Progress, started: float) -> list[Trained]:
        """Train, epoch by epoch."""
        losses: list[list[float]] = []
        accuracies: list[list[float]] = []
        for epoch in range(self.spec.epochs):
            losses.append(self._epoch())
            if len(self.held_out) >= 4:
                accuracies.append(self._accuracy())
            shown = f", held-out retrieval {sum(accuracies[-1]) / len(self.jobs):.0%}" if accuracies else ""
            message = (
                f"Training {self.spec.encoder} ({len(self.jobs)} encoders): "
                f"epoch {epoch + 1} of {self.spec.epochs}{shown}"
            )
            progress(epoch + 1, self.spec.epochs, message, epoch=float(epoch + 1))
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
                    chance=1 / max(1, len(self.held_out)),
                    seconds=time.monotonic() - started,
                ),
            )
            for e, (_, seed) in enumerate(self.jobs)
        ]

    def _epoch(self) -> list[float]:
        """One pass over the training rows, layer after layer in random order; returns mean losses."""
        count = len(self.train)
        orders = [self.train[torch.randperm(count, generator=generator)] for generator in self.generators]
        total = torch.zeros(len(self.jobs), device=self.device)
        steps = 0
        for first in range(0, count, self.spec.batch_rows):
            if count - first < 4 and steps:
                break  # a rest of three rows says nothing
            rows = [order[first : first + self.spec.batch_rows] for order in orders]
            layers = [torch.randperm(self.depth, generator=generator).tolist() for generator in self.generators]
            for turn in range(self.depth):
                loss = self._loss(self._encode(rows, [order[turn] for order in layers]))
                self.optimiser.zero_grad(set_to_none=True)
                loss.sum().backward()
                self.optimiser.step()
                total += loss.detach()
                steps += 1
        return [float(value) for value in total / steps]

    def _encode(self, rows: Sequence[Tensor], layers: Sequence[int]) -> Float[Tensor, "e twice_b k"]:
        """Encodings of these rows of both sides, one side after the other, by each encoder its own rows and layer."""
        sides = [
            torch.stack([self._input(e, layers[e], side)[rows[e]] for e in range(len(self.jobs))]).to(self.device)
            for side in (0, 1)
        ]
        if len(self.widths) == 1:
            z: Tensor = self.net(torch.cat(sides, dim=1))
            return z
        swapped = sides[0].shape[2] > sides[1].shape[2]  # parts go in by increasing width
        z = self.net(*(reversed(sides) if swapped else sides))
        first, second = z.chunk(2, dim=1)
        return torch.cat([second, first], dim=1) if swapped else z

    def _loss(self, z: Float[Tensor, "e twice_b k"]) -> Float[Tensor, " e"]:
        kind = self.spec.encoder
        if kind in ("deepdot", "deepcka"):
            views = torch.stack(z.chunk(2, dim=1), dim=1)
            return -similarity.SCORES[kind](views)[:, 0, 1]
        s = z @ z.transpose(1, 2)
        if kind == "contrasim.norm":
            s = 1 - (2 - 2 * s).clamp(min=1e-6).sqrt()
        count = z.shape[1] // 2
        positives = torch.zeros(2 * count, 2 * count, dtype=torch.bool, device=z.device)
        here = torch.arange(count, device=z.device)
        positives[here, here + count] = positives[here + count, here] = True
        loss = supcon if self.spec.loss == "supcon" else equation3
        return loss(s, positives, self.spec.temperature)

    @torch.no_grad()
    def _accuracy(self) -> list[float]:
        """Share of held-out rows, over all layers, whose nearest row of the other side is their own; ties lose."""
        wins = torch.zeros(len(self.jobs))
        for layer in range(self.depth):
            z = self._encode([self.held_out] * len(self.jobs), [layer] * len(self.jobs))
            a, b = z.chunk(2, dim=1)
            s = a @ b.transpose(1, 2)
            own = s.diagonal(dim1=1, dim2=2)
            wins += ((s >= own[:, :, None]).sum(2) == 1).float().mean(1).cpu()
        return [float(value) / self.depth for value in wins]
