"""The one way from the bytes of a picture to pixels, for training and serving alike.

Bytes enter, an upright uint8 array of the model's size leaves. The policy below is named and versioned because a model
is only as good as the likeness of its training and serving pictures; its name is stored in `model.json`.
"""

from __future__ import annotations

import functools
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from models.kinds import is_truncated, supported_kind, unsupported_kind

DECODE_POLICY = "upright-rgb-v1"
"""Turned by EXIF, 16-bit scaled, alpha over white, first frame, JPEG at reduced scale down to twice the target."""

_FORMATS = ("JPEG", "MPO", "PNG", "GIF", "BMP", "DIB", "TIFF", "WEBP", "AVIF", "PPM", "ICO")
"""What is opened at all: no EPS, PDF, FITS or other formats whose readers run programs or are rarely tested."""

_CROP_FRACTION = 0.875  # the centre crop of ImageNet evaluation (Krizhevsky et al. 2012: 224 of 256)


class PictureError(ValueError):
    """A picture that cannot be read; its text is the row's status, so it is short, plain and free of host details.

    `is_final` is False where the same bytes may be read another time.
    """

    def __init__(self, reason: str, *, is_final: bool = True) -> None:
        super().__init__(reason)
        self.is_final = is_final


@dataclass(frozen=True, slots=True)
class Picture:
    """A prepared picture: `pixels` uint8 (size, size, channels) in 0..255, RGB or grey; `note` is a remark or None.

    A thumbnail has its own height and width instead of size.
    """

    pixels: NDArray[np.uint8]
    note: str | None = None


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """What a header may claim before the pixels are decoded."""

    max_megapixels: float = 50.0

    @property
    def max_pixels(self) -> int:
        """The same in pixels; Pillow opens no more than its own limit in any case."""
        own = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        return min(int(self.max_megapixels * 1_000_000), own or sys.maxsize)


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation (Exif 2.32, tag 0x0112) -> what turns the picture upright. The same table as PIL.ImageOps."""

Fit = Callable[[Image.Image, int], Image.Image]


def squash(image: Image.Image, size: int) -> Image.Image:
    """The whole picture to size x size with one antialiased resize; the aspect ratio is not kept."""
    if image.size == (size, size):
        return image
    return image.resize((size, size), Image.Resampling.BILINEAR)


def crop(image: Image.Image, size: int) -> Image.Image:
    """The central square of 0.875 of the shorter side to size x size with one antialiased resize."""
    return _centre(image, size, _CROP_FRACTION)


def square(image: Image.Image, size: int) -> Image.Image:
    """The largest central square to size x size with one antialiased resize: what Teachable Machine looks at."""
    return _centre(image, size, 1.0)


def _centre(image: Image.Image, size: int, fraction: float) -> Image.Image:
    width, height = image.size
    side = min(width, height) * fraction
    left, top = (width - side) / 2, (height - side) / 2
    return image.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))


RESIZE_POLICIES: dict[str, Fit] = {
    "squash-bilinear-v1": squash, "crop-bilinear-v1": crop, "square-bilinear-v1": square,
}
"""Resize policy name -> what it does. A change of behaviour is a new name."""


def contain(image: Image.Image, size: int) -> Image.Image:
    """The whole picture with its longer side at `size` or as it is where that is less; the aspect ratio is kept."""
    longer = max(image.size)
    if longer <= size:
        return image
    width, height = (max(1, round(side * size / longer)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


THUMBNAIL = "contain-bicubic-v1"
"""How a picture is made small to be looked at; no model's policy, since its result is not square."""


