"""Which batch is the translation, or the caption, of this one (ContraSim, sections 6.2 and 6.3)?

For a batch of rows of one source (a language, or a model) the same samples' rows of another source stand among ten
distractors: batches of other rows drawn at random, or batches of the j-th nearest rows of each true row, by exact
search in the raw representations of that source and layer. The measure wins if it finds the true batch most alike. A
tie is a loss; a trial whose true batch has no defined similarity is lost; a distractor without one cannot win.

Encoders trained on a pair of sources are judged on other pairs, grouped by how many sources they share with training.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contrasim_core.activations import Activations, check_paired
from contrasim_core.benchmarks.statistics import unit_interval, wilson
from contrasim_core.encoder.contrasim import ContraSim
from contrasim_core.errors import EncoderError, SpecError
from contrasim_core.measure.base import MeasureSpec
from contrasim_core.measure.batched import Batched, batched, why_undefined
from contrasim_core.measure.table import closed_form
from contrasim_core.neighbours import MISSING, Search, nearest
from contrasim_core.progress import Progress, silent
from contrasim_core.results import TIE, TrainingCurve
from contrasim_core.retrieval_results import Choices, RetrievalLine, RetrievalRecord, RetrievalResult
from contrasim_core.specs import ENCODER_KINDS, EncoderKind, Negatives

CHUNK_FLOATS = 2**24
GROUPS = ("none", "one", "both")
Encoders = Callable[[EncoderKind, Progress], Sequence[tuple[tuple[int, int], ContraSim]]]
"""Trained encoders of a kind with the pair of sources of each."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Retrieval:
    """The representations a benchmark runs on.

    Attributes:
        task: for the records.
        test: layers by source, all on the same test samples; layer l of a source is judged with layer l of another.
        pairs: ordered pairs of places in `test`: anchor, candidates.
        batch: rows of a batch.
        candidates: distractors of a trial.
        search: how neighbours are found.
        same: [sources] of [rows] numbers, equal for samples with equal content; None where all differ.
        train: layers by source on the training samples; needed by `contrasim.relative`.
        encoders: trains, or finds, encoders; needed by learned measures.
        own_pair: whether encoders are judged on the pair they were trained on alone, as for image and caption.
        seed: of the random distractors.
    """

    task: str
    test: Mapping[str, Sequence[Activations]]
    pairs: Sequence[tuple[int, int]]
    batch: int = 8
    candidates: int = 10
    search: Search = Search()  # noqa: RUF009 - frozen
    same: Sequence[NDArray[np.int64]] | None = None
    train: Mapping[str, Sequence[Activations]] | None = None
    encoders: Encoders | None = None
    own_pair: bool = False
    seed: int = 0
    recipe: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        depths = {name: len(layers) for name, layers in self.test.items()}
        if len(depths) < 2 or 0 in depths.values() or len(set(depths.values())) > 1:
            raise SpecError(
                f"This benchmark needs 2 or more sources with equally many layers; there are: {depths or 'none'}."
            )
        first = next(iter(self.test.values()))[0]
        for layers in self.test.values():
            for layer in layers:
                check_paired(first, layer)
        if self.batch < 2 or self.candidates < 1:
            raise SpecError(f"batch is {self.batch} and candidates is {self.candidates}. They start at 2 and 1.")
        need = self.batch + max(self.batch, self.candidates + 1)
        if len(first.samples) < need:
            raise SpecError(
                f"There are {len(first.samples)} test samples. Batches of {self.batch} with {self.candidates} "
                f"distractors need at least {need}."
            )

    def run(
        self, measures: Sequence[str], negatives: Sequence[Negatives], progress: Progress = silent
    ) -> RetrievalResult:
        """Judge every measure against every kind of distractor.

        Args:
            measures: ids, closed-form (options may follow the id) and learned.
            negatives: `random`, `faiss`.
            progress: told as it goes.

        Raises:
            SpecError: if learned measures are asked for and nothing trains them.
        """
        run = _Run(self, negatives, progress, len(measures))
        for name in measures:
            run.judge(name)
        return run.result()


