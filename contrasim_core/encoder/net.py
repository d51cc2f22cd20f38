"""Several encoders as one network: their weights are stacked, so that seeds are trained in one batched computation."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


class StackedEncoder(nn.Module):
    """E parallel multilayer perceptrons: in -> hidden -> ... -> out, with ReLU between and unit output rows.

    Each input width has a first layer (head) of its own; the rest is shared. Weights have a leading axis of length E.
    Encoder e is initialised like `torch.nn.Linear` layers under seed `seeds[e]`, whatever the other seeds are, so it
    does not matter which encoders are trained together.
    """

    def __init__(self, in_dims: int | Sequence[int], hidden: Sequence[int], out_dim: int, seeds: Sequence[int]) -> None:
        super().__init__()
        self.in_dims = (in_dims,) if isinstance(in_dims, int) else tuple(in_dims)
        self.seeds = tuple(seeds)
        first, *rest = [*hidden, out_dim]
        shapes = [(width, first) for width in self.in_dims] + list(itertools.pairwise([first, *rest]))
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        weights, biases = [], []
        for inputs, outputs in shapes:
            bound = 1 / math.sqrt(inputs)
            weights.append(nn.Parameter(torch.stack([_uniform((inputs, outputs), bound, g) for g in generators])))
            biases.append(nn.Parameter(torch.stack([_uniform((1, outputs), bound, g) for g in generators])))
        self.weights = nn.ParameterList(weights)
        self.biases = nn.ParameterList(biases)

    def forward(self, *parts: Float[Tensor, "e _n _d"]) -> Float[Tensor, "e m k"]:
        """Encode the rows of part[e] with encoder e; one part per width of `in_dims`, results in that order."""
        heads = len(self.in_dims)
        layers = list(zip(self.weights, self.biases, strict=True))
        entered = [torch.baddbmm(bias, x, weight) for x, (weight, bias) in zip(parts, layers[:heads], strict=True)]
        hidden = entered[0] if heads == 1 else torch.cat(entered, dim=1)
        for weight, bias in layers[heads:]:
            hidden = torch.baddbmm(bias, torch.relu_(hidden), weight)
        return nn.functional.normalize(hidden, dim=2)

    def single(self, index: int) -> dict[str, Tensor]:
        """Return the weights of one encoder: `weight.0` [in, out], `bias.0` [1, out], `weight.1`, ...

        With several widths, the first layer is `weight.0.<width>` and `bias.0.<width>` for each.
        """
        heads = len(self.in_dims)
        names = ["0"] if heads == 1 else [f"0.{width}" for width in self.in_dims]
        names += [str(1 + i) for i in range(len(self.weights) - heads)]
        stacks = {"weight": self.weights, "bias": self.biases}
        return {
            f"{kind}.{name}": value[index].detach().clone()
            for kind, values in stacks.items()
            for name, value in zip(names, values, strict=True)
        }


def _uniform(shape: tuple[int, int], bound: float, generator: torch.Generator) -> Tensor:
    return torch.empty(shape).uniform_(-bound, bound, generator=generator)


def widths(weights: dict[str, Tensor]) -> tuple[int, ...]:
    """Return the input widths that an encoder with these weights accepts."""
    return tuple(sorted(len(value) for name, value in weights.items() if re.match(r"weight\.0(\.|$)", name)))


def encode(weights: dict[str, Tensor], x: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
    """Encode rows with one encoder's weights, as `StackedEncoder.single` returns them; d is one of its `widths`."""
    head = "0" if "weight.0" in weights else f"0.{x.shape[1]}"
    hidden = torch.addmm(weights[f"bias.{head}"], x, weights[f"weight.{head}"])
    for layer in itertools.count(1):
        if f"weight.{layer}" not in weights:
            return nn.functional.normalize(hidden, dim=1)
        hidden = torch.addmm(weights[f"bias.{layer}"], torch.relu(hidden), weights[f"weight.{layer}"])
    raise AssertionError("unreachable")
