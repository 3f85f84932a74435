"""Golden pictures for models that bring none: pieces of the two photos that come with scikit-learn.

`china.jpg` and `flower.jpg` of `sklearn.datasets.load_sample_images` (Creative Commons Attribution). Pieces are cut
without resizing, so that decoding them exercises the resize policy of the model.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SIDES = (224, 320, 400)  # pixels; the photos are 427 high
_STEPS = 2  # places across a photo for each side


def photo_pieces() -> dict[str, bytes]:
    """Twelve square pieces of the photos, file name -> PNG bytes; the same on every machine."""
    from sklearn.datasets import load_sample_images

    data = load_sample_images()
    return {
        f"{Path(name).stem}-{number}.png": _as_png(piece)
        for name, photo in zip(data.filenames, data.images, strict=True)
        for number, piece in enumerate(_pieces(photo), 1)
    }


def _pieces(photo: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """RGB uint8 (H, W, 3) -> squares, left to right, of growing sides."""
    height, width = photo.shape[:2]
    for side in _SIDES:
        for left in np.linspace(0, width - side, _STEPS).astype(int):
            top = (height - side) // 2
            yield photo[top : top + side, left : left + side]


def _as_png(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
