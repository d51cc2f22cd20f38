"""Made-up networks: the same functions of the same inputs, each network and layer in a basis of its own.

Layers are as alike across networks as a rotation, a shift, a scale and some noise leave them: measures that see
through a basis can match them, and a plain encoder can only after it has seen that very network.
"""

import torch

from contrasim_core.activations.layer import Activations
from contrasim_core.refs import LayerRef, SampleSet

LATENTS = 6


def noise_of(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def matrices(network, *, data=0, n=96, layers=4, width=12, noise=0.1):
    """Layers [n, width] of network number `network` on data set number `data`."""
    inputs = noise_of(10_000 + data, n, LATENTS)
    found = []
    for layer in range(layers):
        features = torch.tanh(inputs @ noise_of(layer, LATENTS, width) * (0.3 + 0.4 * layer))
        basis = torch.linalg.qr(noise_of(100 * network + layer + 500, width, width)).Q
        shift = noise_of(100 * network + layer + 50_000, width)
        jitter = noise * noise_of(1_000_000 * (network + 1) + 1000 * data + layer, n, width)
        found.append((1 + network) * (features + jitter) @ basis + shift)
    return found


def activations(network, *, data=0, n=96, name="net", samples=None, **options):
    rows = samples or SampleSet(tuple(f"data {data}, row {row}" for row in range(n)))
    return [
        Activations.of(values, layer=LayerRef(f"{name}-{network}", index, f"block {index}"), samples=rows)
        for index, values in enumerate(matrices(network, data=data, n=n, **options))
    ]


def group(count, **options):
    """Layers by network's name."""
    return {f"net-{network}": activations(network, **options) for network in range(count)}
