"""A reference of made-up embeddings, made as real ones are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.reference.making import Pictures, make_reference
from models.reference.reference import Reference

LABELS = ("いぬ", "chat", "قطة")
NUMBERS = 16


def embed(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A "network" whose embedding is the picture, 4 x 4, about its middle."""
    flat = pixels.reshape(len(pixels), -1).astype(np.float32) / 255 - 0.5
    return flat.astype(np.float32)


def some_pictures(each: int = 40, seed: int = 1) -> Pictures:
    """Three heaps of noise about three patterns."""
    random = np.random.default_rng(seed)
    patterns = np.random.default_rng(99).integers(60, 200, (3, 4, 4, 1))
    classes = np.repeat(np.arange(3), each)
    pixels = np.clip(patterns[classes] + random.normal(0, 12, (3 * each, 4, 4, 1)), 0, 255).astype(np.uint8)
    names = [f"写真 {seed}/{row}.png" for row in range(3 * each)]
    return Pictures(pixels, np.arange(3 * each), classes, names, names)


def a_reference(**changes: int) -> Reference:
    """Of 120 pictures."""
    return make_reference(some_pictures(), some_pictures(seed=2), LABELS, embed, numbers=NUMBERS, **changes)
