"""The two readings of ContraSim's loss, and the loss of its ablations.

All take similarities s [e, b, b] of b examples under e encoders and a mask that says which pairs are positives; all
return one value per encoder. The published code and equation 3 of the paper differ, so both are here by name.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def supcon(s: Float[Tensor, "e b b"], positives: Bool[Tensor, "b b"], temperature: float) -> Float[Tensor, " e"]:
    """What the published code optimises (the L_out of supervised contrastive learning, arXiv:2004.11362, eq. 2).

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
