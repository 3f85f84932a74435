"""The pictures there are of a content, one row each: its path below the id, and how it is drawn.

The bytes of a picture file enter, the bytes of a PNG leave. Another picture is another row: routes, addresses, their
signatures, the cache and the OpenAPI document are made from this table.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.picture import THUMBNAIL, Picture

THUMBNAIL_SIDE = 128
"""Longest side: 128 x 128 pixels of 3 bytes are 49 KB before they are compressed, so no thumbnail has more than 64."""

Decode = Callable[[bytes, int, str], Picture]
"""Bytes, side and resize policy -> RGB pixels, within the limits that hold for every picture."""


@dataclass(frozen=True, slots=True)
class PictureKind:
    """One row. `path` ends in .png; `policy` names how it is drawn, and changes with it: it is part of the ETag."""

    name: str
    path: str
    policy: str
    description: str
    draw: Callable[[bytes, Decode], bytes]


def png_of(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG of RGB pixels, uint8 (H, W, 3); one that has no colour is written in grey."""
    is_grey = bool((pixels[..., :1] == pixels).all())
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels[..., 0]) if is_grey else pixels).save(file, "PNG")
    return file.getvalue()


def _thumbnail(data: bytes, decode: Decode) -> bytes:
    return png_of(decode(data, THUMBNAIL_SIDE, THUMBNAIL).pixels)


KINDS: dict[str, PictureKind] = {kind.path: kind for kind in (
    PictureKind("thumbnail", "thumbnail.png", f"{THUMBNAIL}-{THUMBNAIL_SIDE}",
                "The picture, small: PNG, upright, at most 128 pixels a side, what is transparent over white.",
                _thumbnail),
)}
"""Path below the id -> row. Only what works stands here."""
