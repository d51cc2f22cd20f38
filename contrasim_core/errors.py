"""Every error and warning that is meant for the user's eyes; anything else is a bug and must crash.

ContraSimError
├── SpecError                  an option has a value it cannot have
│   ├── UnknownMeasureError    no such measure id
│   ├── UnknownModelError      no such bundled model, folder or hub id
│   ├── UnknownDataError       no such bundled data set, file or hub id
│   └── LayerError             the model has no such layer or module
├── DataError                  the data were found but cannot be used
├── ModelLoadError             the model was found but cannot be loaded
├── RepresentationError        a matrix that a measure cannot take
│   ├── ShapeError             not [n, d], unequal rows, unequal widths
│   ├── NotFiniteError         NaN or infinity
│   ├── ConstantLayerError     no variance: every row is the same
│   └── TooFewSamplesError     fewer rows than the measure is defined for
├── PairingError               two representations of different samples
├── EncoderError               an encoder used on what it was not made for
├── OutOfMemoryError           does not fit, even after the batch was halved
├── StoreError
│   ├── MissingArtifactError   nothing under that key
│   ├── DamagedArtifactError   checksum or file is wrong
│   └── ForeignFormatError     written by a version with another format
├── EngineError                the scheduler or worker is not there, or refused
└── RunCancelled               the user asked to stop

ContraSimWarning (UserWarning)
├── FewSamplesWarning          n <= d: a CCA-like number says nothing
└── UnseenModelWarning         a plain encoder scores a model it was not trained on
"""

from __future__ import annotations


class ContraSimError(Exception):
    """Root of all errors that say what was expected, what came and what to do."""


class SpecError(ContraSimError, ValueError):
    """An option has a value it cannot have."""


class UnknownMeasureError(SpecError):
    """No measure has this id."""


class UnknownModelError(SpecError):
    """No bundled model, local folder or hub id answers to this name."""


class UnknownDataError(SpecError):
    """No bundled data set, file or hub id answers to this name."""


class LayerError(SpecError):
    """The model has no such layer or module."""


class DataError(ContraSimError):
    """The data were found but cannot be used."""


class ModelLoadError(ContraSimError):
    """The model was found but cannot be loaded."""


class RepresentationError(ContraSimError, ValueError):
    """A matrix that a measure cannot take."""


class ShapeError(RepresentationError):
    """Not [n, d], or unequal numbers of rows, or unequal widths where equal ones are needed."""


class NotFiniteError(RepresentationError):
    """The matrix holds NaN or infinity."""


class ConstantLayerError(RepresentationError):
    """Every row of the representation is the same, so no similarity is defined."""


class TooFewSamplesError(RepresentationError):
    """Fewer rows than the measure is defined for."""


class PairingError(ContraSimError):
    """Two representations were not extracted on the same samples in the same order."""


class EncoderError(ContraSimError):
    """An encoder is used on something it was not made for, or before it was trained."""


class OutOfMemoryError(ContraSimError):
    """The work does not fit in memory, even after the batch was halved as far as it goes."""


class StoreError(ContraSimError):
    """Something is wrong with an artifact on disk."""


class MissingArtifactError(StoreError):
    """Nothing is stored under this key."""


class DamagedArtifactError(StoreError):
    """A stored file is missing, cut short, or does not have the checksum it was written with."""


class ForeignFormatError(StoreError):
    """The artifact was written in a format this version does not read."""


class EngineError(ContraSimError):
    """The scheduler or the worker cannot be reached, or refused the request."""


class RunCancelled(ContraSimError):
    """The user asked for this run to stop."""


class ContraSimWarning(UserWarning):
    """Root of all warnings about numbers that should not be taken at face value."""


class FewSamplesWarning(ContraSimWarning):
    """n <= d: measures that are invariant to every linear map are close to 1 whatever the data."""


class UnseenModelWarning(ContraSimWarning):
    """A plain encoder scores a model that was not among those it was trained on."""
