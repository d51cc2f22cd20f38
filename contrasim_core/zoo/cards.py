"""The card of each bundled model: what it is, what it was trained on, how well it does, and how to rebuild it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from contrasim_core.models.find import BUNDLED_ROOT, bundled_names
from contrasim_core.store import write_atomic


@dataclass(frozen=True, kw_only=True)
class Card:
    """One bundled model.

    Attributes:
        name: its name in commands.
        family: the models that differ from it only in the seed.
        about: architecture in a few words.
        data: what it was trained on.
        task: what it was trained to do.
        seed: seed of the initial weights.
        score: how well it does on data it was not trained on, by name of the metric.
        parameters: number of weights.
        megabytes: size of its folder.
        layers: number of blocks, without index 0, the embeddings.
        pooling: the pooling its benchmark uses.
        recipe: the training options.
        rebuild: the command that trains it again.
        seconds: how long training took, on two cores.
        versions: versions of the libraries it was trained with.
    """

    name: str
    family: str
    about: str
    data: str
    task: str
    seed: int
    score: dict[str, float]
    parameters: int
    megabytes: float
    layers: int
    pooling: str
    recipe: dict[str, float | int | str] = field(default_factory=dict)
    rebuild: str = ""
    seconds: float = 0.0
    versions: dict[str, str] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write `card.json`."""
        write_atomic(folder / "card.json", json.dumps(asdict(self), indent=1) + "\n")


def read_card(folder: Path) -> Card:
    """Read the card in a model's folder."""
    return Card(**json.loads((folder / "card.json").read_text(encoding="utf-8")))


def cards(root: Path = BUNDLED_ROOT) -> list[Card]:
    """Read the cards of all bundled models, in order."""
    names = bundled_names() if root == BUNDLED_ROOT else sorted(folder.name for folder in root.iterdir())
    return [read_card(root / name) for name in names if (root / name / "card.json").is_file()]
