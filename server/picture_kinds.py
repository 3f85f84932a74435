"""What there is of a content besides its answers, one row each: its path below the id, and how it is made.

The bytes of a picture file enter, and where it depends on one a served model; the bytes of a PNG leave, or of JSON.
Another picture is another row: routes, addresses, their signatures, the cache and the OpenAPI document are made from
this table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import orjson
from numpy.typing import NDArray

from models.picture import THUMBNAIL, Picture
from server import seeing
from server.errors import BusyError
from server.png import png_of
from server.served_model import ServedModel

THUMBNAIL_SIDE = 128
"""Longest side: 128 x 128 pixels of 3 bytes are 49 KB before they are compressed, so no thumbnail has more than 64."""

LAYER = "<layer>"
"""In a path: the name of a layer, as `layers.json` lists it."""


class Decode(Protocol):
    """Bytes -> pixels of 3 channels or 1, within the limits that hold for every picture."""

    def __call__(self, data: bytes, side: int, resize: str, channels: int = 3) -> Picture:
        """The picture; raises PictureError."""


@dataclass(frozen=True, slots=True)
class Material:
    """What a picture is made from: a content, how to decode it, and the model and layer that it is about."""

    data: bytes
    digest: str
    decode: Decode
    model: ServedModel | None = None
    layer: str = ""

    @property
    def viewer(self) -> ServedModel:
        """The model, of a kind that needs one; BusyError where none was opened, since the picture was kept then."""
        if self.model is None:
            raise BusyError("picture_lost", "the kept picture was lost", "ask again in a moment")
        return self.model

    def seen(self) -> NDArray[np.uint8]:
        """The pixels as the model is given them, uint8 (S, S, C)."""
        spec = self.viewer.spec
        return self.decode(self.data, spec.input_size, spec.resize, spec.channels).pixels

    def answered(self) -> str | None:
        """The label that the model has answered with; None where it was never asked."""
        answer = self.viewer.answers.find(self.digest)
        return None if answer is None else self.viewer.labels[int(answer[0].order[0, 0])]


@dataclass(frozen=True, slots=True)
class PictureKind:
    """One row. `path` is written as in a route; what ends in .png may be signed and is kept once it is made, what ends
    in .json needs the token. `policy` names how it is made, and changes with it: it is part of the ETag.
    """

    name: str
    path: str
    policy: str
    description: str
    make: Callable[[Material], bytes]
    needs_model: bool = False

    @property
    def ending(self) -> str:
        """.png or .json."""
        return self.path[self.path.rindex("."):]

    @property
    def is_png(self) -> bool:
        """Whether it is a picture, not numbers."""
        return self.ending == ".png"


def _thumbnail(material: Material) -> bytes:
    return png_of(material.decode(material.data, THUMBNAIL_SIDE, THUMBNAIL).pixels)


def _explanation(material: Material) -> bytes:
    return seeing.explanation_png(material.viewer, material.seen(), material.answered())


def _explanation_numbers(material: Material) -> bytes:
    return _json(material, seeing.explanation_numbers(material.viewer, material.seen(), material.answered()))


def _maps(material: Material) -> bytes:
    return seeing.maps_png(material.viewer, material.seen(), material.layer)


def _maps_numbers(material: Material) -> bytes:
    return _json(material, seeing.maps_numbers(material.viewer, material.seen(), material.layer))


def _json(material: Material, numbers: dict[str, Any]) -> bytes:
    spec = material.viewer.spec
    return orjson.dumps({"model": spec.name, "version": spec.version} | numbers)


KINDS: dict[str, PictureKind] = {kind.path: kind for kind in (
    PictureKind("thumbnail", "thumbnail.png", f"{THUMBNAIL}-{THUMBNAIL_SIDE}",
                "The picture, small: PNG, upright, at most 128 pixels a side, what is transparent over white.",
                _thumbnail),
    PictureKind("explanation", "explanation.png", seeing.POLICY,
                "The picture as the model sees it, in grey, and over it what spoke for the label.",
                _explanation, needs_model=True),
    PictureKind("explanation_json", "explanation.json", seeing.POLICY,
                "What spoke for the label, as numbers: the activation by rows from the top, and the focus.",
                _explanation_numbers, needs_model=True),
    PictureKind("feature_maps", f"feature-maps/{LAYER}.png", seeing.POLICY,
                "What one layer makes of the picture: a grid of its maps.", _maps, needs_model=True),
    PictureKind("feature_maps_json", f"feature-maps/{LAYER}.json", seeing.POLICY,
                "The maps of one layer as numbers: rows from the top, columns, maps.", _maps_numbers, needs_model=True),
)}
"""Path below the id -> row. Only what works stands here."""
