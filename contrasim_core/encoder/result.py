"""The learning curve of an encoder: loss and held-out accuracy, epoch by epoch. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from contrasim_core.result import read_json


@dataclass(frozen=True, kw_only=True)
class TrainingCurve:
    """Loss and held-out accuracy of one encoder, epoch by epoch.

    Attributes:
        encoder: kind of encoder.
        seed: its seed.
        loss: mean training loss of each epoch.
        accuracy: layer-prediction accuracy (0 to 1) on held-out samples after each epoch; empty if none are held out.
        chance: the accuracy of guessing.
        seconds: wall time of training all seeds together.
    """

    encoder: str
    seed: int
    loss: tuple[float, ...]
    accuracy: tuple[float, ...]
    chance: float
    seconds: float = 0.0

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild a curve from the output of `dataclasses.asdict`."""
        return cls(**{**data, "loss": tuple(data["loss"]), "accuracy": tuple(data["accuracy"])})


def read_curves(folder: Path) -> list[TrainingCurve]:
    """Read the curves in the folder of a training artifact."""
    return [TrainingCurve.from_dict(curve) for curve in read_json(folder / "result.json")["curves"]]
