"""A region cut out of a picture, as a picture file of its own.

The cut is a PNG, so that training sees it by the same policy (`models.picture`) as serving would see that file.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable

from PIL import ExifTags, Image, ImageOps

from models.data.entries import Box, as_png
from models.picture import PictureError, PictureLimits, open_formats, what_is_wrong

_SIDEWAYS = frozenset({5, 6, 7, 8})
"""EXIF orientations that exchange width and height."""

_PNG_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})
_ALPHA_MODES = frozenset({"PA", "RGBa", "La"})


def cut(data: bytes, box: Box, limits: PictureLimits | None = None) -> bytes:
    """The region of the picture in `data` as PNG bytes, upright; raises `PictureError` when there is no such region."""

    def take(image: Image.Image) -> Image.Image:
        if not _was_shown_as_stored(image, box):
            image = ImageOps.exif_transpose(image)
        piece = image.crop(_edges(image.size, box))
        piece.info = dict(image.info)
        return ImageOps.exif_transpose(piece) if "exif" in piece.info else piece

    return _remade(data, take, limits)


def whole(data: bytes, limits: PictureLimits | None = None) -> bytes:
    """The picture in `data` as PNG bytes, upright; raises `PictureError`."""
    return _remade(data, ImageOps.exif_transpose, limits)


def _remade(data: bytes, take: Callable[[Image.Image], Image.Image], limits: PictureLimits | None) -> bytes:
    most = (limits or PictureLimits()).max_pixels
    try:
        with Image.open(io.BytesIO(data), formats=open_formats()) as image:
            if image.width * image.height > most:
                raise PictureError(f"too many pixels: {image.width * image.height:,}, the limit is {most:,} "
                                   "(--max-image-megapixels)")
            image.load()
            return _plain_png(take(image.copy()))
    except PictureError:
        raise
    except MemoryError as exc:
        raise PictureError("too little memory to decode this image", is_final=False) from exc
    except Exception as exc:  # on broken files readers raise nearly every class, as in models.picture
        raise PictureError(what_is_wrong(data)) from exc


def _was_shown_as_stored(image: Image.Image, box: Box) -> bool:
    """True where the frame has the shape of the stored pixels and not of the upright picture.

    Browsers before 2020 did not turn by EXIF, and labelling tools show what the browser shows.
    """
    if box.frame is None or image.getexif().get(ExifTags.Base.Orientation) not in _SIDEWAYS:
        return False
    shown, stored = box.frame[0] / box.frame[1], image.width / image.height
    return abs(math.log(shown / stored)) < abs(math.log(shown * stored))


def _edges(size: tuple[int, int], box: Box) -> tuple[int, int, int, int]:
    """Whole pixels that contain the region, inside the picture."""
    width, height = size
    across, down = (1.0, 1.0) if box.frame is None else (width / box.frame[0], height / box.frame[1])
    left, right = (min(width, max(0.0, edge * across)) for edge in (box.left, box.right))
    top, bottom = (min(height, max(0.0, edge * down)) for edge in (box.top, box.bottom))
    if right <= left or bottom <= top:
        raise PictureError("the region lies outside the picture")
    return math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)


def _plain_png(image: Image.Image) -> bytes:
    """PNG bytes without metadata: colours in a mode that PNG has, transparency kept."""
    if image.mode not in _PNG_MODES:
        image = image.convert("RGBA" if image.mode in _ALPHA_MODES else "RGB")
    transparency = image.info.get("transparency")
    image.info = {} if transparency is None else {"transparency": transparency}
    return as_png(image)
