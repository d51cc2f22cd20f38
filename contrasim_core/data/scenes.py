"""Bundled images with captions: two coloured shapes and their relative position, drawn from a seed."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from contrasim_core.data.base import Image
from contrasim_core.data.pairs import CAPTION_SIDE, IMAGE_SIDE, PairedData

COUNT = 9000
PIXELS = 32
OVERSAMPLE = 4  # drawn larger, then shrunk for smooth edges
COLOURS = {
    "red": (214, 39, 40),
    "green": (44, 160, 44),
    "blue": (31, 78, 200),
    "yellow": (240, 200, 20),
    "orange": (255, 127, 14),
    "purple": (130, 60, 190),
    "black": (20, 20, 20),
    "white": (250, 250, 250),
}
SHAPES = ("circle", "square", "triangle", "diamond", "ring", "cross")
SIZES = {"small": 0.13, "large": 0.21}
"""Half the width of a shape, as a share of the image."""
RELATIONS = {"above": (0, -1), "below": (0, 1), "left of": (-1, 0), "right of": (1, 0)}
"""Where the first shape lies, seen from the second: x to the right, y down."""
PHRASES = ("{a} {relation} {b}", "{a} is {relation} {b}", "there is {a} {relation} {b}")
Labels = tuple[int, ...]
"""Size, colour and shape of the first shape, relation, size, colour and shape of the second."""
CLASSES = (len(SIZES), len(COLOURS), len(SHAPES), len(RELATIONS), len(SIZES), len(COLOURS), len(SHAPES))


@cache
def scenes() -> PairedData:
    """Return all scenes; no two show the same content, however it is worded."""
    random = np.random.RandomState(0)
    found: dict[Labels, tuple[Image, str]] = {}
    met: set[Labels] = set()
    while len(found) < COUNT:
        labels = tuple(int(random.randint(count)) for count in CLASSES)
        if seen_from_first(labels) not in met and labels[1:3] != labels[5:7]:
            met.add(seen_from_first(labels))
            found[labels] = draw(labels, random), caption(labels, int(random.randint(len(PHRASES))))
    images, captions = zip(*found.values(), strict=True)
    ids = tuple("scene-" + "".join(map(str, labels)) for labels in found)
    return PairedData(ids, {IMAGE_SIDE: images, CAPTION_SIDE: captions})


def labels_of(name: str) -> Labels:
    """Return what a scene shows, by its id."""
    return tuple(int(digit) for digit in name.removeprefix("scene-"))


def turned(labels: Labels) -> Labels:
    """Return the same scene described from its other shape: above becomes below."""
    return (*labels[4:], labels[3] ^ 1, *labels[:3])


def seen_from_first(labels: Labels) -> Labels:
    """Return the description of a scene that begins with the upper or left shape."""
    return labels if labels[3] % 2 == 0 else turned(labels)


def caption(labels: Labels, phrase: int) -> str:
    """Describe the scene in words."""
    names = [tuple(SIZES), tuple(COLOURS), SHAPES]
    first = " ".join(options[label] for options, label in zip(names, labels[:3], strict=True))
    second = " ".join(options[label] for options, label in zip(names, labels[4:], strict=True))
    return PHRASES[phrase].format(a=_with_article(first), b=_with_article(second), relation=tuple(RELATIONS)[labels[3]])


def _with_article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def draw(labels: Labels, random: np.random.RandomState) -> Image:
    """Draw the scene: grey background of random lightness, positions slightly off."""
    from PIL import Image as Pillow
    from PIL import ImageDraw

    side = PIXELS * OVERSAMPLE
    grey = int(random.randint(120, 215))
    picture = Pillow.new("RGB", (side, side), (grey, grey, grey))
    canvas = ImageDraw.Draw(picture)
    dx, dy = tuple(RELATIONS.values())[labels[3]]
    for sign, (size, colour, shape) in ((1, labels[:3]), (-1, labels[4:])):
        jitter = random.uniform(-0.05, 0.05, 2)
        drift = random.uniform(-0.12, 0.12)  # across the line between the two
        x = 0.5 + sign * 0.25 * dx + jitter[0] + (drift if dx == 0 else 0)
        y = 0.5 + sign * 0.25 * dy + jitter[1] + (drift if dy == 0 else 0)
        half = tuple(SIZES.values())[size] * random.uniform(0.92, 1.08)
        _shape(canvas, SHAPES[shape], x * side, y * side, half * side, tuple(COLOURS.values())[colour])
    noise = random.normal(0, 4, (PIXELS, PIXELS, 3))
    small = np.asarray(picture.resize((PIXELS, PIXELS), Pillow.Resampling.BOX), dtype=np.float64)
    return np.clip(small + noise, 0, 255).astype(np.uint8)


def _shape(canvas: Any, shape: str, x: float, y: float, half: float, colour: tuple[int, int, int]) -> None:
    box = (x - half, y - half, x + half, y + half)
    if shape == "circle":
        canvas.ellipse(box, fill=colour)
    elif shape == "ring":
        canvas.ellipse(box, outline=colour, width=max(1, round(half * 0.45)))
    elif shape == "square":
        canvas.rectangle(box, fill=colour)
    elif shape == "triangle":
        canvas.polygon([(x, y - half), (x + half, y + half), (x - half, y + half)], fill=colour)
    elif shape == "diamond":
        canvas.polygon([(x, y - half), (x + half, y), (x, y + half), (x - half, y)], fill=colour)
    else:  # a cross
        arm = half * 0.36
        canvas.rectangle((x - half, y - arm, x + half, y + arm), fill=colour)
        canvas.rectangle((x - arm, y - half, x + arm, y + half), fill=colour)
