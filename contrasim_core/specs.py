"""What a run is asked to do: frozen, checked, and keyed by their content. Standard library only.

A spec says *what* to compute and never *where*: device, batch size and number of threads are not in it, because they
change the result by no more than rounding. Same spec, same key; every field changes the key.
"""

from __future__ import annotations

import json
import types
import typing
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any, ClassVar, Literal, Self, Union, get_args, get_origin

from contrasim_core.errors import SpecError
from contrasim_core.refs import DatasetRef, ModelRef, digest

SPEC_FORMAT = 1
Pooling = Literal["cls", "mean", "last", "word", "spatial-mean"]
Dtype = Literal["float32", "float16", "bfloat16"]
LossKind = Literal["supcon", "eq3"]
EncoderKind = Literal["contrasim", "contrasim.norm", "contrasim.relative", "deepdot", "deepcka"]
Protocol = Literal["seen", "unseen", "transfer"]
Negatives = Literal["random", "faiss"]
ENCODER_KINDS: tuple[str, ...] = get_args(EncoderKind)
PROTOCOLS: tuple[str, ...] = get_args(Protocol)


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Base of all specs: literal fields are checked on creation, and the key is a digest of everything."""

    kind: ClassVar[str] = "spec"
    revision: ClassVar[int] = 1
    """Raised when the same spec gives other results than before: what was kept of it is then not used again."""

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for item in fields(self):
            _check_literal(type(self).__name__, item.name, hints[item.name], getattr(self, item.name))

    @property
    def key(self) -> str:
        """Sixteen hex digits: the digest of the kind, the format number and every field."""
        kind = self.kind if self.revision == 1 else f"{self.kind} {self.revision}"
        return digest([json.dumps({"format": SPEC_FORMAT, "kind": kind, **asdict(self)}, sort_keys=True)])

    def to_json(self) -> str:
        """The spec as JSON text that `spec_from_json` reads back."""
        return json.dumps({"format": SPEC_FORMAT, "kind": self.kind, "spec": asdict(self)}, sort_keys=True, indent=1)

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed, checked again."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return type(self)(**{**values, **changes})


def _check_literal(owner: str, name: str, hint: Any, value: Any) -> None:
    options = _literal_options(hint)
    if options and value not in options:
        known = ", ".join(repr(option) for option in options)
        raise SpecError(f"{owner}.{name} is {value!r}. It can be: {known}.")


def _literal_options(hint: Any) -> tuple[Any, ...]:
    """The values a `Literal` (or a union of nothing but literals and None) allows; empty for other types."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    if get_origin(hint) in (Union, types.UnionType):
        parts = [(None,) if part is type(None) else _literal_options(part) for part in get_args(hint)]
        return sum(parts, ()) if all(parts) else ()
    return ()


def require(condition: bool, message: str) -> None:  # noqa: FBT001 - an assertion with a message
    """Raise `SpecError(message)` unless the condition holds."""
    if not condition:
        raise SpecError(message)


@dataclass(frozen=True, kw_only=True)
class ExtractionSpec(Spec):
    """One model run over one data set, pooled to one row per sample (or per word).

    Attributes:
        model: the model, pinned by fingerprint.
        data: the samples, pinned by fingerprint.
        layers: `"all"`, or layer indices (Hugging Face) or module names and globs (other modules).
        pooling: how positions become one row: see README, "Words".
        dtype: number format of the forward pass; pooling is done in float32 whatever it is.
        max_length: tokens after which a text is cut.
    """

    kind: ClassVar[str] = "activations"
    model: ModelRef
    data: DatasetRef
    layers: Literal["all"] | tuple[int | str, ...] = "all"
    pooling: Pooling = "mean"
    dtype: Dtype = "float32"
    max_length: int = 128

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.layers == "all" or len(self.layers) > 0, "ExtractionSpec.layers is empty. Name a layer, or 'all'.")
        require(self.max_length >= 1, f"ExtractionSpec.max_length is {self.max_length}. It must be 1 or more.")


