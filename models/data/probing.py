"""Size and channels that suit the data, from the headers of a few of its pictures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from models.data.decoding import Preparation
from models.data.entries import Entry, Row
from models.errors import DataError
from models.picture import PictureError, open_formats

_PROBED = 64  # pictures looked at, spread evenly
_SIZES = (32, 48, 64, 96, 128, 160, 192, 224)
"""Sides to choose from for pictures of mixed sizes; 224 is what networks for photos are made for."""

_KEPT_UP_TO = 96  # square pictures of one size up to this keep it, such as 28 and 32
SMALLEST, LARGEST = 8, 1024
"""Sides that a size may have."""

_GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"})


_UNREADABLE = (PictureError, OSError, ValueError, SyntaxError, TypeError, IndexError, EOFError,
               Image.DecompressionBombError, Image.DecompressionBombWarning)


@dataclass(frozen=True, slots=True)
class _Seen:
    width: float
    height: float
    is_grey: bool


def preparation(entries: Sequence[Entry], *, size: int | None, channels: int | None, resize: str) -> Preparation:
    """What is asked for, and the rest from the data; raises `DataError` for what cannot be."""
    if size is not None and not SMALLEST <= size <= LARGEST:
        raise DataError(f"size is {size}; expected {SMALLEST} to {LARGEST} pixels.")
    if channels not in (None, 1, 3):
        raise DataError(f"channels is {channels}; expected 1 (grey) or 3 (RGB).")
    seen = _seen(entries) if size is None or channels is None else []
    return Preparation(
        size=_size(seen) if size is None else size,
        channels=channels or (1 if seen and all(one.is_grey for one in seen) else 3),
        resize=resize,
    )


def _seen(entries: Sequence[Entry]) -> list[_Seen]:
    rows = np.unique(np.linspace(0, len(entries) - 1, min(_PROBED, len(entries))).astype(int))
    return [one for row in rows if (one := _look(entries[row])) is not None]


def _look(entry: Entry) -> _Seen | None:
    if isinstance(entry.origin, Row):
        height, width, depth = entry.origin.array.shape[1:]
        return _Seen(width, height, depth == 1)
    try:
        with Image.open(io.BytesIO(entry.origin.read()), formats=open_formats()) as image:
            width, height, mode = image.width, image.height, image.mode
    except _UNREADABLE:
        return None  # decoding will say what is wrong with it
    box = entry.box
    if box is None:
        return _Seen(width, height, mode in _GREY_MODES)
    across, down = (1.0, 1.0) if box.frame is None else (width / box.frame[0], height / box.frame[1])
    return _Seen((box.right - box.left) * across, (box.bottom - box.top) * down, mode in _GREY_MODES)


def _size(seen: Sequence[_Seen]) -> int:
    """The one size of small square pictures, else the next of `_SIZES` above the median of the shorter sides."""
    if not seen:
        return _SIZES[-1]
    sides = {(one.width, one.height) for one in seen}
    width, height = next(iter(sides))
    if len(sides) == 1 and width == height and SMALLEST <= width <= _KEPT_UP_TO:
        return int(width)
    median = float(np.median([min(one.width, one.height) for one in seen]))
    return next((size for size in _SIZES if size >= median), _SIZES[-1])
