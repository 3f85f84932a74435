"""The handwritten digits that come with scikit-learn, as the PNG files that the demo writes.

Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998; the
1,797 pictures of `sklearn.datasets.load_digits`: 8 x 8 ink counts 0..16. Here each is a grey PNG of 32 x 32 pixels, ink
white, read back through `models.picture`, so that training and serving see the same pixels.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.picture import read_picture

SIZE = 32
"""Side of a picture in pixels: four for each of the data's eight, so that people can see them."""

LABELS = tuple("0123456789")
POLICY: dict[str, Any] = {"size": SIZE, "channels": 1, "resize": "squash-bilinear-v1"}
"""How the pictures are read: the arguments of `read_picture`."""

SOURCE = "Optical Recognition of Handwritten Digits (UCI, 1998), the part in sklearn.datasets.load_digits"

_MOST_INK = 16
_HELD_OUT_SHARE = 0.2
_SEED = "pixfield digits 1"


@dataclass(frozen=True, slots=True, eq=False)
class Digits:
    """All pictures: `pixels` uint8 (1797, 32, 32, 1) made of `ink` uint8 (1797, 8, 8), `classes` int64 (1797,).

    `is_held_out` is bool (1797,).
    """

    pixels: NDArray[np.uint8]
    ink: NDArray[np.uint8]
    classes: NDArray[np.int64]
    is_held_out: NDArray[np.bool_]


def load() -> Digits:
    """Every digit as serving would see it, with the fixed split."""
    ink, classes = _source()
    pixels = np.stack([read_picture(as_png(one), **POLICY).pixels for one in ink])
    return Digits(pixels, ink, classes, held_out_rows(classes))


def held_out() -> list[tuple[str, bytes, str]]:
    """(file name, PNG bytes, true label) of each picture that training never sees, in the order of the data set."""
    ink, classes = _source()
    rows = np.flatnonzero(held_out_rows(classes))
    return [(file_name(row), as_png(ink[row]), LABELS[classes[row]]) for row in rows]


def file_name(row: int | np.integer) -> str:
    """The name of the picture in a row of the data set: digit-0007.png."""
    return f"digit-{row:04d}.png"


def as_png(ink: NDArray[np.uint8]) -> bytes:
    """Ink counts uint8 (8, 8) in 0..16 as an 8-bit grey PNG of 32 x 32 pixels."""
    file = io.BytesIO()
    Image.fromarray(enlarge(ink)).save(file, "PNG")
    return file.getvalue()


def enlarge(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Ink counts (..., 8, 8) in 0..16 as grey pixels uint8 (..., 32, 32) in 0..255, each count a square."""
    grey = np.rint(ink * (255 / _MOST_INK)).astype(np.uint8)
    times = SIZE // ink.shape[-1]
    enlarged: NDArray[np.uint8] = grey.repeat(times, axis=-1).repeat(times, axis=-2)
    return enlarged


def held_out_rows(classes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Bool (N,): a fifth of each class. Chosen by a hash, which no library's random generator can change."""
    chosen = np.zeros(len(classes), bool)
    for label in np.unique(classes):
        rows = shuffled(np.flatnonzero(classes == label))
        chosen[rows[: round(len(rows) * _HELD_OUT_SHARE)]] = True
    return chosen


def shuffled(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Row numbers in an order that is fixed for ever and has nothing to do with the data."""
    keys = [hashlib.sha256(f"{_SEED} {row}".encode()).hexdigest() for row in rows]
    return rows[np.argsort(np.array(keys))]


def _source() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Ink uint8 (1797, 8, 8) in 0..16 and classes int64 (1797,), from the installed scikit-learn; no network."""
    from sklearn.datasets import load_digits

    data = load_digits()
    return data.images.astype(np.uint8), data.target.astype(np.int64)