class _Run:
    """One benchmark run while it is going on."""

    def __init__(self, task: Retrieval, negatives: Sequence[Negatives], progress: Progress, steps: int) -> None:
        self.task, self.negatives, self.progress, self.steps = task, tuple(negatives), progress, steps
        self.names = tuple(task.test)
        self.matrices = [[layer.values for layer in layers] for layers in task.test.values()]
        self.depth = len(self.matrices[0])
        rows = len(self.matrices[0][0])
        count = rows // task.batch
        self.batches = np.arange(count * task.batch, dtype=np.int32).reshape(count, task.batch)
        self.random = random_distractors(rows, self.batches, task.candidates, task.seed)
        self.chance = 1 / (task.candidates + 1)
        self.records: list[RetrievalRecord] = []
        self.lines: list[RetrievalLine] = []
        self.choices: dict[str, Choices] = {}
        self.curves: dict[str, list[TrainingCurve]] = {}
        self.seconds: dict[str, float] = {}
        self.done = 0
        self.neighbours = self._neighbours()

    def _neighbours(self) -> NDArray[np.int32]:
        """[sources, layers, rows, candidates]: one index for each source and layer, built once for all measures."""
        task = self.task
        if "faiss" not in self.negatives:
            return np.zeros((0, 0, 0, 0), dtype=np.int32)
        started = time.monotonic()
        wanted = {candidates for _, candidates in task.pairs}
        shape = (len(self.names), self.depth, len(self.matrices[0][0]), task.candidates)
        found = np.full(shape, MISSING, dtype=np.int32)
        for source in sorted(wanted):
            same = task.same[source] if task.same is not None else None
            for layer in range(self.depth):
                self.progress(0, self.steps, f"Nearest neighbours: {self.names[source]}, layer {layer + 1}")
                found[source, layer] = nearest(
                    self.matrices[source][layer], task.candidates, search=task.search, groups=same
                )
        self.seconds["neighbours"] = round(time.monotonic() - started, 2)
        return found

    def judge(self, name: str) -> None:
        """One measure: with every encoder, if it is learned."""
        started = time.monotonic()
        self.progress(self.done, self.steps, f"{name}: judging")
        if name in ENCODER_KINDS:
            self._learned(name)  # type: ignore[arg-type]
        else:
            self._closed_form(closed_form(name))
        self.done += 1
        self.seconds[name] = round(time.monotonic() - started, 2)

    def _closed_form(self, spec: MeasureSpec) -> None:
        score = batched(spec)
        reasons = {
            why_undefined(spec, self.task.batch, self.matrices[a][0].shape[1], self.matrices[b][0].shape[1])
            for a, b in self.task.pairs
        } - {""}
        for negatives in self.negatives:
            if reasons:
                self._undefined(spec.id, negatives, sorted(reasons)[0])
                continue
            trials = [
                self._trials(pair, negatives, score, self.matrices[pair[0]], self.matrices[pair[1]])
                for pair in self.task.pairs
            ]
            self._keep(spec.id, negatives, "all", {None: [[item] for item in trials]})

    def _learned(self, kind: EncoderKind) -> None:
        if self.task.encoders is None:
            raise SpecError(f"{kind} is learned: it needs encoders. Give encoders and train.")
        try:
            encoders = self.task.encoders(kind, self.progress)
        except EncoderError as error:  # such as layers of different widths: the other measures are still judged
            for negatives in self.negatives:
                self._undefined(kind, negatives, str(error))
            return
        self.curves[kind] = [encoder.curve for _, encoder in encoders]
        found: dict[tuple[Negatives, str], dict[int | None, list[list[Trials]]]] = {}
        for number, (trained, encoder) in enumerate(encoders):
            self.progress(self.done, self.steps, f"{kind}: judging encoder {number + 1} of {len(encoders)}")
            encoded = self._encoded(encoder)
            score = batched(encoder.measure())
            for place, pair in enumerate(self.task.pairs):
                group = GROUPS[len(set(pair) & set(trained))]
                if self.task.own_pair and group != "both":
                    continue
                for negatives in self.negatives:
                    by_seed = found.setdefault((negatives, group), {})
                    by_pair = by_seed.setdefault(encoder.spec.seed, [[] for _ in self.task.pairs])
                    made = self._trials(pair, negatives, score, encoded[pair[0]], encoded[pair[1]])
                    by_pair[place].append(made)
        for negatives in self.negatives:
            groups = {group: found[negatives, group] for group in GROUPS if (negatives, group) in found}
            for group, by_seed in groups.items():
                self._keep(kind, negatives, group, by_seed)
            self._mean_of_groups(kind, negatives, groups)

    def _encoded(self, encoder: ContraSim) -> list[list[Tensor]]:
        """All rows of all sources and layers, encoded once; sources of widths the encoder does not know are empty."""
        needed = {source for pair in self.task.pairs for source in pair}
        if self.task.own_pair:
            needed = {self.names.index(name) for name in encoder.models}
        return [
            [self._encode(encoder, source, layer) for layer in range(self.depth)] if source in needed else []
            for source in range(len(self.names))
        ]

    def _encode(self, encoder: ContraSim, source: int, layer: int) -> Tensor:
        name = self.names[source]
        anchors = None
        if encoder.measure().needs_anchors:
            if self.task.train is None:
                raise SpecError("contrasim.relative needs representations of training samples. Give train.")
            anchors = encoder.anchors_of(self.task.train[name][layer])
        return encoder.encode(self.matrices[source][layer], f"{name}, layer {layer + 1}", anchors)

    def _trials(
        self, pair: tuple[int, int], negatives: Negatives, score: Batched, a: Sequence[Tensor], b: Sequence[Tensor]
    ) -> Trials:
        """All trials of a pair: every layer, every batch."""
        parts = []
        for layer in range(self.depth):
            distractors = self.random
            if negatives == "faiss":
                distractors = self.neighbours[pair[1], layer][self.batches].transpose(0, 2, 1)
            parts.append(judge_batches(a[layer], b[layer], self.batches, distractors, score))
        chosen, own, best = (np.stack([part[k] for part in parts]) for k in range(3))
        return Trials(chosen.astype(np.int8), own.astype(np.float64), best.astype(np.float64))

    def _keep(
        self, measure: str, negatives: str, group: str, by_seed: Mapping[int | None, Sequence[Sequence[Trials]]]
    ) -> None:
        """Records, lines and choices of one group: by seed, then by pair, then by encoder."""
        layers = self._layers()
        for seed, by_pair in by_seed.items():
            for place, trials in enumerate(by_pair):
                if not trials:
                    continue
                wins = np.mean([item.wins for item in trials], axis=0)  # [layers, batches]
                for layer in range(self.depth):
                    share = float(wins[layer].mean())
                    low, high = wilson(share, wins.shape[1])
                    self.records.append(
                        RetrievalRecord(
                            task=self.task.task,
                            measure=measure,
                            protocol="untrained" if seed is None else "seen" if group == "both" else "unseen",
                            accuracy=share,
                            low=low,
                            high=high,
                            trials=wins.shape[1],
                            chance=self.chance,
                            seed=seed,
                            layer=layers[layer],
                            pair=self._pair(place),
                            pair_group="" if seed is None else group,
                            negatives=negatives,
                        )
                    )
        self._line(measure, negatives, group, [trials for by_pair in by_seed.values() for trials in by_pair if trials])
        first = next(iter(by_seed.values()))
        self.choices[f"{measure}|{negatives}|{group}"] = self._chosen(first)

    def _chosen(self, by_pair: Sequence[Sequence[Trials]]) -> Choices:
        empty = Trials(
            np.zeros((self.depth, len(self.batches)), dtype=np.int8),
            np.full((self.depth, len(self.batches)), np.nan),
            np.full((self.depth, len(self.batches)), np.nan),
        )
        picked = [trials[0] if trials else empty for trials in by_pair]
        return Choices(
            chosen=np.stack([item.chosen for item in picked]),
            own=np.stack([item.own for item in picked]).astype(np.float32),
            best=np.stack([item.best for item in picked]).astype(np.float32),
        )

    def _mean_of_groups(
        self, kind: str, negatives: str, groups: Mapping[str, Mapping[int | None, Sequence[Sequence[Trials]]]]
    ) -> None:
        """The line `all`: all pairs but the one an encoder was trained on; that one, where there is no other."""
        kept = {name: item for name, item in groups.items() if name != "both"} or groups
        trials = [made for by_seed in kept.values() for by_pair in by_seed.values() for made in by_pair if made]
        self._line(kind, negatives, "all", trials)
        shown = next((name for name in GROUPS if name in kept), None)
        if shown is not None:
            self.choices[f"{kind}|{negatives}|all"] = self.choices[f"{kind}|{negatives}|{shown}"]

    def _line(self, measure: str, negatives: str, group: str, trials: Sequence[Sequence[Trials]]) -> None:
        """One line for each layer, over pairs and seeds."""
        if not trials:
            return
        wins = np.stack([np.mean([item.wins for item in made], axis=0) for made in trials])  # [pairs, layers, batches]
        for layer, label in enumerate(self._layers()):
            shares = wins[:, layer].mean(1)
            low, high = unit_interval(wins[:, layer].mean(0))
            self.lines.append(
                RetrievalLine(
                    measure=measure,
                    negatives=negatives,
                    pair_group=group,
                    layer=label,
                    accuracy=float(shares.mean()),
                    std=float(shares.std(ddof=1)) if len(shares) > 1 else float("nan"),
                    low=low,
                    high=high,
                    trials=int(wins[:, layer].size),
                    chance=self.chance,
                )
            )

    def _undefined(self, measure: str, negatives: str, reason: str) -> None:
        """A measure that cannot be judged: its reason instead of an accuracy."""
        nan = float("nan")
        for label in self._layers():
            self.lines.append(
                RetrievalLine(
                    measure=measure,
                    negatives=negatives,
                    pair_group="all",
                    layer=label,
                    accuracy=nan,
                    std=nan,
                    low=nan,
                    high=nan,
                    trials=0,
                    chance=self.chance,
                    reason=reason,
                )
            )
            self.records.append(
                RetrievalRecord(
                    task=self.task.task,
                    measure=measure,
                    protocol="untrained",
                    accuracy=nan,
                    low=nan,
                    high=nan,
                    trials=0,
                    chance=self.chance,
                    seed=None,
                    layer=label,
                    pair="",
                    pair_group="",
                    negatives=negatives,
                    reason=reason,
                )
            )

    def _layers(self) -> tuple[str, ...]:
        """Labels; `last` for a single layer, and numbers where the sources' layers have names of their own."""
        if self.depth == 1:
            return ("last",)
        names = [tuple(layer.layer.label for layer in layers) for layers in self.task.test.values()]
        return names[0] if len(set(names)) == 1 else tuple(str(k + 1) for k in range(self.depth))

    def _pair(self, place: int) -> str:
        a, b = self.task.pairs[place]
        return f"{self.names[a]} → {self.names[b]}"

    def result(self, **content: Any) -> RetrievalResult:
        """The finished result; texts and thumbnails are added by who knows them."""
        return RetrievalResult(
            task=self.task.task,
            records=tuple(self.records),
            lines=tuple(self.lines),
            choices=self.choices,
            sources=self.names,
            pairs=tuple((int(a), int(b)) for a, b in self.task.pairs),
            layers=self._layers(),
            batches=self.batches,
            random=self.random,
            neighbours=self.neighbours,
            samples=content.get("samples", {}),
            thumbnails=content.get("thumbnails"),
            recipe={**self.task.recipe, "n": str(len(self.matrices[0][0])), "batch": str(self.task.batch)},
            curves=self.curves,
            seconds=self.seconds,
        )


