"""Relative input: what it is, what it leaves out, and what it keeps."""

import pytest
import torch

from contrasim_core.encoder.relative import relative
from contrasim_core.errors import EncoderError

WIDTH = 8


def rows(seed, n=20):
    return torch.randn(n, WIDTH, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 3 + 1


ROTATION = torch.linalg.qr(rows(5, WIDTH)).Q
SHIFT = rows(6, 1)
ORDER = torch.randperm(WIDTH, generator=torch.Generator().manual_seed(7))
STRETCH = torch.diag(torch.linspace(1, 20, WIDTH, dtype=torch.float64))
MOVES = {
    "rotation": lambda x: x @ ROTATION,
    "translation": lambda x: x + SHIFT,
    "scale": lambda x: 2.5 * x,
    "permutation": lambda x: x[:, ORDER],
    "all": lambda x: 2.5 * (x[:, ORDER] @ ROTATION) + SHIFT,
}


def naive(x, anchors):
    mean = sum(anchors) / len(anchors)
    return torch.stack(
        [torch.stack([(r - mean) @ (a - mean) / ((r - mean).norm() * (a - mean).norm()) for a in anchors]) for r in x]
    )


def test_matches_a_naive_loop():
    torch.testing.assert_close(relative(rows(0), rows(1, 5)).double(), naive(rows(0), rows(1, 5)), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", MOVES)
def test_moving_a_layer_with_its_anchors_changes_nothing(name):
    move = MOVES[name]
    torch.testing.assert_close(
        relative(move(rows(0)), move(rows(1, 5))), relative(rows(0), rows(1, 5)), atol=1e-6, rtol=0
    )


@pytest.mark.parametrize("name", MOVES)
def test_moving_a_layer_without_its_anchors_changes_it(name):
    change = relative(MOVES[name](rows(0)), rows(1, 5)) - relative(rows(0), rows(1, 5))
    assert float(change.abs().max()) > 0.1


def test_stretching_single_directions_changes_it():
    change = relative(rows(0) @ STRETCH, rows(1, 5) @ STRETCH) - relative(rows(0), rows(1, 5))
    assert float(change.abs().max()) > 0.1


def test_a_large_common_offset_in_float32_leaves_the_signal():
    """Real [CLS] states: the mean is hundreds of times the spread."""
    x, anchors = rows(0), rows(1, 5)
    far = relative((x + 500).float(), (anchors + 500).float())
    torch.testing.assert_close(far, relative(x, anchors), atol=1e-3, rtol=0)


def test_rows_that_sit_on_the_anchors_mean_are_zero_not_nan():
    anchors = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    assert relative(torch.zeros(1, 2), anchors).tolist() == [[0.0, 0.0]]


def test_anchors_of_another_width_are_refused():
    with pytest.raises(EncoderError, match=r"width 8 cannot be compared with anchors of width 3.*same layer"):
        relative(rows(0), rows(1)[:, :3])
