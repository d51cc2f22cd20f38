"""An encoder as an object with fit, transform and similarity, and as a measure like any other."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from contrasim_core.activations.layer import Activations, Matrix, as_matrix, check_paired
from contrasim_core.encoder.fitting import Fitted, Models, check_finite, finite_values, fit
from contrasim_core.encoder.loop import Trained
from contrasim_core.encoder.measures import learned_measure
from contrasim_core.encoder.net import encode, widths
from contrasim_core.encoder.relative import relative
from contrasim_core.encoder.result import TrainingCurve
from contrasim_core.encoder.spec import EncoderSpec
from contrasim_core.errors import (
    DamagedArtifactError,
    EncoderError,
    ForeignFormatError,
    ShapeError,
    UnseenModelWarning,
)
from contrasim_core.measure.base import MeasureSpec
from contrasim_core.measure.grid import unseen_note
from contrasim_core.models.device import pick_device
from contrasim_core.progress import Progress, silent
from contrasim_core.spec import spec_from_json

ENCODER_FORMAT = 1


class ContraSim:
    """ContraSim (arXiv:2303.16992), one of its ablations, or the relative kind, depending on `EncoderSpec.encoder`.

    >>> encoder = ContraSim(epochs=20).fit([layers_of_model_a, layers_of_model_b])   # doctest: +SKIP
    >>> encoder.similarity(x, y)                                                    # doctest: +SKIP
    """

    def __init__(self, spec: EncoderSpec | None = None, **options: Any) -> None:
        self.spec = (spec or EncoderSpec()).replace(**options) if options else spec or EncoderSpec()
        self._trained: Trained | None = None
        self.models: tuple[str, ...] = ()
        self.layers: tuple[str, ...] = ()
        self.anchor_ids: tuple[str, ...] = ()
        self.sample_fingerprint = ""

    def __repr__(self) -> str:
        state = f"trained on {len(self.models)} models" if self._trained else "not trained"
        return f"ContraSim({self.spec.encoder}, seed {self.spec.seed}, {state})"

    def fit(self, models: Models, *, device: str = "auto", progress: Progress = silent) -> Self:
        """Train on layers of several models on the same samples: the same layer of other models against all else.

        Args:
            models: one list of layers per model, as activations or matrices [n, d]; or a flat list of activations.
                Every model has the same number of layers. Widths may differ: a plain encoder gets one input head
                per width, the relative kind needs only one.
            device: where to train.
            progress: called after each epoch.

        Raises:
            PairingError: if two activations come from different samples.
            EncoderError: if the models have different numbers of layers, or too few.
            NotFiniteError: if a layer contains NaN or infinity.
        """
        self._adopt(fit(self.spec, (self.spec.seed,), models, device, progress)[0])
        return self

    @classmethod
    def fit_seeds(
        cls,
        spec: EncoderSpec,
        seeds: Sequence[int],
        models: Models,
        *,
        device: str = "auto",
        progress: Progress = silent,
    ) -> list[ContraSim]:
        """Train one encoder per seed in one batched computation; arguments as for `fit`."""
        return [cls(item.spec)._adopt(item) for item in fit(spec, tuple(seeds), models, device, progress)]

    @classmethod
    def fit_pairs(
        cls,
        spec: EncoderSpec,
        sources: Mapping[str, Sequence[Activations]],
        pairs: Sequence[tuple[int, int]],
        seeds: Sequence[int] = (0,),
        *,
        device: str = "auto",
        progress: Progress = silent,
    ) -> list[ContraSim]:
        """Train encoders on paired rows: a sentence and its translation, an image and its caption.

        All pairs and seeds are trained as one batched computation.

        Args:
            spec: architecture, loss and schedule.
            sources: layers by language, or by model; the same number for each, all on the same samples.
            pairs: positions in `sources` of the two that each encoder is trained on.
            seeds: one encoder per seed and pair.
            device: where to train.
            progress: called after each epoch.

        Returns:
            Encoders ordered by pair, then by seed; `models` names the two sources of each.

        Raises:
            PairingError: if two sources come from different samples.
            EncoderError: if there are too few rows, or the sources' layers do not match.
            NotFiniteError: if a layer contains NaN or infinity.
        """
        from contrasim_core.encoder.paired import Sides, train_pairs

        layers = [list(items) for items in sources.values()]
        for layer in (layer for items in layers for layer in items):
            check_paired(layers[0][0], layer)
        names = tuple(sources)
        sides = Sides(tuple(tuple(finite_values(layer) for layer in items) for items in layers), names)
        trained = train_pairs(sides, spec, pairs, seeds, device=pick_device(device), progress=progress)
        ids, fingerprint = layers[0][0].samples.ids, layers[0][0].samples.fingerprint
        found = []
        for (pair, _seed), item in zip([(pair, seed) for pair in pairs for seed in seeds], trained, strict=True):
            encoder = cls(item.spec)
            encoder._trained = item
            encoder.models = (names[pair[0]], names[pair[1]])
            encoder.layers = tuple(layer.layer.label for layer in layers[pair[0]])
            encoder.anchor_ids = tuple(ids[row] for row in item.anchors)
            encoder.sample_fingerprint = fingerprint
            found.append(encoder)
        return found

    def _adopt(self, fitted: Fitted) -> Self:
        self.spec, self._trained = fitted.spec, fitted.trained
        self.models, self.layers = fitted.models, fitted.layers
        self.anchor_ids, self.sample_fingerprint = fitted.anchor_ids, fitted.sample_fingerprint
        return self

    @property
    def trained(self) -> Trained:
        """Weights and curve.

        Raises:
            EncoderError: before `fit` or `load`.
        """
        if self._trained is None:
            raise EncoderError("This encoder is not trained. Call .fit(...) or ContraSim.load(path) first.")
        return self._trained

    @property
    def curve(self) -> TrainingCurve:
        """Loss and held-out accuracy by epoch."""
        return self.trained.curve

    @property
    def is_relative(self) -> bool:
        """Whether rows are expressed relative to anchor samples, so that any model can be scored."""
        return self.spec.is_relative

    def anchors_of(self, activations: Activations) -> Float[Tensor, "k d"]:
        """Return the anchor rows of a layer, from its activations on (at least) the anchor samples, matched by id.

        Raises:
            EncoderError: if an anchor sample is missing.
        """
        place = {name: row for row, name in enumerate(activations.samples.ids)}
        missing = [name for name in self.anchor_ids if name not in place]
        if missing:
            raise EncoderError(
                f"{activations.layer} lacks {len(missing)} of {len(self.anchor_ids)} anchor samples, such as "
                f"{missing[0]!r}. Extract the layer on the samples this encoder was trained on."
            )
        return activations.values[[place[name] for name in self.anchor_ids]]

    def transform(self, x: Matrix | Activations, anchors: Matrix | Activations | None = None) -> Float[Tensor, "n k"]:
        """Encode rows.

        Args:
            x: [n, d] rows of one layer.
            anchors: for the relative kind, the same layer on the anchor samples: a matrix in the order of
                `anchor_ids`, or activations that contain them.

        Raises:
            EncoderError: if anchors are missing or do not belong to this layer.
            ShapeError: if the encoder was not trained on this width.
            NotFiniteError: if a layer contains NaN or infinity.
        """
        name = str(x.layer) if isinstance(x, Activations) else "x"
        rows = x.values if isinstance(x, Activations) else as_matrix(x, name)
        reference = self.anchors_of(anchors) if isinstance(anchors, Activations) else anchors
        return self.encode(rows, name, None if reference is None else as_matrix(reference, f"anchors of {name}"))

    def encode(
        self, rows: Float[Tensor, "n d"], name: str, anchors: Float[Tensor, "k d"] | None
    ) -> Float[Tensor, "n k"]:
        """Encode rows given as tensors; see `transform`."""
        weights = self.trained.weights
        known = widths(weights)
        check_finite(rows, name)
        if self.is_relative:
            if anchors is None or len(anchors) not in known:
                given = "none" if anchors is None else str(len(anchors))
                raise EncoderError(
                    f"contrasim.relative needs the {known[0]} anchor samples' representations of {name} "
                    f"({given} given). Pass anchors=, the same layer on the samples named in .anchor_ids."
                )
            rows = relative(rows, anchors)
        elif rows.shape[1] not in known:
            raise ShapeError(
                f"{name} has {rows.shape[1]} columns; this encoder was trained on {' and '.join(map(str, known))}. A "
                "plain encoder reads the widths it was trained on; contrasim.relative reads any."
            )
        with torch.no_grad():
            return encode(weights, rows.float().cpu())

    def similarity(
        self,
        x: Matrix | Activations,
        y: Matrix | Activations,
        anchors: tuple[Matrix | Activations, Matrix | Activations] | None = None,
    ) -> float:
        """Return how similar this encoder finds two representations of the same samples.

        Activations of models that a plain encoder was not trained on raise an `UnseenModelWarning`.

        Args:
            x: [n, d] rows of one layer.
            y: [n, d] rows of another, on the same samples.
            anchors: for the relative kind, the anchors of x and of y.

        Raises:
            PairingError: if both are activations, and of different samples.
            ShapeError: if the numbers of rows differ.
        """
        if isinstance(x, Activations) and isinstance(y, Activations):
            check_paired(x, y)
        first, second = anchors if anchors is not None else (None, None)
        a, b = self.transform(x, first), self.transform(y, second)
        if len(a) != len(b):
            raise ShapeError(f"x has {len(a)} rows and y has {len(b)}. Row i of both must be sample i.")
        spec = self.measure()
        note = unseen_note(spec, [item.layer.model for item in (x, y) if isinstance(item, Activations)])
        if note:
            warnings.warn(note, UnseenModelWarning, stacklevel=2)
        return spec.value(spec.family.pair(a, b))

    def measure(self) -> MeasureSpec:
        """Return this encoder as a measure that grids and benchmarks treat like any other."""
        return learned_measure(self.spec.encoder, self.encode, frozenset(self.models))

    def save(self, path: str | Path) -> Path:
        """Write the weights and everything they depend on to one `.safetensors` file."""
        trained = self.trained
        facts = {
            "format": ENCODER_FORMAT,
            "spec": self.spec.to_json(),
            "models": self.models,
            "layers": self.layers,
            "anchor_ids": self.anchor_ids,
            "anchor_rows": trained.anchors,
            "sample_fingerprint": self.sample_fingerprint,
            "curve": asdict(trained.curve),
        }
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file(trained.weights, file, metadata={"contrasim": json.dumps(facts)})
        return file

    @classmethod
    def load(cls, path: str | Path) -> ContraSim:
        """Read what `save` wrote.

        Raises:
            DamagedArtifactError: if the file is missing or is not an encoder.
            ForeignFormatError: if it was written in another format.
        """
        try:
            with safe_open(Path(path), framework="pt") as stored:
                metadata = (stored.metadata() or {}).get("contrasim", "{}")
                weights = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - not a mapping
        except (OSError, SafetensorError) as error:
            raise DamagedArtifactError(f"{path} cannot be read as an encoder: {error}.") from error
        try:
            facts = json.loads(metadata)
            found = facts["format"]
        except (json.JSONDecodeError, KeyError) as error:
            raise DamagedArtifactError(f"{path} is not an encoder written by contrasim.") from error
        if found != ENCODER_FORMAT:
            raise ForeignFormatError(
                f"{path} has encoder format {found}; this version reads format {ENCODER_FORMAT}. Train it again."
            )
        spec = spec_from_json(facts["spec"], (EncoderSpec,))
        assert isinstance(spec, EncoderSpec)  # noqa: S101 - `save` wrote it
        encoder = cls(spec)
        curve = TrainingCurve.from_dict(facts["curve"])
        encoder._trained = Trained(spec, weights, tuple(facts["anchor_rows"]), curve)
        encoder.models, encoder.layers = tuple(facts["models"]), tuple(facts["layers"])
        encoder.anchor_ids = tuple(facts["anchor_ids"])
        encoder.sample_fingerprint = facts["sample_fingerprint"]
        return encoder
