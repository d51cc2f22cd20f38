"""The two versions of ContraSim's loss, and the loss of its ablations.

All take similarities s [e, b, b] of b examples under e encoders and a mask of the positive pairs; all return one value
per encoder. The published code and equation 3 of the paper differ, so both are implemented, under separate names.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from contrasim_core.encoder.spec import LossKind


def supcon(s: Float[Tensor, "e b b"], positives: Bool[Tensor, "b b"], temperature: float) -> Float[Tensor, " e"]:
    """Loss of the published code (the L_out of supervised contrastive learning, arXiv:2004.11362, eq. 2).

    Mean over examples i of -1/|P(i)| sum_{p in P(i)} log( exp(s_ip / t) / sum_{a != i} exp(s_ia / t) ): the
    denominator runs over positives and negatives. With one positive each this is NT-Xent.
    """
    own = torch.eye(s.shape[1], dtype=torch.bool, device=s.device)
    logits = (s / temperature).masked_fill(own, float("-inf"))
    log_share = logits - logits.logsumexp(2, keepdim=True)
    return -(log_share.masked_fill(~positives, 0.0).sum(2) / positives.sum(1)).mean(1)


def equation3(s: Float[Tensor, "e b b"], positives: Bool[Tensor, "b b"], temperature: float) -> Float[Tensor, " e"]:
    """Equation 3 of arXiv:2303.16992 to the letter.

    Sum over examples i of -1/|P(i)| log( sum_{p in P(i)} exp(s_ip / t) / sum_{n in N(i)} exp(s_in / t) ): log of the
    sum, negatives alone in the denominator. It has no lower bound at 0.
    """
    own = torch.eye(s.shape[1], dtype=torch.bool, device=s.device)
    logits = s / temperature
    above = logits.masked_fill(~positives, float("-inf")).logsumexp(2)
    below = logits.masked_fill(positives | own, float("-inf")).logsumexp(2)
    return -((above - below) / positives.sum(1)).sum(1)


def positives_only(s: Float[Tensor, "e b b"], positives: Bool[Tensor, "b b"]) -> Float[Tensor, " e"]:
    """Minus the mean similarity of the positive pairs: equation 4 of arXiv:2303.16992."""
    return -(s * positives).sum((1, 2)) / positives.sum()


Alike = Literal["dot", "norm"]
BLOCK_FLOATS = 2**18
"""Similarities processed together on a CPU: they and the values derived from them fit in its cache."""


def paired_contrast(
    z: Float[Tensor, "e m k"], loss: LossKind, temperature: float, alike: Alike = "dot"
) -> Float[Tensor, " e"]:
    """Compute `supcon` or `equation3` of paired unit rows: row i belongs to row i + m/2, all others are negatives.

    The values equal those functions for s = z z^T (or 1 - |z_i - z_j|). Gradients are written out, so that the
    similarities [e, m, m] are never all in memory and are computed only once.

    Args:
        z: encodings of both sides, one after the other.
        loss: which of the two.
        temperature: temperature of the loss.
        alike: the similarity s of two rows; for `norm`, |u - v| is sqrt(2 - 2 u.v).
    """
    found: Tensor = _PairedContrast.apply(z, loss, temperature, alike)  # type: ignore[no-untyped-call]
    return found


class _PairedContrast(torch.autograd.Function):
    """With p_ij = exp(s_ij / t) / sum_a exp(s_ia / t), the gradient of the mean of -log p_i,i' by c_ij = z_i . z_j is
    (p_ij - [j = i']) / (t m) times ds/dc; equation 3 leaves i' out of the sum and takes the sum over i.
    """  # noqa: D205

    @staticmethod
    def forward(ctx: Any, z: Tensor, loss: LossKind, temperature: float, alike: Alike) -> Tensor:
        encoders, m, _ = z.shape
        budget = BLOCK_FLOATS if z.device.type == "cpu" else 2**10 * BLOCK_FLOATS
        rows = max(1, min(m, budget // m))
        group = max(1, budget // (rows * m))
        weight = 1 / m if loss == "supcon" else 1.0
        values = torch.empty(encoders, dtype=z.dtype, device=z.device)
        grad = torch.zeros_like(z)
        for first in range(0, encoders, group):
            part = slice(first, first + group)
            partner = z[part].roll(m // 2, 1)
            own = (z[part] * partner).sum(2)
            similar, slope = _similar(own, alike)
            total = -similar.sum(1) / temperature
            for row in range(0, m, rows):
                total += _block(z[part], grad[part], slice(row, row + rows), loss, temperature, alike)
            pull = partner if slope is None else partner * slope[:, :, None]
            grad[part].sub_(pull, alpha=2).mul_(weight / temperature)
            values[part] = total * weight
        ctx.save_for_backward(grad)
        return values

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        (grad,) = ctx.saved_tensors
        return grad * grads[0][:, None, None], None, None, None


def _similar(cosines: Tensor, alike: Alike) -> tuple[Tensor, Tensor | None]:
    """Return similarities, and their derivative by the cosines if that is not 1; overwrites the cosines."""
    if alike == "dot":
        return cosines, None
    squared = cosines.mul_(-2).add_(2)
    near = squared < 1e-6  # where the derivative is infinite
    distance = squared.clamp_(min=1e-6).sqrt_()
    return 1 - distance, distance.reciprocal().masked_fill_(near, 0.0)


def _block(
    z: Tensor, grad: Tensor, rows: slice, loss: LossKind, temperature: float, alike: Alike
) -> Float[Tensor, " e"]:
    """Sum over these rows of log sum_a exp(s_ia / t), and its gradient by both ends of s added to `grad`, times t."""
    m = z.shape[1]
    mine = z[:, rows]
    s, slope = _similar(mine @ z.transpose(1, 2), alike)
    here = torch.arange(s.shape[1], device=z.device)
    at = here + rows.start
    s[:, here, at] = float("-inf")
    if loss == "eq3":
        s[:, here, (at + m // 2) % m] = float("-inf")
    largest = s.amax(2, keepdim=True)
    p = s.sub_(largest).mul_(1 / temperature).exp_()
    sums = p.sum(2, keepdim=True)
    if slope is not None:
        p.mul_(slope)
    grad[:, rows] += (p @ z).div_(sums)
    grad.baddbmm_(p.transpose(1, 2), mine / sums)
    return (sums.log() + largest / temperature).sum((1, 2))