@dataclass(frozen=True, eq=False)
class Trials:
    """Outcomes [layers, batches]: choice (0 right, k distractor k, -1 tie or undefined), own and best other score."""

    chosen: NDArray[np.int8]
    own: NDArray[np.float64]
    best: NDArray[np.float64]

    @property
    def wins(self) -> NDArray[np.float64]:
        """1 where the true batch was chosen."""
        wins: NDArray[np.float64] = (self.chosen == 0).astype(np.float64)
        return wins


def random_distractors(rows: int, batches: NDArray[np.int32], count: int, seed: int) -> NDArray[np.int32]:
    """[batches, count, n] rows for each batch's distractors: none of its own rows, and none twice in a distractor.

    The distractors of a batch share no rows as long as there are enough.
    """
    random = np.random.RandomState(seed)
    n = batches.shape[1]
    found = np.empty((len(batches), count, n), dtype=np.int32)
    for place, batch in enumerate(batches):
        others = np.setdiff1d(np.arange(rows, dtype=np.int32), batch)
        if len(others) >= count * n:
            found[place] = random.choice(others, (count, n), replace=False)
        else:
            found[place] = np.stack([random.choice(others, n, replace=False) for _ in range(count)])
    return found


def judge_batches(
    a: Tensor, b: Tensor, batches: NDArray[np.int32], distractors: NDArray[np.int32], score: Batched
) -> tuple[NDArray[np.int8], NDArray[np.float64], NDArray[np.float64]]:
    """Choice, own score and best other score of each batch.

    Args:
        a: [rows, da] of the anchor's source.
        b: [rows, db] of the candidates' source.
        batches: [m, n] rows.
        distractors: [m, k, n] rows; a distractor with a missing row (-1) is left out.
        score: the measure.
    """
    count, k, n = distractors.shape
    size = max(1, CHUNK_FLOATS // max(1, (k + 1) * n * max(b.shape[1], n)))
    scores = torch.empty(count, k + 1, dtype=torch.float64)
    for first in range(0, count, size):
        part = torch.from_numpy(batches[first : first + size].astype(np.int64))
        others = torch.from_numpy(distractors[first : first + size].astype(np.int64))
        rows = torch.cat([part[:, None], others.clamp(min=0)], dim=1)
        found = score(a[part][:, None], b[rows]).double()
        found[:, 1:][(others < 0).any(2)] = -torch.inf
        scores[first : first + size] = found
    values = scores.numpy()
    own, rest = values[:, 0], np.where(np.isnan(values[:, 1:]), -np.inf, values[:, 1:])
    best = rest.max(1)
    margin = TIE * np.maximum(np.abs(own), np.where(np.isfinite(best), np.abs(best), 0))
    chosen = np.where(own > best + margin, 0, np.where(best > own + margin, rest.argmax(1) + 1, -1))
    chosen = np.where(np.isnan(own), -1, chosen)
    return chosen.astype(np.int8), own, best
