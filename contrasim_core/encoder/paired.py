"""Training on paired rows: which row of the other side is the translation, or the caption, of this one?

Positives are two forms of one sample in the same layer; negatives are all other rows of the batch, of both forms. One
encoder serves both sides and all layers, as in the paper (arXiv:2303.16992, sections 6.2 and 6.3). The loss treats both
sides alike, so an encoder of (a, b) is also one of (b, a). Encoders of many pairs and seeds are trained as one batched
computation.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from contrasim_core.encoder import loop
from contrasim_core.encoder.loop import Loop, Split, Trained
from contrasim_core.encoder.losses import paired_contrast
from contrasim_core.encoder.measures import training_score
from contrasim_core.encoder.relative import relative
from contrasim_core.encoder.spec import EncoderSpec
from contrasim_core.errors import EncoderError
from contrasim_core.progress import Progress, share, silent

HELD_OUT_ROWS = 256  # evaluated after each epoch, for the curve
Job = tuple[tuple[int, int], int]
"""The pair of sources an encoder is trained on, and its seed."""


@dataclass(frozen=True, eq=False)
class Sides:
    """Representations of the same samples from several sources: languages of a model, or models.

    Attributes:
        matrices: [sources][layers], each [n, d]; layer l of a source is paired with layer l of another.
        names: names of the sources.
    """

    matrices: tuple[tuple[Float[Tensor, "n _d"], ...], ...]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        depths = {name: len(layers) for name, layers in zip(self.names, self.matrices, strict=True)}
        rows = {name: len(layers[0]) for name, layers in zip(self.names, self.matrices, strict=True) if layers}
        if len(self.names) < 2 or 0 in depths.values() or len(set(depths.values())) > 1:
            raise EncoderError(f"Paired training needs 2 or more sources with equally many layers. It got {depths}.")
        if len(set(rows.values())) > 1:
            raise EncoderError(f"The sources have different numbers of rows: {rows}. Row i of each must be sample i.")

    @property
    def rows(self) -> int:
        """N."""
        return len(self.matrices[0][0])

    def width(self, source: int) -> int:
        """Return the common width of a source's layers.

        Raises:
            EncoderError: if the widths differ.
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

    Pairs of different widths, and more encoders than fit in memory, are trained in groups. An encoder depends only on
    its own pair and seed.

    Args:
        sides: what to contrast.
        spec: architecture, loss and schedule; its own seed is not used.
        pairs: the two sources of each encoder.
        seeds: one encoder per seed and pair.
        device: where to train.
        progress: called after each epoch.

    Returns:
        Encoders ordered by pair, then by seed.

    Raises:
        EncoderError: if there are too few rows, or fewer rows than anchors.
    """
    split = Split.of(sides.rows, spec)
    step_bytes = 24 * min(spec.batch_rows, len(split.train)) * (sum(spec.hidden) + 2 * spec.out_dim)
    size = max(1, loop.MEMORY_BUDGET // step_bytes)
    jobs = [(pair, seed) for pair in pairs for seed in seeds]
    groups = [part for same in _by_width(sides, spec, jobs) for part in _cut(same, size)]
    found: dict[Job, Trained] = {}
    started = time.monotonic()
    for number, group in enumerate(groups):
        step = share(progress, number, len(groups))
        trained = PairTraining(sides, spec, group, split, torch.device(device)).run(step, started)
        found.update(zip(group, trained, strict=True))
    return [found[job] for job in jobs]


def _by_width(sides: Sides, spec: EncoderSpec, jobs: Sequence[Job]) -> list[list[Job]]:
    """Group encoders by input width, because only equal widths can be stacked."""
    if spec.is_relative:
        return [list(jobs)]
    groups: dict[tuple[int, int], list[Job]] = {}
    for pair, seed in jobs:
        groups.setdefault((sides.width(pair[0]), sides.width(pair[1])), []).append((pair, seed))
    return list(groups.values())


def _cut(jobs: Sequence[Job], size: int) -> list[list[Job]]:
    return [list(jobs[first : first + size]) for first in range(0, len(jobs), size)]


class PairTraining(Loop):
    """The training of encoders whose inputs have the same widths."""

    judged = "retrieval"

    def __init__(
        self, sides: Sides, spec: EncoderSpec, jobs: Sequence[Job], split: Split, device: torch.device
    ) -> None:
        self.judged_rows = split.held_out[:HELD_OUT_ROWS]
        super().__init__(spec, [seed for _, seed in jobs], split, 1 / max(1, len(self.judged_rows)), device)
        self.sides, self.jobs = sides, list(jobs)
        self.inputs: dict[tuple[int, int, tuple[int, ...]], Tensor] = {}
        self.widths = sorted({self._input(job, 0, side).shape[1] for job in range(len(jobs)) for side in (0, 1)})
        self._batch = torch.empty(0)
        self.build(self.widths)

    @property
    def title(self) -> str:
        """What is being trained, for progress messages."""
        return f"{super().title} ({len(self.jobs)} encoders)"

    @property
    def names(self) -> list[str]:
        """Return names of the encoders: sources and seed."""
        return [f"{self.sides.names[a]}-{self.sides.names[b]} {seed}" for (a, b), seed in self.jobs]

    @property
    def depth(self) -> int:
        """Layers."""
        return len(self.sides.matrices[0])

    def _input(self, job: int, layer: int, side: int) -> Float[Tensor, "n k"]:
        """Return the input of an encoder from a layer of one of its sides."""
        source = self.jobs[job][0][side]
        wanted = (source, layer, self.anchors[job])
        if wanted not in self.inputs:
            matrix = self.sides.matrices[source][layer]
            rows = list(self.anchors[job])
            self.inputs[wanted] = relative(matrix, matrix[rows]) if rows else matrix.float()
        return self.inputs[wanted]

    def losses(self, rows: Sequence[Int[Tensor, " b"]]) -> Iterator[Float[Tensor, " e"]]:
        """Yield the losses of the batch in one layer after another, in random order."""
        layers = [torch.randperm(self.depth, generator=generator).tolist() for generator in self.generators]
        for turn in range(self.depth):
            yield self._loss(self._encode(rows, [order[turn] for order in layers]))

    def _encode(self, rows: Sequence[Int[Tensor, " b"]], layers: Sequence[int]) -> Float[Tensor, "e twice_b k"]:
        """Encode each encoder's rows and layer on both sides, one side after the other."""
        count = len(rows[0])
        taken = [[(self._input(e, layers[e], side), rows[e]) for side in (0, 1)] for e in range(len(self.jobs))]
        if len(self.widths) == 1:
            shape = (len(self.jobs), 2 * count, self.widths[0])
            if self._batch.shape != shape:  # newly allocated memory is slow to fill
                self._batch = torch.empty(shape)
            x = self._batch
            for e, both in enumerate(taken):
                for side, (matrix, index) in enumerate(both):
                    torch.index_select(matrix, 0, index, out=x[e, side * count : (side + 1) * count])
            z: Tensor = self.net(x.to(self.device))
            return z
        first, second = (
            torch.stack([m[index] for m, index in side]).to(self.device) for side in zip(*taken, strict=True)
        )
        if first.shape[2] < second.shape[2]:  # parts are ordered by width
            z = self.net(first, second)
            return z
        z = self.net(second, first)
        return torch.cat([z[:, count:], z[:, :count]], dim=1)

    def _loss(self, z: Float[Tensor, "e twice_b k"]) -> Float[Tensor, " e"]:
        kind = self.spec.encoder
        if kind in ("deepdot", "deepcka"):
            views = torch.stack(z.chunk(2, dim=1), dim=1)
            return -training_score(kind)(views)[:, 0, 1]
        return paired_contrast(z, self.spec.loss, self.spec.temperature, "norm" if kind == "contrasim.norm" else "dot")

    def accuracies(self) -> list[float]:
        """Return the share of held-out rows, over all layers, nearest to their counterpart; ties are misses."""
        wins = torch.zeros(len(self.jobs))
        for layer in range(self.depth):
            z = self._encode([self.judged_rows] * len(self.jobs), [layer] * len(self.jobs))
            a, b = z.chunk(2, dim=1)
            s = a @ b.transpose(1, 2)
            own = s.diagonal(dim1=1, dim2=2)
            wins += ((s >= own[:, :, None]).sum(2) == 1).float().mean(1).cpu()
        return [float(value) / self.depth for value in wins]
