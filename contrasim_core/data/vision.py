"""Bundled images, from data shipped with scikit-learn: handwritten digits, and patches of its two photographs."""

from __future__ import annotations

import numpy as np

from contrasim_core.data.base import Image

DIGITS_TEST = 540
PATCH = 8
FLAT = 48  # grey levels: patches with less contrast are sky
PATCHES = {"train": 1257, "test": 540}


def digits(split: str) -> tuple[list[Image], list[str]]:
    """Return scikit-learn's 1,797 handwritten digits, 8 x 8, in a fixed random order: the first 540 are for testing."""
    images, _, ids = digits_with_labels(split)
    return images, ids


def digits_with_labels(split: str) -> tuple[list[Image], list[int], list[str]]:
    """Return the digits, their labels, and ids that number them as scikit-learn does."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.RandomState(0).permutation(len(data.images))
    chosen = order[:DIGITS_TEST] if split == "test" else order[DIGITS_TEST:]
    grey = np.round(data.images * 255 / 16).astype(np.uint8)
    return [grey[i] for i in chosen], [int(data.target[i]) for i in chosen], [f"digit-{i}" for i in chosen]


def photo_patches(split: str) -> tuple[list[Image], list[str]]:
    """Return grey 8 x 8 patches of scikit-learn's two photographs; no patches overlap.

    Training patches come from the left two thirds of each photograph and test patches from the right third.
    Flat patches (sky) are dropped, and contrast is stretched to the full range, like that of the digits.
    """
    from sklearn.datasets import load_sample_images

    patches: list[Image] = []
    ids: list[str] = []
    for name, photo in zip(("china", "flower"), load_sample_images().images, strict=True):
        grey = np.asarray(photo, dtype=np.float64).mean(2)
        border = grey.shape[1] * 2 // 3 // PATCH * PATCH
        first, last = (0, border) if split == "train" else (border, grey.shape[1] - PATCH + 1)
        for top in range(0, grey.shape[0] - PATCH + 1, PATCH):
            for left in range(first, last, PATCH):
                patch = grey[top : top + PATCH, left : left + PATCH]
                spread = patch.max() - patch.min()
                if spread >= FLAT:
                    patches.append(np.round((patch - patch.min()) * (255 / spread)).astype(np.uint8))
                    ids.append(f"{name}-{top}-{left}")
    order = np.random.RandomState(0).permutation(len(patches))[: PATCHES[split]]
    return [patches[i] for i in order], [ids[i] for i in order]
