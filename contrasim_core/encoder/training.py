"""Training on whole layers: which layer is this, in any model?

The contrasted unit is a batch of rows of one layer of one model, as in the published code for layer prediction.
Positives of a unit are the same layer in the other models; negatives are all other layers of all models, its own
included. Two units are compared by the measure itself (equation 2 for ContraSim).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from contrasim_core.encoder import loop
from contrasim_core.encoder.loop import Loop, Split, Trained
from contrasim_core.encoder.losses import equation3, positives_only, supcon
from contrasim_core.encoder.measures import training_score
from contrasim_core.encoder.relative import relative
from contrasim_core.encoder.spec import EncoderSpec
from contrasim_core.errors import EncoderError
from contrasim_core.progress import Progress, share, silent


@dataclass(frozen=True, eq=False)
class Units:
    """The representations to contrast: every layer of every model, on the same rows.

    Attributes:
        matrices: [layers][models], each [n, d].
        models: names of the models.
        layers: labels of the layers.
    """

    matrices: tuple[tuple[Float[Tensor, "n _d"], ...], ...]
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
        """Return which pairs of units are the same layer of different models."""
        count = len(self.models)
        layer = torch.arange(len(self.layers)).repeat_interleave(count)
        return (layer[:, None] == layer[None, :]) & ~torch.eye(len(layer), dtype=torch.bool)


def train(
    units: Units,
    spec: EncoderSpec,
    seeds: Sequence[int],
    *,
    device: torch.device | str = "cpu",
    progress: Progress = silent,
) -> list[Trained]:
    """Train one encoder per seed in one batched computation (in groups if memory is short).

    Args:
        units: what to contrast.
        spec: architecture, loss and schedule; its own seed is not used.
        seeds: one encoder per seed. An encoder depends only on its own seed.
        device: where to train.
        progress: called after each epoch.

    Raises:
        EncoderError: if there are too few rows.
    """
    split = Split.of(units.rows, spec)
    step_floats = len(units.flat) * min(spec.batch_rows, len(split.train)) * (sum(spec.hidden) + 2 * spec.out_dim) * 3
    size = max(1, min(len(seeds), loop.MEMORY_BUDGET // (4 * step_floats)))
    groups = [list(seeds[first : first + size]) for first in range(0, len(seeds), size)]
    found: list[Trained] = []
    started = time.monotonic()
    for number, group in enumerate(groups):
        step = share(progress, number, len(groups))
        found += LayerTraining(units, spec, group, split, torch.device(device)).run(step, started)
    return found


class LayerTraining(Loop):
    """The training of a group of seeds."""

    judged = "accuracy"

    def __init__(
        self, units: Units, spec: EncoderSpec, seeds: Sequence[int], split: Split, device: torch.device
    ) -> None:
        super().__init__(spec, seeds, split, 1 / len(units.layers), device)
        self.units = units
        self.score = training_score(spec.encoder)
        self.positives = units.positives.to(device)
        self.inputs, self.order = self._inputs()
        self.build([part.shape[2] for part in self.inputs[0]])

    def _inputs(self) -> tuple[list[list[Float[Tensor, "_b n _d"]]], Int[Tensor, " b"]]:
        """Return the input of encoder e, grouped by width, and the position of each unit in that order.

        The list is shared unless each encoder has its own anchors.
        """
        matrices = self.units.flat
        if self.spec.is_relative:
            read = [torch.stack([relative(matrix, matrix[list(rows)]) for matrix in matrices]) for rows in self.anchors]
            return [[item] for item in read], torch.arange(len(matrices))
        dims = torch.tensor([matrix.shape[1] for matrix in matrices])
        places = [torch.nonzero(dims == width).flatten().tolist() for width in dims.unique().tolist()]
        parts = [torch.stack([matrices[place].float() for place in part]) for part in places]
        return [parts], torch.tensor([place for part in places for place in part]).argsort()

    def losses(self, rows: Sequence[Int[Tensor, " b"]]) -> Iterator[Float[Tensor, " e"]]:
        """Yield the losses of one batch of all layers of all models."""
        yield self._loss(self._encode(rows))

    def _encode(self, rows: Sequence[Tensor]) -> Float[Tensor, "e b n k"]:
        """Encode each encoder's rows of all units."""
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

    def accuracies(self) -> list[float]:
        """Return the layer-prediction accuracies on the held-out rows, over all ordered pairs of models."""
        rows = self.split.held_out[: self.spec.batch_rows]
        s = self.score(self._encode([rows] * len(self.seeds)))
        return [layer_accuracy(item, len(self.units.models)) for item in s]


def layer_accuracy(s: Float[Tensor, "b b"], models: int) -> float:
    """Return the share of (model pair, layer) whose best match in the other model is the same layer; ties are misses.

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
