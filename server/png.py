"""Pixels as the bytes of a PNG."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_COLOURS = 256


def png_of(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG of RGB pixels, uint8 (H, W, 3); one that has no colour is written in grey."""
    is_grey = bool((pixels[..., :1] == pixels).all())
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels[..., 0]) if is_grey else pixels).save(file, "PNG")
    return file.getvalue()


def small_png_of(pixels: NDArray[np.uint8], *, most_bytes: int) -> bytes:
    """A PNG of at most so many bytes: all colours where they fit, else 256 of them, else also fewer pixels."""
    made = png_of(pixels)
    image = Image.fromarray(pixels)
    while len(made) > most_bytes and min(image.size) > 1:
        file = io.BytesIO()
        image.quantize(_COLOURS).save(file, "PNG", optimize=True)
        made = file.getvalue()
        if len(made) > most_bytes:
            share = 0.95 * (most_bytes / len(made)) ** 0.5  # bytes go with the area; a little less for few rounds
            width, height = (max(1, int(side * share)) for side in image.size)
            image = image.resize((width, height), Image.Resampling.BOX)
    return made