@dataclass(frozen=True, kw_only=True)
class EncoderSpec(Spec):
    """A ContraSim encoder, or one of its ablations: architecture, loss and training. Defaults are the paper's.

    Attributes:
        encoder: which learned measure this is. `contrasim` scores by mean dot product (eq. 2),
            `contrasim.norm` by 1 - distance (eq. 10), `contrasim.relative` sees rows through their similarities
            to anchor samples (arXiv:2209.15430); `deepdot` and `deepcka` are trained on positives only (eq. 4).
        hidden: widths of the hidden layers.
        out_dim: width of the encoding.
        loss: `supcon` is the supervised-contrastive form of the published code (mean over positives of the
            log-softmax over all other examples); `eq3` is the paper's equation 3 to the letter.
        temperature: tau of the loss.
        learning_rate: of Adam.
        weight_decay: of Adam.
        batch_rows: samples per training step.
        epochs: passes over the training samples.
        anchors: anchor samples of `contrasim.relative`; ignored by the others.
        held_out: share of the training samples kept back for the accuracy curve.
        seed: initial weights, order of samples, choice of anchors.
    """

    kind: ClassVar[str] = "encoder"
    encoder: EncoderKind = "contrasim"
    hidden: tuple[int, ...] = (512, 256)
    out_dim: int = 128
    loss: LossKind = "supcon"
    temperature: float = 0.07
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    batch_rows: int = 1024
    epochs: int = 50
    anchors: int = 128
    held_out: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("temperature", "learning_rate"):
            require(getattr(self, name) > 0, f"EncoderSpec.{name} is {getattr(self, name)}. It must be above 0.")
        for name, least in (("out_dim", 1), ("batch_rows", 4), ("epochs", 1), ("anchors", 2)):
            require(
                getattr(self, name) >= least,
                f"EncoderSpec.{name} is {getattr(self, name)}. It must be {least} or more.",
            )
        require(self.weight_decay >= 0, f"EncoderSpec.weight_decay is {self.weight_decay}. It must be 0 or more.")
        require(all(width >= 1 for width in self.hidden), f"EncoderSpec.hidden is {self.hidden}. Widths start at 1.")
        require(0 <= self.held_out < 1, f"EncoderSpec.held_out is {self.held_out}. It must be in [0, 1).")


@dataclass(frozen=True, kw_only=True)
class TrainSpec(Spec):
    """Encoders trained together on the same representations, one per seed; `encoder.seed` is not used.

    Attributes:
        encoder: what to train.
        sources: one extraction per model, all on the same training samples.
        layers: layer indices to train on, the same in every model; None for all.
        rows: cut the representations to this many rows (words are many); None for all.
        seeds: one encoder each.
    """

    kind: ClassVar[str] = "encoders"
    encoder: EncoderSpec
    sources: tuple[ExtractionSpec, ...]
    layers: tuple[int, ...] | None = None
    rows: int | None = None
    seeds: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(len(self.sources) >= 2, f"TrainSpec.sources has {len(self.sources)} model(s). Training contrasts 2+.")
        require(len(self.seeds) >= 1, "TrainSpec.seeds is empty. Give at least one seed.")
        require(len(set(self.seeds)) == len(self.seeds), f"TrainSpec.seeds repeats a seed: {self.seeds}.")


@dataclass(frozen=True, kw_only=True)
class CompareSpec(Spec):
    """Two models, layer by layer, under several measures.

    Attributes:
        a: rows of the grids.
        b: columns of the grids; on the same data as `a`.
        measures: measure ids, closed-form or learned.
        encoders: for learned measures, keys of finished `TrainSpec` runs.
        groups: groups of the delete-a-group jackknife behind the intervals; 0 for no intervals.
    """

    kind: ClassVar[str] = "comparison"
    a: ExtractionSpec
    b: ExtractionSpec
    measures: tuple[str, ...] = ("cka.linear",)
    encoders: tuple[str, ...] = ()
    groups: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        require(len(self.measures) >= 1, "CompareSpec.measures is empty. Choose at least one measure.")
        require(self.groups == 0 or self.groups >= 2, f"CompareSpec.groups is {self.groups}. It must be 0, or 2+.")
        require(
            self.a.data == self.b.data,
            f"The two sides use different data ({self.a.data.label} and {self.b.data.label}). "
            "Layers can be compared only on the same samples.",
        )


