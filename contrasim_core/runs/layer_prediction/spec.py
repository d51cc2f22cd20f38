"""Layer prediction: the request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from contrasim_core.activations.spec import ExtractionSpec
from contrasim_core.encoder.spec import EncoderKind, EncoderSpec, TrainSpec
from contrasim_core.refs import DatasetRef, ModelRef, Pooling
from contrasim_core.spec import Spec, check_literal, require

Protocol = Literal["seen", "unseen", "transfer"]


PROTOCOLS: tuple[str, ...] = get_args(Protocol)


@dataclass(frozen=True, kw_only=True)
class BenchmarkSpec(Spec):
    """Layer prediction among models that differ in their initialisation.

    Attributes:
        task: the benchmark.
        models: the models, all of one architecture.
        train: samples the encoders are trained on.
        test: samples the measures are judged on.
        transfer_test: test samples of the second data set, for `transfer`; None without that protocol.
        measures: measure ids, closed-form and learned.
        protocols: which of seen, unseen and transfer to run.
        pairs: `disjoint` (0,1), (2,3), ... as in the paper, or `all` ordered pairs.
        unseen_models: how many models at the end of the list `unseen` holds out of training.
        pooling: how positions become rows.
        layers: layer indices, or None for all but the embeddings (index 0), as in the paper.
        rows: cut the representations to this many rows (there are many words); None for all.
        encoder: training options of the learned measures.
        seeds: encoder seeds.
    """

    kind: ClassVar[str] = "benchmark"
    task: Literal["layer-prediction"] = "layer-prediction"
    models: tuple[ModelRef, ...]
    train: DatasetRef
    test: DatasetRef
    transfer_test: DatasetRef | None = None
    measures: tuple[str, ...] = ("cka.linear",)
    protocols: tuple[Protocol, ...] = ("seen", "unseen")
    pairs: Literal["disjoint", "all"] = "all"
    unseen_models: int = 4
    pooling: Pooling = "cls"
    layers: tuple[int, ...] | None = None
    rows: int | None = None
    encoder: EncoderSpec = EncoderSpec()  # noqa: RUF009 - frozen
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)

    def __post_init__(self) -> None:
        super().__post_init__()
        for protocol in self.protocols:
            check_literal("BenchmarkSpec", "protocols", Protocol, protocol)
        require(len(self.models) >= 2, f"BenchmarkSpec.models has {len(self.models)} model(s). A pair needs 2.")
        require(len(self.measures) >= 1, "BenchmarkSpec.measures is empty. Choose at least one measure.")
        require(len(self.protocols) >= 1, "BenchmarkSpec.protocols is empty. Choose seen, unseen or transfer.")
        if "unseen" in self.protocols:
            kept = len(self.models) - self.unseen_models
            require(
                self.unseen_models >= 2 and kept >= 2,
                f"'unseen' holds {self.unseen_models} of {len(self.models)} models out of training; it needs 2 or "
                "more held out and 2 or more to train on. Give more models, or remove the protocol.",
            )
        if "transfer" in self.protocols:
            require(self.transfer_test is not None, "'transfer' needs BenchmarkSpec.transfer_test, a second data set.")

    def source(self, model: ModelRef, data: DatasetRef) -> ExtractionSpec:
        """Return the extraction of one model on one data set."""
        return ExtractionSpec(model=model, data=data, pooling=self.pooling)

    def trained_on(self, protocol: Protocol) -> tuple[ModelRef, ...]:
        """Return the models that encoders are trained on under a protocol."""
        return self.models[: -self.unseen_models] if protocol == "unseen" else self.models

    def training(self, kind: EncoderKind, models: tuple[ModelRef, ...]) -> TrainSpec:
        """Return the training of one learned measure on some of the models."""
        return TrainSpec(
            encoder=self.encoder.replace(encoder=kind),
            sources=tuple(self.source(model, self.train) for model in models),
            layers=self.layers,
            rows=self.rows,
            seeds=self.seeds,
        )
