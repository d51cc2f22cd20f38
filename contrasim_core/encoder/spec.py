"""What an encoder is, and how encoders are trained. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from contrasim_core.activations.spec import ExtractionSpec
from contrasim_core.measure.facts import LEARNED_IDS, needs_anchors
from contrasim_core.refs import DatasetRef
from contrasim_core.spec import Spec, require

LossKind = Literal["supcon", "eq3"]


EncoderKind = Literal["contrasim", "contrasim.norm", "contrasim.relative", "deepdot", "deepcka"]
"""The learned measures of the table; spelled out for type checkers."""
ENCODER_KINDS: tuple[str, ...] = LEARNED_IDS


@dataclass(frozen=True, kw_only=True)
class EncoderSpec(Spec):
    """A ContraSim encoder, or one of its ablations: architecture, loss and training. Defaults are the paper's.

    Attributes:
        encoder: which learned measure this is. `contrasim` scores by mean dot product (eq. 2),
            `contrasim.norm` by 1 - distance (eq. 10), `contrasim.relative` reads rows as their similarities
            to anchor samples (arXiv:2209.15430); `deepdot` and `deepcka` are trained on positives only (eq. 4).
        hidden: widths of the hidden layers.
        out_dim: width of the encoding.
        loss: `supcon` is the supervised-contrastive form of the published code (mean over positives of the
            log-softmax over all other examples); `eq3` is the paper's equation 3 to the letter.
        temperature: tau of the loss.
        learning_rate: learning rate of Adam.
        weight_decay: weight decay of Adam.
        batch_rows: samples per training step.
        epochs: passes over the training samples.
        anchors: number of anchor samples of `contrasim.relative`; ignored by the others.
        held_out: share of the training samples held out for the accuracy curve.
        seed: sets initial weights, order of samples and choice of anchors.
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

    @property
    def is_relative(self) -> bool:
        """Whether rows are read as their similarities to anchor samples in the same model."""
        return needs_anchors((self.encoder,))

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
        require(all(width >= 1 for width in self.hidden), f"EncoderSpec.hidden is {self.hidden}. Widths must be 1+.")
        require(0 <= self.held_out < 1, f"EncoderSpec.held_out is {self.held_out}. It must be in [0, 1).")


@dataclass(frozen=True, kw_only=True)
class TrainSpec(Spec):
    """Encoders trained together on the same representations, one per seed; `encoder.seed` is not used.

    Attributes:
        encoder: what to train.
        sources: one extraction per model, all on the same training samples.
        layers: layer indices to train on, the same in every model; None for all but the embeddings (index 0).
        rows: cut the representations to this many rows (there are many words); None for all.
        seeds: one encoder per seed.
    """

    kind: ClassVar[str] = "encoders"
    revision: ClassVar[int] = 2
    encoder: EncoderSpec
    sources: tuple[ExtractionSpec, ...]
    layers: tuple[int, ...] | None = None
    rows: int | None = None
    seeds: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(len(self.sources) >= 2, f"TrainSpec.sources has {len(self.sources)} model(s). Give 2 or more.")
        require(len(self.seeds) >= 1, "TrainSpec.seeds is empty. Give at least one seed.")
        require(len(set(self.seeds)) == len(self.seeds), f"TrainSpec.seeds repeats a seed: {self.seeds}.")


@dataclass(frozen=True, kw_only=True)
class PairedSpec(Spec):
    """Encoders trained on pairs of sources (languages of a model, or models), one per pair and seed.

    Attributes:
        encoder: what to train; its own seed is not used.
        sources: one extraction per source, all on the same training samples.
        pairs: positions in `sources` of the two that each encoder is trained on.
        layers: layer indices, the same in every source; None for all but the embeddings (index 0).
        apart_from: test samples, one data set per source: training samples whose content is among them, in any
            source, are dropped.
        seeds: one encoder per seed and pair.
    """

    kind: ClassVar[str] = "pair-encoders"
    revision: ClassVar[int] = 2
    encoder: EncoderSpec
    sources: tuple[ExtractionSpec, ...]
    pairs: tuple[tuple[int, int], ...]
    layers: tuple[int, ...] | None = None
    apart_from: tuple[DatasetRef, ...] = ()
    seeds: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_pairs("PairedSpec", self.pairs, len(self.sources))
        require(
            len(self.apart_from) in (0, len(self.sources)),
            f"PairedSpec.apart_from has {len(self.apart_from)} data sets for {len(self.sources)} sources. Give one "
            "per source, or none.",
        )
        require(len(self.seeds) >= 1, "PairedSpec.seeds is empty. Give at least one seed.")
        require(len(set(self.seeds)) == len(self.seeds), f"PairedSpec.seeds repeats a seed: {self.seeds}.")


def check_pairs(owner: str, pairs: tuple[tuple[int, int], ...], sources: int) -> None:
    """Reject pairs that are not two different positions in a list of sources."""
    require(sources >= 2, f"{owner} has {sources} source(s). A pair needs 2.")
    require(len(pairs) >= 1, f"{owner}.pairs is empty. Give at least one pair of sources.")
    wrong = [pair for pair in pairs if len(pair) != 2 or pair[0] == pair[1] or not set(pair) <= set(range(sources))]
    require(not wrong, f"{owner}.pairs has {wrong[:1]}. Each must be two of the {sources} sources.")


PAPER = EncoderSpec()
"""Training options of arXiv:2303.16992, section 6."""


QUICK = EncoderSpec(epochs=8, batch_rows=128)
"""Training options for small models: small batches and few passes are enough for most, on two cores."""
