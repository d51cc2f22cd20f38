"""Two-tower models such as CLIP: one tower, with the projection into the space of both."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from contrasim_core.errors import ModelLoadError
from contrasim_core.refs import Modality, ModelRef

PROJECTION = "projection"
"""Name of the layer that projects a tower into the space of both."""


def pick_tower(module: nn.Module, ref: ModelRef) -> tuple[nn.Module, Modality]:
    """Return the network to run and its modality; for two-tower models, the requested tower."""
    towers = {name: getattr(module, f"{name}_model", None) for name in ("text", "vision")}
    if all(tower is not None for tower in towers.values()):
        if ref.tower == "auto":
            raise ModelLoadError(f"{ref.name} has two towers. Write {ref.name}#text or {ref.name}#vision.")
        name = "text_projection" if ref.tower == "text" else "visual_projection"
        picked: nn.Module = towers[ref.tower]  # type: ignore[assignment]
        projection = getattr(module, name, None)
        tower = picked if projection is None else TowerWithProjection(picked, projection)
        return tower, "text" if ref.tower == "text" else "image"
    if ref.tower != "auto":
        raise ModelLoadError(f"{ref.name} is not a two-tower model. Remove #{ref.tower}.")
    modality: Modality = "image" if module.main_input_name == "pixel_values" else "text"
    return module, modality


class TowerWithProjection(nn.Module):
    """One tower of a two-tower model, with the projection that puts its pooled output into the space of both."""

    def __init__(self, tower: nn.Module, projection: nn.Module) -> None:
        super().__init__()
        self.tower, self.projection = tower, projection
        self.config: Any = tower.config

    def forward(self, **arguments: Any) -> Tensor:
        """Return [batch, d] in the shared space."""
        output: Tensor = self.projection(self.tower(**arguments).pooler_output)
        return output
