"""Encoders that were trained together, to and from disk. Importing this module does not load torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from contrasim_core.result import write_json

if TYPE_CHECKING:
    from contrasim_core.encoder.contrasim import ContraSim


@dataclass(frozen=True, eq=False)
class Encoders:
    """Encoders that were trained together.

    Attributes:
        encoders: the encoders, in the requested order.
        files: their file names, without extension.
    """

    encoders: tuple[ContraSim, ...]
    files: tuple[str, ...]

    def __iter__(self) -> Iterator[ContraSim]:
        return iter(self.encoders)

    def __len__(self) -> int:
        return len(self.encoders)

    def __getitem__(self, place: int) -> ContraSim:
        return self.encoders[place]

    def save(self, folder: Path) -> None:
        """Write one file per encoder, and `result.json` with the curves."""
        for encoder, name in zip(self.encoders, self.files, strict=True):
            encoder.save(folder / f"{name}.safetensors")
        write_json(folder / "result.json", {"curves": [vars(encoder.curve) for encoder in self.encoders]})

    @classmethod
    def load(cls, folder: Path, files: tuple[str, ...]) -> Self:
        """Read what `save` wrote under these names."""
        from contrasim_core.encoder.contrasim import ContraSim

        return cls(tuple(ContraSim.load(folder / f"{name}.safetensors") for name in files), files)
