"""Which batch is the translation, or the caption, of this one (ContraSim, sections 6.2 and 6.3)?

Given a batch of rows of one source (a language, or a model), the measure has to find the same samples' rows of another
source among ten distractors: batches of other rows drawn at random, or batches of the j-th nearest rows of each true
row, by exact search in the raw representations of that source and layer. The measure wins if it finds the true batch
most similar. A tie is a miss, and so is an undefined trial (see `trials.judge_batches`).

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

from contrasim_core.activations.layer import Activations, check_paired
from contrasim_core.encoder.contrasim import ContraSim
from contrasim_core.encoder.result import TrainingCurve
from contrasim_core.encoder.spec import ENCODER_KINDS, EncoderKind
from contrasim_core.errors import EncoderError, RepresentationError, SpecError
from contrasim_core.measure.base import MeasureSpec
from contrasim_core.measure.batched import Batched, batched, why_undefined
from contrasim_core.measure.closed_form import closed_form
from contrasim_core.neighbours.search import MISSING, Search, neighbours_of
from contrasim_core.progress import Progress, share, silent
from contrasim_core.runs.retrieval.result import RetrievalResult
from contrasim_core.runs.retrieval.spec import Negatives
from contrasim_core.runs.retrieval.tally import GROUPS, Tally
from contrasim_core.runs.retrieval.trials import Trials, judge_batches, random_distractors

Encoders = Callable[[EncoderKind, Progress], Sequence[tuple[tuple[int, int], ContraSim]]]
"""Trained encoders of a kind, each with its pair of sources."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Retrieval:
    """The representations a benchmark runs on.

    Attributes:
        task: the benchmark, for the records.
        test: layers by source, all on the same test samples; layer l of a source is judged with layer l of another.
        pairs: ordered pairs of positions in `test`: anchor, candidates.
        batch: number of rows per batch.
        candidates: number of distractors per trial.
        search: how to search for neighbours.
        same: [sources] of [rows] numbers, equal for samples with equal content; None if all differ.
        train: layers by source on the training samples; needed by `contrasim.relative`.
        encoders: trains or loads encoders; needed by learned measures.
        own_pair: whether encoders are judged only on the pair they were trained on, as for image and caption.
        seed: seed of the random distractors.
        layers: labels of the layers; by default their own.
        neighbours: returns [layers, rows, candidates] of a source; by default they are computed here.
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
    layers: Sequence[str] | None = None
    neighbours: Callable[[int], NDArray[np.int32]] | None = None

    def __post_init__(self) -> None:
        depths = {name: len(layers) for name, layers in self.test.items()}
        if len(depths) < 2 or 0 in depths.values() or len(set(depths.values())) > 1:
            raise SpecError(
                f"This benchmark needs 2 or more sources with equally many layers. It got {depths or 'none'}."
            )
        first = next(iter(self.test.values()))[0]
        for layers in self.test.values():
            for layer in layers:
                check_paired(first, layer)
        if self.batch < 2 or self.candidates < 1:
            raise SpecError(
                f"batch is {self.batch} and candidates is {self.candidates}. They must be at least 2 and 1."
            )
        need = self.batch + max(self.batch, self.candidates + 1)
        if len(first.samples) < need:
            raise SpecError(
                f"There are {len(first.samples)} test samples. Batches of {self.batch} with {self.candidates} "
                f"distractors need at least {need}."
            )

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the layers: the names they share, or numbers if the names differ between sources."""
        if self.layers is not None:
            return tuple(self.layers)
        names = [tuple(layer.layer.label for layer in layers) for layers in self.test.values()]
        if len(names[0]) == 1:
            return (" / ".join(dict.fromkeys(name for (name,) in names)),)
        return names[0] if len(set(names)) == 1 else tuple(str(k + 1) for k in range(len(names[0])))

    def run(
        self, measures: Sequence[str], negatives: Sequence[Negatives], progress: Progress = silent
    ) -> RetrievalResult:
        """Judge every measure against every kind of distractor.

        Args:
            measures: ids, closed-form (options may follow the id) and learned.
            negatives: `random`, `faiss`.
            progress: called as the work proceeds.

        Raises:
            SpecError: if learned measures are requested without encoders.
        """
        run = _Run(self, negatives, progress, len(measures))
        for name in measures:
            run.judge(name)
        return run.result()


