"""Layer prediction: the result."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

import pandas as pd

from contrasim_core.encoder.result import TrainingCurve
from contrasim_core.measure.result import SimilarityGrid
from contrasim_core.result import SHARES, read_json, versions, write_json


@dataclass(frozen=True, kw_only=True)
class BenchmarkRecord:
    """One accuracy, with everything needed to judge it.

    Attributes:
        task: the benchmark, such as `layer-prediction`.
        measure: measure id.
        protocol: `seen`, `unseen` or `transfer`.
        accuracy: share of trials won, 0 to 1; ties are lost.
        low: lower end of the 95 % interval.
        high: upper end.
        trials: number of trials.
        chance: the accuracy of guessing.
        seed: encoder seed; None for closed-form measures.
        reason: why the accuracy is NaN, or empty.
    """

    task: str
    measure: str
    protocol: str
    accuracy: float
    low: float
    high: float
    trials: int
    chance: float
    seed: int | None = None
    reason: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class BenchmarkResult:
    """All records of a benchmark, and the data behind them.

    Attributes:
        records: one per measure, protocol and seed.
        grids: mean grid over the pairs, by `measure|protocol` (first seed), for pictures.
        predictions: the chosen layer per pair and layer, by `measure|protocol|seed`: [pairs, layers], -1 for a tie.
        pairs: names of the pairs, by protocol.
        layers: labels of the layers.
        curves: training curves of the encoders, by `measure|training set`.
        recipe: models, data, pooling, n and so on, for captions.
        seconds: wall time by part.
        versions: versions of the libraries the numbers depend on.
    """

    records: tuple[BenchmarkRecord, ...]
    grids: dict[str, SimilarityGrid]
    predictions: dict[str, list[list[int]]]
    pairs: dict[str, list[str]]
    layers: tuple[str, ...]
    curves: dict[str, list[TrainingCurve]]
    recipe: dict[str, str]
    seconds: dict[str, float]
    versions: dict[str, str] = field(default_factory=versions)

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per record."""
        return pd.DataFrame([asdict(record) for record in self.records])

    def summary(self) -> pd.DataFrame:
        """Return one row per measure and protocol, with accuracies averaged over seeds.

        With several seeds, `std` is the sample standard deviation (ddof 1) over them, and the interval is the widest
        of the seeds' intervals, so that it never looks more certain than that of any single encoder.
        """
        return summarise(self.to_pandas())

    def save(self, folder: Path) -> None:
        """Write `result.json`."""
        data = {item.name: getattr(self, item.name) for item in fields(self)}
        data["records"] = [asdict(record) for record in self.records]
        data["grids"] = {name: grid.to_dict() for name, grid in self.grids.items()}
        data["curves"] = {name: [asdict(curve) for curve in curves] for name, curves in self.curves.items()}
        write_json(folder / "result.json", data)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        data = read_json(folder / "result.json")
        return cls(
            **{
                **data,
                "records": tuple(_record(record) for record in data["records"]),
                "grids": {name: SimilarityGrid.from_dict(grid) for name, grid in data["grids"].items()},
                "curves": {
                    name: [TrainingCurve.from_dict(curve) for curve in curves]
                    for name, curves in data["curves"].items()
                },
                "layers": tuple(data["layers"]),
            }
        )


def _record(values: dict[str, Any]) -> BenchmarkRecord:
    return BenchmarkRecord(**{**values, **{name: math.nan for name in SHARES if values[name] is None}})


def summarise(frame: pd.DataFrame) -> pd.DataFrame:
    """Average records over seeds; see `BenchmarkResult.summary`."""
    grouped = frame.groupby(["task", "measure", "protocol"], sort=False, dropna=False)
    table = grouped.agg(
        accuracy=("accuracy", "mean"),
        std=("accuracy", "std"),
        low=("low", "min"),
        high=("high", "max"),
        trials=("trials", "first"),
        chance=("chance", "first"),
        seeds=("seed", "count"),
        reason=("reason", "first"),
    )
    return table.reset_index()
