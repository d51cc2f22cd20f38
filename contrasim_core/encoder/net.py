"""Several encoders as one network: stacked weights, so that seeds are trained by one batched computation."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


class StackedEncoder(nn.Module):
    """E multilayer perceptrons side by side: in -> hidden -> ... -> out, ReLU between, rows of the output at length 1.

    Weights have a leading axis of length E. Encoder e starts as `torch.nn.Linear` layers do under seed `seeds[e]`,
    whatever the other seeds are, so that it does not matter which encoders are trained together.
    """

    def __init__(self, in_dim: int, hidden: Sequence[int], out_dim: int, seeds: Sequence[int]) -> None:
        super().__init__()
        widths = [in_dim, *hidden, out_dim]
        self.seeds = tuple(seeds)
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        weights, biases = [], []
        for inputs, outputs in itertools.pairwise(widths):
            bound = 1 / math.sqrt(inputs)
            weights.append(nn.Parameter(torch.stack([_uniform((inputs, outputs), bound, g) for g in generators])))
            biases.append(nn.Parameter(torch.stack([_uniform((1, outputs), bound, g) for g in generators])))
        self.weights = nn.ParameterList(weights)
        self.biases = nn.ParameterList(biases)

    def forward(self, x: Float[Tensor, "e n d"]) -> Float[Tensor, "e n k"]:
        """Encode the rows of x[e] with encoder e."""
        hidden = x
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            hidden = torch.baddbmm(bias, hidden, weight)
            if layer < len(self.weights) - 1:
                hidden = torch.relu_(hidden)
        return nn.functional.normalize(hidden, dim=2)

    def single(self, index: int) -> dict[str, Tensor]:
        """Weights of one encoder: `weight.0` [in, out], `bias.0` [1, out], ..."""
        named = {f"weight.{i}": weight[index].detach().clone() for i, weight in enumerate(self.weights)}
        return named | {f"bias.{i}": bias[index].detach().clone() for i, bias in enumerate(self.biases)}


def _uniform(shape: tuple[int, int], bound: float, generator: torch.Generator) -> Tensor:
    return torch.empty(shape).uniform_(-bound, bound, generator=generator)


def encode(weights: dict[str, Tensor], x: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
    """Encode rows with the weights of one encoder, as `StackedEncoder.single` gives them."""
    hidden = x
    layers = len(weights) // 2
    for layer in range(layers):
        hidden = torch.addmm(weights[f"bias.{layer}"], hidden, weights[f"weight.{layer}"])
        if layer < layers - 1:
            hidden = torch.relu(hidden)
    return nn.functional.normalize(hidden, dim=1)
