"""Relative input: a row described by its similarities to anchor samples in the same model (arXiv:2209.15430, eq. 1).

A network's basis is an accident of its initialisation. Cosine similarities to the same k anchor samples depend neither
on that basis nor on the width of the layer, so one encoder can read layers of models that it has never seen.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from contrasim_core.errors import EncoderError


def relative(x: Float[Tensor, "n d"], anchors: Float[Tensor, "k _d"]) -> Float[Tensor, "n k"]:
    """Return the cosines between the rows of x and the anchors, both centred by the anchors' mean, in float32.

    Invariant to rotations, reflections, shifts and isotropic scaling of a layer.

    Args:
        x: representations of any samples.
        anchors: representations of the anchor samples in the same layer of the same model.

    Raises:
        EncoderError: if the widths differ, which means that the two come from different layers.
    """
    if x.shape[1] != anchors.shape[1]:
        raise EncoderError(
            f"Rows of width {x.shape[1]} cannot be compared with anchors of width {anchors.shape[1]}. "
            "Give the anchor samples' representations in the same layer of the same model."
        )
    mean = anchors.double().mean(0, keepdim=True)
    rows = torch.nn.functional.normalize(x.double() - mean, dim=1)
    return (rows @ torch.nn.functional.normalize(anchors.double() - mean, dim=1).T).float()
