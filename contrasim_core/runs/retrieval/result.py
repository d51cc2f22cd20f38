"""The results of the multilingual and image-caption benchmarks. numpy and pandas only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contrasim_core.encoder.result import TrainingCurve
from contrasim_core.errors import ForeignFormatError
from contrasim_core.result import SHARES, read_json, versions, write_json

RIGHT = 0


UNDEFINED = int(np.iinfo(np.int16).min)
"""Values of `Choices.chosen` other than k, the number of the chosen distractor, and -k, that of a tied one."""


OUTCOMES = ("lost", "tie", "undefined")


@dataclass(frozen=True, kw_only=True)
class RetrievalRecord:
    """One accuracy of one layer of one ordered pair, with everything needed to judge it.

    Attributes:
        task: `multilingual` or `image-caption`.
        measure: measure id.
        protocol: `seen` if the encoder was trained on this pair, `unseen` if on others; `untrained` for closed-form
            measures.
        accuracy: share of trials won, 0 to 1; ties are lost. Mean over the encoders of the group.
        low: lower end of the 95 % Wilson interval over the batches.
        high: upper end.
        trials: batches judged.
        chance: the accuracy of guessing.
        seed: encoder seed; None for closed-form measures.
        layer: label of the layer.
        pair: the ordered pair, `anchor → candidates`.
        pair_group: languages (or models) that the pair shares with the encoder's training: `none`, `one` or `both`;
            empty for closed-form measures.
        negatives: `random` or `faiss`.
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
    seed: int | None
    layer: str
    pair: str
    pair_group: str
    negatives: str
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class RetrievalLine:
    """One point of a figure: a measure in one layer, averaged over pairs and seeds.

    Attributes:
        measure: measure id.
        negatives: `random` or `faiss`.
        pair_group: as in the records; `all` for the mean over pairs an encoder was not trained on, and for
            closed-form measures.
        layer: label of the layer.
        accuracy: mean over pairs, encoders and seeds.
        std: sample standard deviation (ddof 1) over pairs, encoders and seeds, as in the paper.
        low: lower end of the 95 % interval over batches, because all pairs are judged on the same samples.
        high: upper end.
        trials: batches times pairs, encoders and seeds.
        chance: the accuracy of guessing.
        reason: why the accuracy is NaN, or empty.
    """

    measure: str
    negatives: str
    pair_group: str
    layer: str
    accuracy: float
    std: float
    low: float
    high: float
    trials: int
    chance: float
    reason: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class Choices:
    """What a measure chose in each trial (for learned measures: the first encoder of the group).

    Attributes:
        chosen: [pairs, layers, batches] 0 for the true batch, k for distractor k, -k for a tie with it, `UNDEFINED`
            for a trial without a score or with missing distractors.
        own: [pairs, layers, batches] score of the true batch.
        best: [pairs, layers, batches] score of the best distractor.
        won: [pairs, layers, batches] share of the group's encoders that were right; NaN if a pair is not judged.
    """

    chosen: NDArray[np.int16]
    own: NDArray[np.float32]
    best: NDArray[np.float32]
    won: NDArray[np.float32]


CHOICES = tuple(item.name for item in fields(Choices))


