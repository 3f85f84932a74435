"""Pixels as the bytes of a PNG."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def png_of(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG of RGB pixels, uint8 (H, W, 3); one that has no colour is written in grey."""
    is_grey = bool((pixels[..., :1] == pixels).all())
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels[..., 0]) if is_grey else pixels).save(file, "PNG")
    return file.getvalue()
