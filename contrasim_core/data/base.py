"""Samples with their content, as every data source returns them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contrasim_core.errors import DataError
from contrasim_core.refs import DatasetRef, Modality, SampleSet, digest

Image = NDArray[np.uint8]
"""[height, width, 3], 0 to 255."""
THUMBNAIL = 48  # pixels


@dataclass(frozen=True, eq=False)
class Inputs:
    """Samples with their content.

    Attributes:
        ref: the data set they come from.
        modality: text or image.
        samples: ids and fingerprint; the fingerprint covers the content.
        texts: one string per sample; empty for images.
        images: one image per sample; empty for texts.
    """

    ref: DatasetRef
    modality: Modality
    samples: SampleSet
    texts: tuple[str, ...] = ()
    images: tuple[Image, ...] = ()

    def __len__(self) -> int:
        return len(self.samples)


def text_inputs(ref: DatasetRef, texts: Sequence[str], ids: Sequence[str] | None = None) -> Inputs:
    """Make inputs from texts, cut to the reference's limit.

    Raises:
        DataError: if there are no texts, if one is empty, or if ids repeat.
    """
    kept = tuple(text.strip() for text in texts)[: ref.limit]
    names = _ids(ref, len(kept), ids)
    empty = [name for name, text in zip(names, kept, strict=True) if not text]
    if empty:
        raise DataError(f"{ref.label}: {len(empty)} texts are empty, such as sample {empty[0]}. Remove those rows.")
    return Inputs(ref, "text", SampleSet(names, digest([*names, *kept])), texts=kept)


def image_inputs(ref: DatasetRef, images: Sequence[Image], ids: Sequence[str] | None = None) -> Inputs:
    """Make inputs from images, cut to the reference's limit; grey images get three equal channels.

    Raises:
        DataError: if there are no images, if one has an invalid shape, or if ids repeat.
    """
    kept = tuple(_as_rgb(image, ref) for image in images[: ref.limit])
    names = _ids(ref, len(kept), ids)
    content = (part for image in kept for part in (str(image.shape), image.tobytes()))
    return Inputs(ref, "image", SampleSet(names, digest([*names, *content])), images=kept)


def _ids(ref: DatasetRef, count: int, ids: Sequence[str] | None) -> tuple[str, ...]:
    if count == 0:
        raise DataError(f"{ref.label} contains no samples.")
    names = tuple(ids[:count]) if ids is not None else tuple(str(number) for number in range(count))
    if len(set(names)) != count:
        raise DataError(f"{ref.label}: sample ids repeat. Every sample needs a unique id.")
    return names


def _as_rgb(image: Image, ref: DatasetRef) -> Image:
    array = np.asarray(image)
    if array.ndim == 2:
        array = np.repeat(array[:, :, None], 3, axis=2)
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8:
        raise DataError(
            f"{ref.label}: an image has shape {array.shape} and type {array.dtype}. "
            "Expected [height, width] or [height, width, 3] of uint8 (0 to 255)."
        )
    return array


def thumbnails_of(images: Sequence[Image]) -> NDArray[np.uint8]:
    """Return [n, h, w, 3] small pictures of equal size on white; tiny images are enlarged by whole factors."""
    from PIL import Image as Pillow

    small = []
    for image in images:
        picture = Pillow.fromarray(image)
        picture.thumbnail((THUMBNAIL, THUMBNAIL))
        canvas = Pillow.new("RGB", (THUMBNAIL, THUMBNAIL), (255, 255, 255))
        scale = max(1, THUMBNAIL // max(picture.size))
        picture = picture.resize((picture.width * scale, picture.height * scale), Pillow.Resampling.NEAREST)
        canvas.paste(picture, ((THUMBNAIL - picture.width) // 2, (THUMBNAIL - picture.height) // 2))
        small.append(np.asarray(canvas))
    return np.stack(small)