@dataclass(frozen=True, eq=False, kw_only=True)
class RetrievalResult:
    """All records of a benchmark, and the data behind them.

    Attributes:
        task: `multilingual` or `image-caption`.
        records: one per measure, negatives, layer, ordered pair, group and seed.
        lines: the records summarised for figures.
        choices: by `measure|negatives|group`.
        sources: names of the languages or models.
        pairs: [pairs] of (anchor, candidates), positions in `sources`.
        layers: labels of the layers.
        batches: [batches, n] rows of the test samples in each batch.
        random: [batches, candidates, n] rows of the random distractors.
        neighbours: [sources, layers, rows, candidates] rows of the retrieved distractors; empty without FAISS.
        samples: by source, the text of each test sample; empty for images.
        thumbnails: [rows, h, w, 3] of the images, or None.
        recipe: models, data, pooling, n and so on, for captions.
        curves: training curves by measure.
        seconds: wall time by part.
        versions: versions of the libraries the numbers depend on.
    """

    task: str
    records: tuple[RetrievalRecord, ...]
    lines: tuple[RetrievalLine, ...]
    choices: dict[str, Choices]
    sources: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...]
    layers: tuple[str, ...]
    batches: NDArray[np.int32]
    random: NDArray[np.int32]
    neighbours: NDArray[np.int32]
    samples: dict[str, tuple[str, ...]]
    thumbnails: NDArray[np.uint8] | None
    recipe: dict[str, str]
    curves: dict[str, list[TrainingCurve]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=versions)

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per record."""
        return pd.DataFrame([asdict(record) for record in self.records])

    def summary(self) -> pd.DataFrame:
        """Return one row per line."""
        return pd.DataFrame([asdict(line) for line in self.lines])

    def pair_name(self, place: int) -> str:
        """Return the name of an ordered pair."""
        anchor, candidates = self.pairs[place]
        return f"{self.sources[anchor]} → {self.sources[candidates]}"

    def candidates(self, negatives: str, pair: int, layer: int, batch: int) -> NDArray[np.int32]:
        """Return [candidates, n] rows of the distractors of a trial."""
        if negatives == "random":
            return np.asarray(self.random[batch])
        rows = self.batches[batch]
        return np.asarray(self.neighbours[self.pairs[pair][1], layer, rows].T)

    def judged(self, measure: str, negatives: str, group: str, layer: int) -> int:
        """Return the number of trials behind one point, over all pairs that were judged."""
        made = self.choices[f"{measure}|{negatives}|{group}"]
        return int((~np.isnan(made.won[:, layer])).sum())

    def failures(self, measure: str, negatives: str, group: str, layer: int) -> pd.DataFrame:
        """Return the lost trials of one point, worst first: pair, batch, outcome, distractor (0: none), both scores."""
        made = self.choices[f"{measure}|{negatives}|{group}"]
        pairs, batches = np.nonzero((made.chosen[:, layer] != RIGHT) & ~np.isnan(made.won[:, layer]))
        chosen = made.chosen[pairs, layer, batches].astype(np.int64)
        frame = pd.DataFrame(
            {
                "pair": pairs,
                "batch": batches,
                "outcome": np.select([chosen > 0, chosen != UNDEFINED], OUTCOMES[:2], OUTCOMES[2]),
                "chosen": np.where(chosen == UNDEFINED, 0, np.abs(chosen)),
                "right": made.own[pairs, layer, batches],
                "distractor": made.best[pairs, layer, batches],
            }
        )
        worst = (frame["distractor"] - frame["right"]).sort_values(ascending=False, kind="stable").index
        return frame.loc[worst].reset_index(drop=True)

    def save(self, folder: Path) -> None:
        """Write `result.json` and `arrays.npz`."""
        arrays: dict[str, Any] = {"batches": self.batches, "random": self.random, "neighbours": self.neighbours}
        if self.thumbnails is not None:
            arrays["thumbnails"] = self.thumbnails
        for place, made in enumerate(self.choices.values()):
            for name in CHOICES:
                arrays[f"{name}-{place}"] = getattr(made, name)
        np.savez_compressed(folder / "arrays.npz", **arrays)
        kept = {item.name: getattr(self, item.name) for item in fields(self) if item.name not in arrays}
        kept.pop("thumbnails", None)
        kept["records"] = _columns(self.records)
        kept["lines"] = _columns(self.lines)
        kept["choices"] = list(self.choices)
        kept["curves"] = {name: [asdict(curve) for curve in curves] for name, curves in self.curves.items()}
        write_json(folder / "result.json", kept)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ForeignFormatError: if an older version wrote it.
        """
        data = read_json(folder / "result.json")
        with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
            if data["choices"] and f"{CHOICES[-1]}-0" not in arrays:
                raise ForeignFormatError(
                    f"retrieval {folder.name} was written by an older version, whose numbers are no longer reliable. "
                    "Run the benchmark again."
                )
            choices = {
                name: Choices(**{part: arrays[f"{part}-{place}"] for part in CHOICES})
                for place, name in enumerate(data["choices"])
            }
            kept = {name: arrays[name] for name in ("batches", "random", "neighbours")}
            thumbnails = arrays.get("thumbnails", None)
        return cls(
            **{
                **data,
                **kept,
                "thumbnails": thumbnails,
                "choices": choices,
                "records": tuple(RetrievalRecord(**_read(row)) for row in _rows(data["records"])),
                "lines": tuple(RetrievalLine(**_read(row)) for row in _rows(data["lines"])),
                "sources": tuple(data["sources"]),
                "pairs": tuple((int(a), int(b)) for a, b in data["pairs"]),
                "layers": tuple(data["layers"]),
                "samples": {name: tuple(texts) for name, texts in data["samples"].items()},
                "curves": {
                    name: [TrainingCurve.from_dict(curve) for curve in curves]
                    for name, curves in data["curves"].items()
                },
            }
        )


def _columns(items: Sequence[Any]) -> dict[str, list[Any]]:
    """Turn records with equal fields into columns, which take a tenth of the size in JSON."""
    return {item.name: [getattr(row, item.name) for row in items] for item in fields(items[0])} if items else {}


def _rows(columns: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _read(row: dict[str, Any]) -> dict[str, Any]:
    """Restore NaN, which JSON cannot represent."""
    shares = {name: math.nan for name in (*SHARES, "std") if name in row and row[name] is None}
    return {**row, **shares}
