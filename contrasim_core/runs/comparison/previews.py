"""Previews of the samples behind row ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from contrasim_core.data import Inputs


def previews(inputs: Inputs, ids: Sequence[str]) -> tuple[tuple[str, ...], NDArray[np.uint8] | None]:
    """Return previews of the samples behind row ids: texts (words with their context), or small pictures."""
    from contrasim_core.data import thumbnails_of

    place = {name: number for number, name in enumerate(inputs.samples.ids)}
    if inputs.modality == "text":
        return tuple(_text_of(inputs.texts, place, name) for name in ids), None
    return tuple(ids), thumbnails_of([inputs.images[place[name]] for name in ids])


def _text_of(texts: Sequence[str], place: Mapping[str, int], name: str) -> str:
    if name in place:
        return texts[place[name]]
    sentence, _, word = name.rpartition("/")
    words = texts[place[sentence]].split()
    number = int(word)
    return " ".join([*words[max(0, number - 6) : number], f"[{words[number]}]", *words[number + 1 : number + 7]])