@dataclass(frozen=True, kw_only=True)
class BenchmarkSpec(Spec):
    """Layer prediction among models that differ in their initialisation.

    Attributes:
        task: the benchmark.
        models: the models, all of one architecture.
        train: samples the encoders are trained on.
        test: samples the measures are judged on.
        transfer_test: test samples of the second data set, for `transfer`; None to leave that protocol out.
        measures: measure ids, closed-form and learned.
        protocols: which of seen, unseen and transfer to run.
        pairs: `disjoint` (0,1), (2,3), ... as in the paper, or `all` ordered pairs.
        unseen_models: how many models at the end of the list `unseen` keeps from training.
        pooling: how positions become rows.
        layers: layer indices, or None for all but the embeddings (index 0), as in the paper.
        rows: cut the representations to this many rows (words are many); None for all.
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
    encoder: EncoderSpec = EncoderSpec()
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)

    def __post_init__(self) -> None:
        super().__post_init__()
        for protocol in self.protocols:
            _check_literal("BenchmarkSpec", "protocols", Protocol, protocol)
        require(len(self.models) >= 2, f"BenchmarkSpec.models has {len(self.models)} model(s). A pair needs 2.")
        require(len(self.measures) >= 1, "BenchmarkSpec.measures is empty. Choose at least one measure.")
        require(len(self.protocols) >= 1, "BenchmarkSpec.protocols is empty. Choose seen, unseen or transfer.")
        if "unseen" in self.protocols:
            kept = len(self.models) - self.unseen_models
            require(
                self.unseen_models >= 2 and kept >= 2,
                f"'unseen' keeps {self.unseen_models} of {len(self.models)} models from training; it needs at least 2 "
                "kept back and 2 to train on. Give more models, or leave the protocol out.",
            )
        if "transfer" in self.protocols:
            require(self.transfer_test is not None, "'transfer' needs BenchmarkSpec.transfer_test, a second data set.")


@dataclass(frozen=True, kw_only=True)
class PairedSpec(Spec):
    """Encoders trained on pairs of sources (languages of a model, or models), one per pair and seed.

    Attributes:
        encoder: what to train; its own seed is not used.
        sources: one extraction per source, all on the same training samples.
        pairs: places in `sources` that each encoder is trained on.
        layers: layer indices, the same in every source; None for all but the embeddings (index 0).
        leave_out: places of training samples that are left out because the test samples have them too.
        seeds: one encoder each, for every pair.
    """

    kind: ClassVar[str] = "pair-encoders"
    encoder: EncoderSpec
    sources: tuple[ExtractionSpec, ...]
    pairs: tuple[tuple[int, int], ...]
    layers: tuple[int, ...] | None = None
    leave_out: tuple[int, ...] = ()
    seeds: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_pairs("PairedSpec", self.pairs, len(self.sources))
        require(len(self.seeds) >= 1, "PairedSpec.seeds is empty. Give at least one seed.")
        require(len(set(self.seeds)) == len(self.seeds), f"PairedSpec.seeds repeats a seed: {self.seeds}.")


@dataclass(frozen=True, kw_only=True)
class RetrievalSpec(Spec):
    """The multilingual or the image-caption benchmark: which batch is the translation, or the caption, of this one?

    Attributes:
        task: the benchmark.
        train: one extraction per source (language, or model), on the samples the encoders are trained on.
        test: the same sources on the samples the measures are judged on.
        pairs: ordered pairs of sources: anchor, candidates.
        layers: layer indices, the same in every source; None for all but the embeddings (index 0).
        measures: measure ids, closed-form and learned.
        negatives: kinds of distractors.
        batch: rows of a batch.
        candidates: distractors of a trial.
        metric: how FAISS measures distance: `l2` or inner product.
        index: `flat` is exact; `ivf` is for pools of millions.
        encoder: training options of the learned measures.
        seeds: encoder seeds.
    """

    kind: ClassVar[str] = "retrieval"
    revision: ClassVar[int] = 2
    task: Literal["multilingual", "image-caption"]
    train: tuple[ExtractionSpec, ...]
    test: tuple[ExtractionSpec, ...]
    pairs: tuple[tuple[int, int], ...]
    layers: tuple[int, ...] | None = None
    measures: tuple[str, ...] = ("cka.linear",)
    negatives: tuple[Negatives, ...] = ("random", "faiss")
    batch: int = 8
    candidates: int = 10
    metric: Literal["l2", "ip"] = "l2"
    index: Literal["flat", "ivf"] = "flat"
    encoder: EncoderSpec = EncoderSpec(epochs=30)
    seeds: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        super().__post_init__()
        for item in self.negatives:
            _check_literal("RetrievalSpec", "negatives", Negatives, item)
        _check_pairs("RetrievalSpec", self.pairs, len(self.test))
        require(
            len(self.train) == len(self.test),
            f"RetrievalSpec has {len(self.train)} sources to train on and {len(self.test)} to test on.",
        )
        require(len(self.measures) >= 1, "RetrievalSpec.measures is empty. Choose at least one measure.")
        require(len(self.negatives) >= 1, "RetrievalSpec.negatives is empty. Choose random or faiss.")
        require(self.batch >= 2, f"RetrievalSpec.batch is {self.batch}. It must be 2 or more.")
        require(self.candidates >= 1, f"RetrievalSpec.candidates is {self.candidates}. It must be 1 or more.")

    @property
    def names(self) -> tuple[str, ...]:
        """What the sources are called."""
        return names_of(self.test)

    @property
    def trained_pairs(self) -> tuple[tuple[int, int], ...]:
        """Pairs that encoders are trained on: each once, because training treats both sides alike."""
        return tuple(dict.fromkeys((min(pair), max(pair)) for pair in self.pairs))

    def training(self, encoder: EncoderKind, leave_out: tuple[int, ...] = ()) -> PairedSpec:
        """The training of one learned measure."""
        return PairedSpec(
            encoder=self.encoder.replace(encoder=encoder),
            sources=self.train,
            pairs=self.trained_pairs,
            layers=self.layers,
            leave_out=leave_out,
            seeds=self.seeds,
        )


@dataclass(frozen=True, kw_only=True)
class NeighboursSpec(Spec):
    """The nearest rows of every row, in layers of one source.

    Attributes:
        source: the extraction.
        layers: layer indices; None for all but the embeddings.
        k: neighbours of each row.
        metric: `l2` or inner product.
        index: `flat` is exact.
    """

    kind: ClassVar[str] = "neighbours"
    source: ExtractionSpec
    layers: tuple[int, ...] | None = None
    k: int = 10
    metric: Literal["l2", "ip"] = "l2"
    index: Literal["flat", "ivf"] = "flat"


@dataclass(frozen=True, kw_only=True)
class ProjectionSpec(Spec):
    """Rows of several sources in two dimensions, before and after an encoder.

    Attributes:
        sources: languages of a model, or models; all on the same samples.
        training: the encoders one of which is shown; None for the raw rows alone.
        pair: place, in the training's pairs, of the encoder that is shown (its first seed).
        layer: index of the layer; -1 for the last.
        items: samples shown; 0 for all.
        method: `pca` or `umap`.
        neighbours: of UMAP.
        seed: of UMAP.
    """

    kind: ClassVar[str] = "projection"
    revision: ClassVar[int] = 2
    sources: tuple[ExtractionSpec, ...]
    training: PairedSpec | None = None
    pair: int = 0
    layer: int = -1
    items: int = 50
    method: Literal["pca", "umap"] = "pca"
    neighbours: int = 15
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(len(self.sources) >= 1, "ProjectionSpec.sources is empty. Give at least one.")
        require(self.items >= 0, f"ProjectionSpec.items is {self.items}. It must be 0 (all) or more.")
        require(self.neighbours >= 2, f"ProjectionSpec.neighbours is {self.neighbours}. It must be 2 or more.")
        pairs = len(self.training.pairs) if self.training is not None else 1
        require(0 <= self.pair < pairs, f"ProjectionSpec.pair is {self.pair}; the training has {pairs} pairs.")

    @property
    def names(self) -> tuple[str, ...]:
        """What the sources are called."""
        return names_of(self.sources)


def names_of(sources: tuple[ExtractionSpec, ...]) -> tuple[str, ...]:
    """What sources are called: sides of the data where one model reads them all, else models; each name once."""
    if len({item.model for item in sources}) == 1:
        names = [(item.data.column or item.data.label).partition(" of ")[0] for item in sources]
    else:
        names = [item.model.label for item in sources]
    met = [names[: place + 1].count(name) for place, name in enumerate(names)]
    return tuple(name if time == 1 else f"{name} ({time})" for name, time in zip(names, met, strict=True))


def _check_pairs(owner: str, pairs: tuple[tuple[int, int], ...], sources: int) -> None:
    require(sources >= 2, f"{owner} has {sources} source(s). A pair needs 2.")
    require(len(pairs) >= 1, f"{owner}.pairs is empty. Give at least one pair of sources.")
    wrong = [pair for pair in pairs if len(pair) != 2 or pair[0] == pair[1] or not set(pair) <= set(range(sources))]
    require(not wrong, f"{owner}.pairs has {wrong[:1]}, which are no two of the {sources} sources.")


SPECS: tuple[type[Spec], ...] = (
    ExtractionSpec,
    EncoderSpec,
    TrainSpec,
    CompareSpec,
    BenchmarkSpec,
    PairedSpec,
    RetrievalSpec,
    NeighboursSpec,
    ProjectionSpec,
)


def spec_from_json(text: str) -> Spec:
    """The spec that `to_json` wrote.

    Raises:
        SpecError: if the text is no spec of this format.
    """
    try:
        data = json.loads(text)
        kinds = {spec.kind: spec for spec in SPECS}
        require(
            data["format"] == SPEC_FORMAT, f"This spec has format {data['format']}; this version reads {SPEC_FORMAT}."
        )
        spec: Spec = _decode(kinds[data["kind"]], data["spec"])
    except (KeyError, TypeError, AttributeError, StopIteration, json.JSONDecodeError) as error:
        raise SpecError(f"This is not a spec written by contrasim ({type(error).__name__}: {error}).") from error
    return spec


def _decode(hint: Any, value: Any) -> Any:
    """Rebuild dataclasses and tuples from what JSON made of them, by the declared type."""
    if is_dataclass(hint) and isinstance(hint, type):
        hints = typing.get_type_hints(hint)
        unknown = set(value) - {item.name for item in fields(hint)}
        require(not unknown, f"{hint.__name__} has no field {', '.join(sorted(unknown))}.")
        return hint(**{name: _decode(hints[name], item) for name, item in value.items()})
    if get_origin(hint) in (Union, types.UnionType):
        return _decode_union(get_args(hint), value)
    if get_origin(hint) is tuple and isinstance(value, list):
        return tuple(_decode(get_args(hint)[0], item) for item in value)
    return value


def _decode_union(options: tuple[Any, ...], value: Any) -> Any:
    if isinstance(value, list):
        return _decode(next(option for option in options if get_origin(option) is tuple), value)
    if isinstance(value, dict):
        return _decode(next(option for option in options if is_dataclass(option)), value)
    return value