class _Run:
    """A benchmark run in progress."""

    def __init__(self, task: Retrieval, negatives: Sequence[Negatives], progress: Progress, steps: int) -> None:
        self.task, self.negatives, self.progress, self.steps = task, tuple(negatives), progress, steps
        self.names = tuple(task.test)
        self.matrices = [[layer.values for layer in layers] for layers in task.test.values()]
        self.depth = len(self.matrices[0])
        rows = len(self.matrices[0][0])
        count = rows // task.batch
        self.batches = np.arange(count * task.batch, dtype=np.int32).reshape(count, task.batch)
        self.random = random_distractors(rows, self.batches, task.candidates, task.seed)
        self.tally = Tally(
            task=task.task,
            pairs=[f"{self.names[a]} → {self.names[b]}" for a, b in task.pairs],
            layers=task.labels,
            batches=count,
            chance=1 / (task.candidates + 1),
        )
        self.curves: dict[str, list[TrainingCurve]] = {}
        self.seconds: dict[str, float] = {}
        self.done = 0
        self.neighbours = self._neighbours()

    def _neighbours(self) -> NDArray[np.int32]:
        """Return [sources, layers, rows, candidates], computed once for all measures."""
        task = self.task
        if "faiss" not in self.negatives:
            return np.zeros((0, 0, 0, 0), dtype=np.int32)
        started = time.monotonic()
        shape = (len(self.names), self.depth, len(self.matrices[0][0]), task.candidates)
        found = np.full(shape, MISSING, dtype=np.int32)
        for source in sorted({candidates for _, candidates in task.pairs}):
            self.progress(0, self.steps, f"Nearest neighbours: {self.names[source]}")
            search = task.neighbours or self._search
            found[source] = search(source)
        self.seconds["neighbours"] = round(time.monotonic() - started, 2)
        return found

    def _search(self, source: int) -> NDArray[np.int32]:
        same = self.task.same[source] if self.task.same is not None else None
        return neighbours_of(self.matrices[source], self.task.candidates, search=self.task.search, groups=same)

    def judge(self, name: str) -> None:
        """Judge one measure, with every encoder if it is learned."""
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
        reasons = {}
        for place, (a, b) in enumerate(self.task.pairs):
            widths = [(x.shape[1], y.shape[1]) for x, y in zip(self.matrices[a], self.matrices[b], strict=True)]
            found = [reason for reason in (why_undefined(spec, self.task.batch, *item) for item in widths) if reason]
            if found:
                reasons[place] = found[0]
        for negatives in self.negatives:
            if reasons:
                self.tally.undefined(spec.id, negatives, reasons, all_pairs=len(reasons) == len(self.task.pairs))
            judged = [
                [] if place in reasons else [self._trials(pair, negatives, score, *(self.matrices[k] for k in pair))]
                for place, pair in enumerate(self.task.pairs)
            ]
            if any(judged):
                self.tally.keep(spec.id, negatives, "all", {None: judged})

    def _learned(self, kind: EncoderKind) -> None:
        if self.task.encoders is None:
            raise SpecError(f"{kind} is learned, so it needs encoders. Give encoders and train.")
        try:
            encoders = self.task.encoders(kind, share(share(self.progress, self.done, self.steps), 0, 2))
            self.curves[kind] = [encoder.curve for _, encoder in encoders]
            found = self._judged_by(kind, encoders)
        except (EncoderError, RepresentationError) as error:  # the other measures are still judged
            reasons = dict.fromkeys(range(len(self.task.pairs)), str(error).rstrip("."))
            for negatives in self.negatives:
                self.tally.undefined(kind, negatives, reasons, all_pairs=True)
            return
        for negatives in self.negatives:
            groups = {group: found[negatives, group] for group in GROUPS if (negatives, group) in found}
            for group, by_seed in groups.items():
                self.tally.keep(kind, negatives, group, by_seed)
            self.tally.mean_of_groups(kind, negatives, groups)

    def _judged_by(
        self, kind: EncoderKind, encoders: Sequence[tuple[tuple[int, int], ContraSim]]
    ) -> dict[tuple[Negatives, str], dict[int | None, list[list[Trials]]]]:
        """Return trials of all encoders, by distractors and group of pairs."""
        found: dict[tuple[Negatives, str], dict[int | None, list[list[Trials]]]] = {}
        for number, (trained, encoder) in enumerate(encoders):
            done = self.done + (1 + number / len(encoders)) / 2
            self.progress(done, self.steps, f"{kind}: judging encoder {number + 1} of {len(encoders)}")
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
        return found

    def _encoded(self, encoder: ContraSim) -> list[list[Tensor]]:
        """Encode all rows of all sources and layers once; sources with widths unknown to the encoder are empty."""
        needed = {source for pair in self.task.pairs for source in pair}
        if self.task.own_pair:
            needed = {self.names.index(name) for name in encoder.models}
        return [
            [self._encode(encoder, source, layer) for layer in range(self.depth)] if source in needed else []
            for source in range(len(self.names))
        ]

    def _encode(self, encoder: ContraSim, source: int, layer: int) -> Tensor:
        """Encode the rows; rows that are not finite become NaN, so that only their trials are lost."""
        name = self.names[source]
        anchors = None
        if encoder.measure().needs_anchors:
            if self.task.train is None:
                raise SpecError("contrasim.relative needs representations of training samples. Give train.")
            anchors = encoder.anchors_of(self.task.train[name][layer])
        values = self.matrices[source][layer]
        whole = torch.isfinite(values).all(1)
        encoded = encoder.encode(values[whole], f"{name}, layer {layer + 1}", anchors)
        if bool(whole.all()):
            return encoded
        found = encoded.new_full((len(values), encoded.shape[1]), torch.nan)
        found[whole] = encoded
        return found

    def _trials(
        self, pair: tuple[int, int], negatives: Negatives, score: Batched, a: Sequence[Tensor], b: Sequence[Tensor]
    ) -> Trials:
        """Run all trials of a pair: every layer, every batch."""
        parts = []
        for layer in range(self.depth):
            distractors = self.random
            if negatives == "faiss":
                distractors = self.neighbours[pair[1], layer][self.batches].transpose(0, 2, 1)
            parts.append(judge_batches(a[layer], b[layer], self.batches, distractors, score))
        chosen, own, best = (np.stack([part[k] for part in parts]) for k in range(3))
        return Trials(chosen.astype(np.int16), own.astype(np.float64), best.astype(np.float64))

    def result(self, **content: Any) -> RetrievalResult:
        """Return the finished result; the caller adds texts and thumbnails."""
        return RetrievalResult(
            task=self.task.task,
            records=tuple(self.tally.records),
            lines=tuple(self.tally.lines),
            choices=self.tally.choices,
            sources=self.names,
            pairs=tuple((int(a), int(b)) for a, b in self.task.pairs),
            layers=tuple(self.task.labels),
            batches=self.batches,
            random=self.random,
            neighbours=self.neighbours,
            samples=content.get("samples", {}),
            thumbnails=content.get("thumbnails"),
            recipe={**self.task.recipe, "n": str(len(self.matrices[0][0])), "batch": str(self.task.batch)},
            curves=self.curves,
            seconds=self.seconds,
        )
