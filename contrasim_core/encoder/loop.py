"""The loop that trains several encoders as one batched computation. Its two subclasses say what is contrasted.

An encoder depends only on its own seed and data, not on the encoders that are trained with it.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from contrasim_core.encoder.net import StackedEncoder
from contrasim_core.encoder.result import TrainingCurve
from contrasim_core.encoder.spec import EncoderSpec
from contrasim_core.errors import EncoderError
from contrasim_core.progress import Progress

MEMORY_BUDGET = 3 * 2**30
"""Bytes of one training step above which encoders are trained in smaller groups."""
FEWEST_ROWS = 4
"""Three rows are too few for a last batch, and too few to hold out."""


@dataclass(frozen=True, eq=False)
class Trained:
    """One trained encoder.

    Attributes:
        spec: its options, with its own seed.
        weights: see `net.encode`.
        anchors: row numbers of the training samples that are anchors; empty unless the input is relative.
        curve: loss and held-out accuracy by epoch.
    """

    spec: EncoderSpec
    weights: dict[str, Tensor]
    anchors: tuple[int, ...]
    curve: TrainingCurve


@dataclass(frozen=True, eq=False)
class Split:
    """Sorted row numbers to train on and to hold out; the same for all encoders."""

    train: Int[Tensor, " t"]
    held_out: Int[Tensor, " h"]

    @classmethod
    def of(cls, rows: int, spec: EncoderSpec) -> Split:
        """Hold out the share of rows that the spec requests.

        Raises:
            EncoderError: if too few rows remain to train on.
        """
        held = int(rows * spec.held_out)
        if rows - held < 8:
            raise EncoderError(f"{rows - held} rows are too few to train on. Give at least 8 (hundreds are usual).")
        order = torch.randperm(rows, generator=torch.Generator().manual_seed(0))
        return cls(order[held:].sort().values, order[:held].sort().values)


class Loop(ABC):
    """Epochs of batches of several encoders, and their curves.

    Attributes:
        judged: name of the accuracy on held-out rows.
    """

    judged: str

    def __init__(
        self, spec: EncoderSpec, seeds: Sequence[int], split: Split, chance: float, device: torch.device
    ) -> None:
        self.spec, self.seeds, self.split, self.chance, self.device = spec, list(seeds), split, chance, device
        self.generators = [torch.Generator().manual_seed(1_000_003 * (seed + 1)) for seed in seeds]
        self.anchors = [self._pick_anchors(generator) for generator in self.generators]

    def _pick_anchors(self, generator: torch.Generator) -> tuple[int, ...]:
        """Choose the training rows that are the anchors of an encoder."""
        if not self.spec.is_relative:
            return ()
        rows = self.split.train
        if self.spec.anchors > len(rows):
            raise EncoderError(
                f"EncoderSpec.anchors is {self.spec.anchors}, but there are only {len(rows)} training samples. "
                "Give more samples or fewer anchors."
            )
        return tuple(rows[torch.randperm(len(rows), generator=generator)[: self.spec.anchors]].tolist())

    def build(self, in_dims: Sequence[int]) -> None:
        """Make the encoders, for inputs of these widths."""
        self.net = StackedEncoder(in_dims, self.spec.hidden, self.spec.out_dim, self.seeds).to(self.device)
        self.optimiser = torch.optim.Adam(
            self.net.parameters(),
            lr=self.spec.learning_rate,
            weight_decay=self.spec.weight_decay,
            fused=self.device.type in ("cpu", "cuda"),  # otherwise updates take more than half of a small step
        )

    @abstractmethod
    def losses(self, rows: Sequence[Int[Tensor, " b"]]) -> Iterator[Float[Tensor, " e"]]:
        """Yield the losses of each encoder on its own rows; a step is taken after each."""

    @abstractmethod
    def accuracies(self) -> list[float]:
        """Return the accuracy of each encoder on the held-out rows."""

    @property
    def title(self) -> str:
        """What is being trained, for progress messages."""
        return f"Training {self.spec.encoder}"

    def run(self, progress: Progress, started: float) -> list[Trained]:
        """Train, epoch by epoch."""
        losses: list[list[float]] = []
        accuracies: list[list[float]] = []
        for epoch in range(1, self.spec.epochs + 1):
            losses.append(self.epoch())
            if len(self.split.held_out) >= FEWEST_ROWS:
                with torch.no_grad():
                    accuracies.append(self.accuracies())
            shown = f", held-out {self.judged} {sum(accuracies[-1]) / len(self.seeds):.0%}" if accuracies else ""
            message = f"{self.title}: epoch {epoch} of {self.spec.epochs}{shown}"
            progress(epoch, self.spec.epochs, message, **self.facts(epoch, losses, accuracies))
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
                    chance=self.chance,
                    seconds=time.monotonic() - started,
                ),
            )
            for e, seed in enumerate(self.seeds)
        ]

    def epoch(self) -> list[float]:
        """Make one pass over the training rows, in a separate order for each encoder; return mean losses."""
        rows = self.split.train
        orders = [rows[torch.randperm(len(rows), generator=generator)] for generator in self.generators]
        total = torch.zeros(len(self.seeds), device=self.device)
        steps = 0
        for first in range(0, len(rows), self.spec.batch_rows):
            if len(rows) - first < FEWEST_ROWS and steps:
                break
            for loss in self.losses([order[first : first + self.spec.batch_rows] for order in orders]):
                self.optimiser.zero_grad(set_to_none=True)
                loss.sum().backward()
                self.optimiser.step()
                total += loss.detach()
                steps += 1
        return [float(value) for value in total / steps]

    def facts(self, epoch: int, losses: list[list[float]], accuracies: list[list[float]]) -> dict[str, float]:
        """Return the epoch's numbers, for live curves."""
        facts = {"epoch": float(epoch)}
        for e, name in enumerate(self.names):
            facts[f"loss {name}"] = losses[-1][e]
            if accuracies:
                facts[f"accuracy {name}"] = accuracies[-1][e]
        return facts

    @property
    def names(self) -> list[str]:
        """Return names of the encoders, for live curves."""
        return [str(seed) for seed in self.seeds]
