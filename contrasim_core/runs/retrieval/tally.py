"""From the outcomes of trials to records, lines and choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from contrasim_core.runs.intervals import unit_interval, wilson
from contrasim_core.runs.retrieval.result import UNDEFINED, Choices, RetrievalLine, RetrievalRecord
from contrasim_core.runs.retrieval.trials import Trials

GROUPS = ("none", "one", "both")


Judged = Mapping[int | None, Sequence[Sequence[Trials]]]
"""Trials by encoder seed (None for closed-form measures), then by pair, then by encoder."""


NAN = float("nan")


@dataclass(eq=False, kw_only=True)
class Tally:
    """The counts of a benchmark so far.

    Attributes:
        task: the benchmark, for the records.
        pairs: names of the ordered pairs.
        layers: labels of the layers.
        batches: number of batches.
        chance: the accuracy of guessing.
    """

    task: str
    pairs: Sequence[str]
    layers: Sequence[str]
    batches: int
    chance: float
    records: list[RetrievalRecord] = field(default_factory=list)
    lines: list[RetrievalLine] = field(default_factory=list)
    choices: dict[str, Choices] = field(default_factory=dict)

    def keep(self, measure: str, negatives: str, group: str, judged: Judged) -> None:
        """Add records, lines and choices of one group of pairs."""
        for seed, by_pair in judged.items():
            for place, trials in enumerate(by_pair):
                if trials:
                    self._records(measure, negatives, group, seed, place, trials)
        self._lines(measure, negatives, group, _flat(judged))
        self.choices[f"{measure}|{negatives}|{group}"] = self._chosen(judged)

    def mean_of_groups(self, measure: str, negatives: str, groups: Mapping[str, Judged]) -> None:
        """Add the line `all`: all pairs except the one an encoder was trained on, unless it is the only one."""
        kept = {name: item for name, item in groups.items() if name != "both"} or groups
        self._lines(measure, negatives, "all", [trials for judged in kept.values() for trials in _flat(judged)])
        shown = next((name for name in GROUPS if name in kept), None)
        if shown is not None:
            self.choices[f"{measure}|{negatives}|all"] = self.choices[f"{measure}|{negatives}|{shown}"]

    def undefined(self, measure: str, negatives: str, reasons: Mapping[int, str], *, all_pairs: bool) -> None:
        """Add the reason instead of an accuracy for a measure that cannot be judged on some pairs.

        Args:
            measure: id of the measure.
            negatives: kind of distractors.
            reasons: reasons by position of the pair.
            all_pairs: whether no pair remains for a line.
        """
        nothing = {"accuracy": NAN, "low": NAN, "high": NAN, "trials": 0, "chance": self.chance}
        for layer in self.layers:
            known = {"measure": measure, "negatives": negatives, "layer": layer, **nothing}
            if all_pairs:
                first = next(iter(reasons.values()))
                self.lines.append(RetrievalLine(**known, pair_group="all", std=NAN, reason=first))  # type: ignore[arg-type]
            self.records += [
                RetrievalRecord(
                    **known,  # type: ignore[arg-type]
                    task=self.task,
                    protocol="untrained",
                    seed=None,
                    pair=self.pairs[place],
                    pair_group="",
                    reason=reason,
                )
                for place, reason in reasons.items()
            ]

    def _records(
        self, measure: str, negatives: str, group: str, seed: int | None, place: int, trials: Sequence[Trials]
    ) -> None:
        wins = np.mean([item.wins for item in trials], axis=0)  # [layers, batches]
        for layer, label in enumerate(self.layers):
            share = float(wins[layer].mean())
            low, high = wilson(share, self.batches)
            self.records.append(
                RetrievalRecord(
                    task=self.task,
                    measure=measure,
                    protocol="untrained" if seed is None else "seen" if group == "both" else "unseen",
                    accuracy=share,
                    low=low,
                    high=high,
                    trials=self.batches,
                    chance=self.chance,
                    seed=seed,
                    layer=label,
                    pair=self.pairs[place],
                    pair_group="" if seed is None else group,
                    negatives=negatives,
                )
            )

    def _lines(self, measure: str, negatives: str, group: str, trials: Sequence[Trials]) -> None:
        """Add one line per layer, over pairs, encoders and seeds with equal weight."""
        if not trials:
            return
        wins = np.stack([item.wins for item in trials])  # [pairs and encoders, layers, batches]
        for layer, label in enumerate(self.layers):
            shares = wins[:, layer].mean(1)
            low, high = unit_interval(wins[:, layer].mean(0), len(wins))
            self.lines.append(
                RetrievalLine(
                    measure=measure,
                    negatives=negatives,
                    pair_group=group,
                    layer=label,
                    accuracy=float(shares.mean()),
                    std=float(shares.std(ddof=1)) if len(shares) > 1 else NAN,
                    low=low,
                    high=high,
                    trials=int(wins[:, layer].size),
                    chance=self.chance,
                )
            )

    def _chosen(self, judged: Judged) -> Choices:
        """Return the choices of the first encoder of each pair, and the share of all encoders that were right."""
        shape = (len(self.layers), self.batches)
        nothing = Trials(np.full(shape, UNDEFINED), np.full(shape, NAN), np.full(shape, NAN))
        by_pair = [[item for made in judged.values() for item in made[place]] for place in range(len(self.pairs))]
        first = [trials[0] if trials else nothing for trials in by_pair]
        won = [np.mean([item.wins for item in trials], axis=0) if trials else nothing.own for trials in by_pair]
        return Choices(
            chosen=np.stack([item.chosen for item in first]).astype(np.int16),
            own=np.stack([item.own for item in first]).astype(np.float32),
            best=np.stack([item.best for item in first]).astype(np.float32),
            won=np.stack(won).astype(np.float32),
        )


def _flat(judged: Judged) -> list[Trials]:
    return [item for by_pair in judged.values() for trials in by_pair for item in trials]
