"""Where to compute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contrasim_core.errors import SpecError

if TYPE_CHECKING:
    import torch


def pick_device(device: str = "auto") -> torch.device:
    """Return the requested device; `auto` tries cuda, then mps, then cpu.

    Raises:
        SpecError: if the device does not exist; there is no silent fallback.
    """
    import torch

    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    wanted = torch.device(device)
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if not there.get(wanted.type, False):
        raise SpecError(f"This machine has no {device!r} device. Use 'auto' or 'cpu'.")
    return wanted
