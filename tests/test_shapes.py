"""Shapes in signatures are enforced while tests run: see `conftest`."""

import pytest
import torch
from jaxtyping import TypeCheckError

from contrasim_core.encoder.net import encode
from contrasim_core.encoder.relative import relative
from contrasim_core.neighbours.search import nearest


@pytest.mark.parametrize(
    "call",
    [
        lambda: relative(torch.zeros(3), torch.zeros(2, 3)),
        lambda: encode({}, torch.zeros(2, 3, 4)),
        lambda: nearest(torch.zeros(5), 1),
        lambda: nearest(torch.zeros(5, 2), "1"),
    ],
)
def test_wrong_shapes_and_types_are_refused(call):
    with pytest.raises(TypeCheckError):
        call()
