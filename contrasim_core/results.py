"""What runs give back: numbers with their provenance, to and from JSON. numpy and pandas only."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contrasim_core.errors import ForeignFormatError
from contrasim_core.refs import LayerRef

RESULT_FORMAT = 1
TIE = 1e-9  # relative
SHARES = ("accuracy", "low", "high")  # NaN where a measure is undefined; JSON has no NaN
Array = NDArray[np.float64]


def versions() -> dict[str, str]:
    """Versions of what a number can depend on."""
    found = {}
    for package in ("torch", "transformers", "numpy", "scikit-learn"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@dataclass(frozen=True, eq=False, kw_only=True)
class SimilarityGrid:
    """The layers of A (rows) against the layers of B (columns) under one measure.

    Attributes:
        values: [A, B]; NaN where the measure is undefined, with the reason in `undefined`.
        rows: layers of A.
        columns: layers of B.
        measure: measure id, with options.
        label: the measure's name in figures.
        direction: `similarity` or `distance`.
        bounds: the measure's range; None where it has no bound.
        n: samples.
        low: [A, B] lower end of the 95 % delete-a-group jackknife interval, or None.
        high: [A, B] upper end, or None.
        groups: jackknife groups behind the interval.
        null: [A, B] expected value under shuffled rows, or None where that is 0 or unknown.
        undefined: reasons why cells are NaN.
        notes: warnings that belong under the figure.
        recipe: how the representations were made, for captions.
    """

    values: Array
    rows: tuple[LayerRef, ...]
    columns: tuple[LayerRef, ...]
    measure: str
    label: str
    direction: str
    bounds: tuple[float | None, float | None]
    n: int
    low: Array | None = None
    high: Array | None = None
    groups: int = 0
    null: Array | None = None
    undefined: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    recipe: dict[str, str] = field(default_factory=dict)

    def to_numpy(self) -> Array:
        """The values, [A, B]."""
        return self.values

    def to_pandas(self) -> pd.DataFrame:
        """The values with layer names on both axes."""
        frame = pd.DataFrame(
            self.values, index=[layer.label for layer in self.rows], columns=[layer.label for layer in self.columns]
        )
        frame.index.name, frame.columns.name = self.rows[0].model, self.columns[0].model
        return frame

    def row_best(self) -> list[int | None]:
        """Per row, the column that is most alike; None where the row is undefined or the best value is shared."""
        return [best_match(row, self.direction) for row in self.values]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {item.name: plain(getattr(self, item.name)) for item in fields(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SimilarityGrid:
        """The grid that `to_dict` described."""
        values = dict(data)
        for name in ("values", "low", "high", "null"):
            values[name] = None if values[name] is None else np.array(values[name], dtype=float)
        for name in ("rows", "columns"):
            values[name] = tuple(LayerRef(**layer) for layer in values[name])
        low, high = values["bounds"]
        return cls(
            **{
                **values,
                "bounds": (low, high),
                "notes": tuple(values["notes"]),
                "undefined": tuple(values["undefined"]),
            }
        )


def best_match(row: Array, direction: str = "similarity") -> int | None:
    """The position of the best value of a row; None if it is shared by two, or if a value is undefined.

    Ties are nobody's win: an argmax that takes the first would let a constant measure succeed. Values that differ by
    no more than rounding are tied: where a measure saturates at 1, noise in the last digit must not choose.
    """
    if not np.isfinite(row).all():
        return None
    best = row.max() if direction == "similarity" else row.min()
    winners = np.flatnonzero(np.abs(row - best) <= TIE * abs(best))
    return int(winners[0]) if len(winners) == 1 else None


@dataclass(frozen=True, eq=False, kw_only=True)
class Comparison:
    """Two models under several measures, and which samples they agree on.

    Attributes:
        grids: by measure id, in the order asked for.
        skipped: measures that could not be computed at all, with the reason.
        agreement: [A, B, m] float32: per sample, how alike its similarities to the other samples are in both
            layers (cosine of the rows of the two centred Gram matrices), for the first m samples.
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
        """What `save` wrote."""
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


@dataclass(frozen=True, kw_only=True)
class TrainingCurve:
    """Loss and held-out accuracy of one encoder, epoch by epoch.

    Attributes:
        encoder: kind of encoder.
        seed: its seed.
        loss: mean training loss of each epoch.
        accuracy: layer-prediction accuracy (0 to 1) on held-out samples after each epoch; empty if none are held out.
        chance: what a guess would score.
        seconds: wall time of the training of all seeds together.
    """

    encoder: str
    seed: int
    loss: tuple[float, ...]
    accuracy: tuple[float, ...]
    chance: float
    seconds: float = 0.0

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The curve that `dataclasses.asdict` described."""
        return cls(**{**data, "loss": tuple(data["loss"]), "accuracy": tuple(data["accuracy"])})


def read_curves(folder: Path) -> list[TrainingCurve]:
    """The curves in the folder of a training artifact."""
    return [TrainingCurve.from_dict(curve) for curve in read_json(folder / "result.json")["curves"]]


@dataclass(frozen=True, kw_only=True)
class BenchmarkRecord:
    """One accuracy, with everything needed to judge it.

    Attributes:
        task: benchmark, such as `layer-prediction`.
        measure: measure id.
        protocol: `seen`, `unseen` or `transfer`.
        accuracy: share of trials won, 0 to 1; ties are lost.
        low: lower end of the 95 % interval.
        high: upper end.
        trials: number of trials.
        chance: what a guess would score.
        seed: encoder seed; None for closed-form measures.
        reason: why there is no accuracy (it is then NaN), or empty.
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
    """All records of a benchmark and what is behind them.

    Attributes:
        records: one per measure, protocol and seed.
        grids: mean grid over the pairs, by `measure|protocol` (first seed), for pictures.
        predictions: chosen layer per pair and layer, by `measure|protocol|seed`: [pairs, layers], -1 for a tie.
        pairs: names of the pairs, by protocol.
        layers: the layers' labels.
        curves: training curves of the encoders, by `measure|training set`.
        recipe: models, data, pooling, n and so on, for captions.
        seconds: wall time by part.
        versions: of the libraries the numbers depend on.
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
        """One row per record."""
        return pd.DataFrame([asdict(record) for record in self.records])

    def summary(self) -> pd.DataFrame:
        """One row per measure and protocol: accuracies averaged over seeds.

        With several seeds `std` is the sample standard deviation (ddof 1) over them, and the interval is the widest
        of the seeds' intervals, so that it never looks surer than any one encoder.
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
        """What `save` wrote."""
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
    """Records averaged over seeds; see `BenchmarkResult.summary`."""
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


def plain(value: Any) -> Any:
    """Dataclasses, arrays, tuples and non-finite numbers as JSON can hold them; NaN and infinity become None."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, LayerRef):
        return asdict(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write a result with its format number."""
    path.write_text(json.dumps({"format": RESULT_FORMAT, **plain(data)}, allow_nan=False), encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Read a result.

    Raises:
        ForeignFormatError: if it was written in another format.
    """
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    found = data.pop("format", None)
    if found != RESULT_FORMAT:
        raise ForeignFormatError(
            f"{path.name} in {path.parent.name} has format {found}; this version reads {RESULT_FORMAT}. "
            "Delete that folder and run it again."
        )
    return data
