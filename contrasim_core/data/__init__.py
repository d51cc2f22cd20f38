"""Data sources: `DatasetRef` in, samples out. Resolving a name is light; loading imports what it needs."""

from __future__ import annotations

from contrasim_core.data.base import Image, Inputs, image_inputs, text_inputs, thumbnails_of
from contrasim_core.data.catalog import BUNDLED, BundledData, load_data, resolve_data

__all__ = [
    "BUNDLED",
    "BundledData",
    "Image",
    "Inputs",
    "image_inputs",
    "load_data",
    "resolve_data",
    "text_inputs",
    "thumbnails_of",
]