def read_picture(
    data: bytes, *, size: int, channels: int, resize: str, limits: PictureLimits | None = None
) -> Picture:
    """Decode `data` into the model's input pixels, or into a thumbnail's.

    Args:
        data: the bytes of an image file.
        size: side of the square result in pixels; a thumbnail's longer side at most.
        channels: 3 for RGB, 1 for grey.
        resize: a name in `RESIZE_POLICIES`, or THUMBNAIL.
        limits: what a header may claim; the defaults without it.

    Raises:
        PictureError: the bytes are no readable picture; the text says why.
    """
    if not data:
        raise PictureError("the file is empty")
    mode, fit = "L" if channels == 1 else "RGB", contain if resize == THUMBNAIL else RESIZE_POLICIES[resize]
    limits = limits or PictureLimits()
    try:
        with Image.open(io.BytesIO(data), formats=open_formats()) as image:
            _check_size(image, limits)
            note = _note(image)
            fitted = fit(_upright(image, mode, size), size)
            pixels = np.asarray(fitted, np.uint8).reshape(fitted.height, fitted.width, channels)
    except PictureError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        raise PictureError(f"too many pixels: the limit is {limits.max_pixels:,} (--max-image-megapixels)") from exc
    except MemoryError as exc:
        raise PictureError("too little memory to decode this image", is_final=False) from exc
    except Exception as exc:  # on broken files readers raise nearly every class (IndexError, SyntaxError, struct.error)
        raise PictureError(what_is_wrong(data)) from exc
    return Picture(pixels, note)


def what_is_wrong(data: bytes) -> str:
    """Why bytes that no reader took are no picture, as far as they tell it themselves."""
    kind = unsupported_kind(data)
    if kind is not None:
        return f"not a supported image: this is {kind}"
    if supported_kind(data) is None:
        return "not an image, or of a kind that is not supported"
    return "the image is truncated: the file ends too early" if is_truncated(data) else "the image is damaged"


@functools.cache
def open_formats() -> tuple[str, ...]:
    """The formats of `_FORMATS` that this Pillow reads."""
    Image.init()  # Pillow registers most readers only on demand, and `open(formats=...)` does not ask for them
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _check_size(image: Image.Image, limits: PictureLimits) -> None:
    pixels = image.width * image.height
    allowed = limits.max_pixels
    if pixels > allowed:
        raise PictureError(f"too many pixels: {pixels:,}, the limit is {allowed:,} (--max-image-megapixels)")


def _note(image: Image.Image) -> str | None:
    if getattr(image, "is_animated", False) and image.format != "MPO":
        return "first frame of an animation"
    if image.mode in ("I", "F"):
        return "wide range of values scaled to 0..255"
    return None


def _upright(image: Image.Image, mode: str, size: int) -> Image.Image:
    """The decoded picture in `mode`, turned as its EXIF says; a JPEG at no less than twice `size`."""
    _draft(image, size)
    image.load()  # before the orientation is asked for: the TIFF reader turns by itself and then forgets it
    turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    flat = _without_alpha(_eight_bit(image), mode)
    return flat if turn is None else flat.transpose(turn)


def _draft(image: Image.Image, size: int) -> None:
    """Let the JPEG decoder skip detail it would only throw away: at no less than twice the target."""
    if image.format in ("JPEG", "MPO"):
        image.draft(None, (2 * size, 2 * size))


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scale wide integer and float pixels to 0..255 instead of clipping them as `convert` would."""
    if image.mode.startswith("I;16"):
        wide = np.asarray(image).astype(np.float32) / 257.0  # 65535 / 255
    elif image.mode in ("I", "F"):
        wide = _scale_to_bytes(np.asarray(image, np.float64))
    else:
        return image
    return Image.fromarray(np.rint(wide).astype(np.uint8))


def _scale_to_bytes(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """By the range the values suggest: 0..1, 0..255, 0..65535, else their own minimum and maximum."""
    low, high = float(values.min()), float(values.max())
    if not np.isfinite(low) or not np.isfinite(high):
        raise PictureError("the image has pixels that are not numbers")
    if low < 0 or high > 65535:
        return (values - low) * (255.0 / max(high - low, np.finfo(np.float64).tiny))
    if high <= 1:
        return values * 255.0
    return values if high <= 255 else values / 257.0


def _without_alpha(image: Image.Image, mode: str) -> Image.Image:
    """Composite what is transparent over white, then convert to `mode`."""
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert(mode)
    if image.mode in ("LAB", "HSV"):  # Pillow has no direct way from these to grey
        image = image.convert("RGB")
    return image.convert(mode)
