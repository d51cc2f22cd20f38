"""Centring, factorisation and the dtype policy."""

import numpy as np
import pytest
import torch

from contrasim_core.errors import ConstantLayerError, NotFiniteError
from contrasim_core.measure.linalg import (
    RANK_TOLERANCE,
    centre,
    centred_rows,
    check_spread,
    row_blocks,
    row_spread,
    spectrum,
    squared_distances,
)


def random(n, d, seed=0):
    return torch.tensor(np.random.default_rng(seed).normal(size=(n, d)))


def test_centring_float32_far_from_zero_is_exact():
    spread = random(200, 5)
    x = (1000 + spread).float()
    centred = centre(x)
    assert centred.dtype == torch.float64
    torch.testing.assert_close(centred, x.double() - x.double().mean(0), rtol=0, atol=1e-12)
    assert float(centred.mean(0).abs().max()) < 1e-12
    naive = x - x.mean(0)  # what a float32 mean leaves
    assert float((naive - centred).abs().max()) > 1e-6


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_dtype_is_centred_in_float64(dtype):
    x = random(20, 3).to(dtype)
    torch.testing.assert_close(centre(x), x.double() - x.double().mean(0))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite_are_counted_by_row(bad):
    x = random(10, 3)
    x[2, 0] = x[2, 1] = x[5, 0] = bad
    with pytest.raises(NotFiniteError, match=r"^block 3 has NaN or infinity in 2 of 10 rows\. Mend or drop those rows"):
        centre(x, "block 3")


def test_layers_without_variance_are_named():
    with pytest.raises(ConstantLayerError, match=r"^block 0 has no variance: all 10 rows are the same\."):
        centre(torch.full((10, 3), 0.1), "block 0")


@pytest.mark.parametrize("n", [1, 200, 256, 700])
def test_rows_by_blocks_are_those_of_the_centred_matrix(n):
    x = (1000 + random(n + 1, 5)).float()
    mean, lengths = row_spread(x)
    torch.testing.assert_close(mean, x.double().mean(0), rtol=1e-14, atol=0)
    torch.testing.assert_close(lengths, centre(x).square().sum(1), rtol=1e-9, atol=1e-12)
    found = centred_rows(x, mean, 3.0)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, (centre(x) / 3).float())


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_rows_by_blocks_are_refused_like_the_whole_matrix(bad):
    x = random(300, 3)
    x[299, 1] = bad
    with pytest.raises(NotFiniteError, match=r"^block 3 has NaN or infinity in 1 of 300 rows\."):
        row_spread(x, "block 3")
    with pytest.raises(ConstantLayerError, match=r"^block 0 has no variance: all 300 rows are the same\."):
        row_spread(torch.full((300, 3), 0.1), "block 0")


@pytest.mark.parametrize(("spread", "constant"), [(1e-9, True), (1e-5, False)])
def test_variance_that_float32_cannot_hold_is_none(spread, constant):
    x = 1 + spread * random(50, 4)
    if constant:
        with pytest.raises(ConstantLayerError):
            centre(x)
    else:
        centre(x)


def test_infinite_norms_are_not_finite_values():
    with pytest.raises(NotFiniteError, match=r"block 1 has NaN or infinity in some of its 7 rows"):
        check_spread("block 1", 7, float("nan"), float("inf"))


@pytest.mark.parametrize(("n", "d"), [(30, 5), (5, 30), (8, 8)])
def test_the_spectrum_rebuilds_the_matrix(n, d):
    x = centre(random(n, d))
    found = spectrum(x)
    rank = min(n - 1, d)
    assert (found.u.shape, found.s.shape, found.vt.shape, found.width) == ((n, rank), (rank,), (rank, d), d)
    torch.testing.assert_close(found.u @ torch.diag(found.s) @ found.vt, x)
    torch.testing.assert_close(found.u.T @ found.u, torch.eye(rank, dtype=torch.float64))
    assert bool((found.s.diff() <= 0).all())


@pytest.mark.parametrize("n", [40, 6])
def test_the_rank_is_decided_by_a_relative_tolerance(n):
    latent = random(n, 3)
    x = latent @ random(3, 10, seed=1)
    for scale in (1e-8, 1.0, 1e8):
        noisy = centre(scale * (x + 0.1 * RANK_TOLERANCE * random(n, 10, seed=2)))
        assert len(spectrum(noisy).s) == 3
    assert len(spectrum(centre(x + 1e3 * RANK_TOLERANCE * random(n, 10, seed=2))).s) == min(n - 1, 10)


def test_directions_stay_orthonormal_down_to_the_tolerance():
    spread = torch.logspace(0, -5.5, 10, dtype=torch.float64)
    found = spectrum(centre(random(400, 10) * spread))
    assert len(found.s) == 10
    torch.testing.assert_close(found.u.T @ found.u, torch.eye(10, dtype=torch.float64), rtol=0, atol=1e-9)


@pytest.mark.parametrize(("threshold", "kept"), [(0.5, 1), (0.9, 1), (0.91, 2), (0.99, 2), (0.9901, 3), (1.0, 3)])
def test_components_explain_a_share_of_the_variance(threshold, kept):
    found = spectrum(torch.diag(torch.tensor([90.0, 9.0, 1.0]).double().sqrt()))
    assert found.components(threshold) == kept


@pytest.mark.parametrize(("n", "size"), [(10, 3), (9, 3), (2, 5), (1, 1)])
def test_row_blocks_cover_every_row_once(n, size):
    blocks = row_blocks(n, size)
    assert [row for block in blocks for row in range(block.start, block.stop)] == list(range(n))
    assert all(block.stop - block.start <= size for block in blocks)


def test_squared_distances_match_a_loop_and_are_never_negative():
    x, y = random(6, 3), random(4, 3, seed=1)
    expected = torch.tensor([[float(((a - b) ** 2).sum()) for b in y] for a in x], dtype=torch.float64)
    torch.testing.assert_close(squared_distances(x, y), expected)
    near = 1e4 + 1e-6 * random(50, 3)
    assert bool((squared_distances(near, near) >= 0).all())
