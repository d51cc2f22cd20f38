"""Points before and after an encoder, with numbers that say how well they are grouped. numpy and pandas only."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contrasim_core.result import read_json, versions, write_json

Points = NDArray[np.float32]


@dataclass(frozen=True, eq=False, kw_only=True)
class Projection:
    """Rows of several sources in two dimensions: as the model represents them, and as an encoder does.

    Attributes:
        before: [m, 2] raw rows; m = samples times sources, source by source.
        after: [m, 2] encoded rows, aligned with `before`; None without an encoder.
        item: [m] number of the sample.
        source: [m] position in `sources`.
        moved: [m] distance of a point before and after, in units of the spread; empty without an encoder.
        sources: languages, or models.
        ids: ids of the samples.
        texts: the text of each point; empty for images.
        thumbnails: [samples, h, w, 3] of the images, or None.
        numbers: by `before` and `after`: `retrieval` (share of rows whose nearest row of another source is their own
            sample), `silhouette by item`, `silhouette by source` (both -1 to 1), of all dimensions and of more samples
            than are shown, and `trustworthiness` of the picture (0 to 1).
        recipe: model, data, layer, pooling, method and so on, for captions.
        seconds: wall time by part.
        versions: versions of the libraries the numbers depend on.
    """

    before: Points
    after: Points | None
    item: NDArray[np.int32]
    source: NDArray[np.int32]
    moved: NDArray[np.float32]
    sources: tuple[str, ...]
    ids: tuple[str, ...]
    texts: tuple[str, ...]
    thumbnails: NDArray[np.uint8] | None
    numbers: dict[str, dict[str, float | None]]
    recipe: dict[str, str]
    seconds: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=versions)

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per point."""
        columns: dict[str, Any] = {
            "sample": [self.ids[number] for number in self.item],
            "source": [self.sources[number] for number in self.source],
            "before x": self.before[:, 0],
            "before y": self.before[:, 1],
        }
        if self.after is not None:
            columns |= {"after x": self.after[:, 0], "after y": self.after[:, 1], "moved": self.moved}
        if self.texts:
            columns["text"] = list(self.texts)
        return pd.DataFrame(columns)

    def save(self, folder: Path) -> None:
        """Write `result.json` and `arrays.npz`."""
        arrays = {name: getattr(self, name) for name in ("before", "after", "item", "source", "moved", "thumbnails")}
        np.savez_compressed(folder / "arrays.npz", **{k: v for k, v in arrays.items() if v is not None})
        kept = {item.name: getattr(self, item.name) for item in fields(self) if item.name not in arrays}
        write_json(folder / "result.json", kept)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        data = read_json(folder / "result.json")
        with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
            kept = {name: arrays[name] for name in ("before", "item", "source", "moved")}
            optional = {name: arrays.get(name, None) for name in ("after", "thumbnails")}
        for name in ("sources", "ids", "texts"):
            data[name] = tuple(data[name])
        return cls(**{**data, **kept, **optional})
