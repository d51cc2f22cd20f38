"""Two models under several measures: the result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from contrasim_core.measure.result import SimilarityGrid
from contrasim_core.result import read_json, write_json


@dataclass(frozen=True, eq=False, kw_only=True)
class Comparison:
    """Two models under several measures, and the samples they agree on.

    Attributes:
        grids: grids by measure id, in the requested order.
        skipped: measures that could not be computed at all, with the reason.
        agreement: [A, B, m] float32: how well the two layers agree on a sample's similarities to the other samples
            (cosine of the rows of the two centred Gram matrices), for the first m samples.
        samples: previews of those m samples: text, or the index of a thumbnail.
        thumbnails: [m, h, w, 3] uint8 for images, else None.
        recipe: how the representations were made.
        seconds: wall time of the parts of the run.
    """

    grids: dict[str, SimilarityGrid]
    skipped: dict[str, str]
    agreement: NDArray[np.float32]
    samples: tuple[str, ...]
    thumbnails: NDArray[np.uint8] | None
    recipe: dict[str, str]
    seconds: dict[str, float]

    def save(self, folder: Path) -> None:
        """Write `result.json` and `arrays.npz`."""
        arrays: dict[str, Any] = {"agreement": self.agreement}
        if self.thumbnails is not None:
            arrays["thumbnails"] = self.thumbnails
        np.savez_compressed(folder / "arrays.npz", **arrays)
        write_json(
            folder / "result.json",
            {
                "grids": {name: grid.to_dict() for name, grid in self.grids.items()},
                "skipped": self.skipped,
                "samples": list(self.samples),
                "recipe": self.recipe,
                "seconds": self.seconds,
            },
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        data = read_json(folder / "result.json")
        with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
            return cls(
                grids={name: SimilarityGrid.from_dict(grid) for name, grid in data["grids"].items()},
                skipped=data["skipped"],
                agreement=arrays["agreement"],
                samples=tuple(data["samples"]),
                thumbnails=arrays.get("thumbnails", None),
                recipe=data["recipe"],
                seconds=data["seconds"],
            )
