"""Every error and warning that is meant for the user; anything else is a bug and must crash.

ContraSimError
├── SpecError                  an option has an invalid value
│   ├── UnknownMeasureError    no such measure id
│   ├── UnknownModelError      no such bundled model, folder or hub id
│   ├── UnknownDataError       no such bundled data set, file or hub id
│   └── LayerError             the model has no such layer or module
├── DataError                  the data exist but cannot be used
├── ModelLoadError             the model exists but cannot be loaded
├── RepresentationError        a matrix that a measure cannot use
│   ├── ShapeError             not [n, d], unequal rows, unequal widths
│   ├── NotFiniteError         NaN or infinity
│   ├── ConstantLayerError     no variance: every row is the same
│   └── TooFewSamplesError     fewer rows than the measure is defined for
├── PairingError               two representations of different samples
├── EncoderError               an encoder is untrained, or does not suit the input
├── OutOfMemoryError           the work does not fit, even with the smallest batch
├── StoreError
│   ├── MissingArtifactError   nothing is stored under that key
│   ├── DamagedArtifactError   a file is missing, truncated or has the wrong checksum
│   └── ForeignFormatError     written by a version with another format
├── EngineError                the scheduler or worker is unreachable, or refused
└── RunCancelled               the user asked to stop

ContraSimWarning (UserWarning)
├── FewSamplesWarning          n <= d: a CCA-like value carries no information
└── UnseenModelWarning         a plain encoder scores a model it was not trained on
"""

from __future__ import annotations


class ContraSimError(Exception):
    """Base of all user-facing errors, which say what was expected, what came instead and what to do."""


class SpecError(ContraSimError, ValueError):
    """An option has an invalid value."""


class UnknownMeasureError(SpecError):
    """No measure has this id."""


class UnknownModelError(SpecError):
    """No bundled model, local folder or hub id has this name."""


class UnknownDataError(SpecError):
    """No bundled data set, file or hub id has this name."""


class LayerError(SpecError):
    """The model has no such layer or module."""


class DataError(ContraSimError):
    """The data exist but cannot be used."""


class ModelLoadError(ContraSimError):
    """The model exists but cannot be loaded."""


class RepresentationError(ContraSimError, ValueError):
    """A matrix that a measure cannot use."""


class ShapeError(RepresentationError):
    """A shape other than [n, d], unequal numbers of rows, or unequal widths where they must be equal."""


class NotFiniteError(RepresentationError):
    """The matrix contains NaN or infinity."""


class ConstantLayerError(RepresentationError):
    """Every row of the representation is the same, so similarity is undefined."""


class TooFewSamplesError(RepresentationError):
    """Fewer rows than the measure is defined for."""


class PairingError(ContraSimError):
    """Two representations were not extracted on the same samples in the same order."""


class EncoderError(ContraSimError):
    """An encoder is used before it was trained, or on input that it does not suit."""


class OutOfMemoryError(ContraSimError):
    """The work does not fit in memory, even with the smallest possible batch."""


class StoreError(ContraSimError):
    """Something is wrong with an artifact on disk."""


class MissingArtifactError(StoreError):
    """Nothing is stored under this key."""


class DamagedArtifactError(StoreError):
    """A stored file is missing, truncated, or does not match its checksum."""


class ForeignFormatError(StoreError):
    """The artifact was written in a format that this version cannot read."""


class EngineError(ContraSimError):
    """The scheduler or a worker cannot be reached, or refused the request."""


class RunCancelled(ContraSimError):
    """The user asked for this run to stop."""


class ContraSimWarning(UserWarning):
    """Base of all warnings about numbers that should not be taken at face value."""


class FewSamplesWarning(ContraSimWarning):
    """n <= d: measures that are invariant to every linear map are close to 1 for any data."""


class UnseenModelWarning(ContraSimWarning):
    """A plain encoder scores a model that it was not trained on."""
