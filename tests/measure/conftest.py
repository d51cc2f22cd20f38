"""Made-up layers: correlated, with decaying spectra and means far from zero, so that unclaimed invariances show."""

import numpy as np
import pytest


def make_layers(n, widths, seed=0, offset=2.0):
    """Representations of the same n samples: views of common latents plus noise, float64."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n, 6)) * np.array([3.0, 2.0, 1.5, 1.0, 0.7, 0.5])
    return [
        (latent @ rng.normal(size=(6, d)) + 0.5 * rng.normal(size=(n, d))) * np.linspace(2.0, 0.5, d)
        + offset * rng.normal(size=d)
        for d in widths
    ]


@pytest.fixture
def layers():
    return make_layers
