"""The one decode path: every kind of file arrives upright, 8-bit and without alpha, or says why not."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, features

from models.picture import RESIZE_POLICIES, PictureError, PictureLimits, read_picture

CORNERS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]], np.uint8).reshape(2, 2, 3)
"""Red, green / blue, white: no turn or mirror maps it onto itself."""

STORED_FROM_UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}
"""Exif 2.32, tag 0x0112: how a camera stores an upright picture; 6 means that its first row is the right-hand side."""


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes of `image` in the format `kind`."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def read(data: bytes, size: int = 16, channels: int = 3, **options: Any) -> NDArray[np.uint8]:
    """Pixels by the squash policy."""
    return read_picture(data, size=size, channels=channels, resize="squash-bilinear-v1", **options).pixels


def quarters(size: int = 16) -> NDArray[np.uint8]:
    """`CORNERS` enlarged to `size`."""
    return CORNERS.repeat(size // 2, axis=0).repeat(size // 2, axis=1)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_turned_upright(kind: str, orientation: int) -> None:
    """All eight, in every format that carries it; the corners end where a viewer shows them."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(STORED_FROM_UPRIGHT[orientation](quarters(64)))
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    if kind == "JPEG":
        options = {"quality": 95, "subsampling": 0}
    pixels = read(encode(Image.fromarray(stored), kind, exif=exif, **options), size=64)
    corners = pixels[[8, 8, 56, 56], [8, 56, 8, 56]].astype(int)
    assert np.abs(corners - CORNERS.reshape(4, 3)).max() <= 8


def test_16_bit_grey_is_scaled_not_clipped() -> None:
    """The whole range 0..65535 becomes 0..255."""
    wide = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    pixels = read(encode(Image.fromarray(wide), "PNG"), channels=1)
    assert np.abs(pixels.reshape(-1).astype(int) - np.arange(256)).max() <= 1


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 255), (0, 65535), (-5, 5)])
def test_float_pixels_are_scaled_by_the_range_they_suggest(low: float, high: float) -> None:
    """0..1, 0..255, 0..65535, else their own minimum and maximum; a remark says so."""
    values = np.linspace(low, high, 256, dtype=np.float32).reshape(16, 16)
    picture = read_picture(
        encode(Image.fromarray(values), "TIFF"), size=16, channels=1, resize="squash-bilinear-v1"
    )
    assert np.abs(picture.pixels.reshape(-1).astype(int) - np.arange(256)).max() <= 1
    assert picture.note == "wide range of values scaled to 0..255"


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(mode: str) -> None:
    """Alpha is composited over white, never dropped."""
    image = Image.new("RGBA", (16, 16), (0, 0, 0, 0)).convert(mode)
    options = {"transparency": image.getpixel((0, 0))} if mode == "P" else {}
    assert read(encode(image, "PNG", **options)).min() == 255


def test_half_transparent_black_over_white_is_grey() -> None:
    """255 * (1 - alpha)."""
    image = Image.new("RGBA", (16, 16), (0, 0, 0, 128))
    assert set(read(encode(image, "PNG")).reshape(-1).tolist()) == {127}


@pytest.mark.parametrize("size", [(16, 16), (160, 80)])
def test_cmyk_becomes_rgb(size: tuple[int, int]) -> None:
    """A print JPEG: pure cyan is no red."""
    pixels = read(encode(Image.new("CMYK", size, (255, 0, 0, 0)), "JPEG"))
    assert np.abs(pixels[8, 8].astype(int) - [0, 255, 255]).max() <= 3


def test_palette_and_one_bit_pictures_are_read() -> None:
    """Palette indices are colours, one bit is black and white."""
    palette = Image.fromarray(quarters()).quantize(4)
    np.testing.assert_allclose(read(encode(palette, "PNG")), quarters(), atol=2)
    checks = np.indices((16, 16)).sum(axis=0) % 2 == 0
    np.testing.assert_array_equal(read(encode(Image.fromarray(checks), "PNG"), channels=1)[..., 0], checks * 255)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_of_an_animation_the_first_frame_is_taken_and_said(kind: str) -> None:
    """The remark is what `image_note` shows."""
    first, second = Image.new("RGB", (16, 16), "red"), Image.new("RGB", (16, 16), "blue")
    data = encode(first, kind, save_all=True, append_images=[second])
    picture = read_picture(data, size=16, channels=3, resize="squash-bilinear-v1")
    assert picture.note == "first frame of an animation"
    assert picture.pixels[8, 8, 0] > 200
    assert picture.pixels[8, 8, 2] < 50


def photo(width: int, height: int) -> Image.Image:
    """A smooth colourful picture with some detail, like a photo."""
    rows, columns = np.mgrid[0:height, 0:width] / 1000
    waves = [np.sin(9 * rows + 5 * columns), np.sin(13 * columns), np.cos(7 * rows * columns + 40 * rows)]
    return Image.fromarray(np.rint(127.5 + 127.5 * np.stack(waves, axis=-1)).astype(np.uint8))


def test_a_large_jpeg_at_reduced_scale_looks_like_the_full_one() -> None:
    """Drafting skips detail only: within a few levels of the full decode followed by the same resize."""
    image = photo(3000, 2000)
    data = encode(image, "JPEG", quality=92)
    full = np.asarray(Image.open(io.BytesIO(data)).resize((224, 224), Image.Resampling.BILINEAR)).astype(int)
    difference = np.abs(read(data, size=224).astype(int) - full)
    assert difference.max() <= 6
    assert difference.mean() <= 0.5


def test_a_small_jpeg_is_decoded_in_full() -> None:
    """Below twice the target there is nothing to skip."""
    image = photo(300, 300)
    data = encode(image, "JPEG", quality=92)
    full = np.asarray(Image.open(io.BytesIO(data)).resize((224, 224), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(read(data, size=224), full)


def test_a_picture_of_the_models_size_is_not_resampled() -> None:
    """What the demo writes is what the network sees."""
    np.testing.assert_array_equal(read(encode(Image.fromarray(quarters()), "PNG")), quarters())


def test_the_crop_is_the_middle() -> None:
    """The frame around the central 0.875 never shows."""
    framed = np.full((64, 128, 3), 200, np.uint8)
    framed[:3], framed[-3:], framed[:, :30], framed[:, -30:] = 0, 0, 0, 0
    data = encode(Image.fromarray(framed), "PNG")
    pixels = read_picture(data, size=32, channels=3, resize="crop-bilinear-v1").pixels
    assert set(pixels.reshape(-1).tolist()) == {200}


def test_square_takes_the_whole_central_square() -> None:
    """What is outside it is not seen, all inside is."""
    wide = np.zeros((32, 64, 3), np.uint8)
    wide[:, 16:48] = 200
    pixels = read_picture(encode(Image.fromarray(wide), "PNG"), size=32, channels=3, resize="square-bilinear-v1").pixels
    assert set(np.unique(pixels)) == {200}
    wide[0, 16] = 0
    pixels = read_picture(encode(Image.fromarray(wide), "PNG"), size=32, channels=3, resize="square-bilinear-v1").pixels
    assert pixels[0, 0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_a_picture_error(kind: str, share: float) -> None:
    """One class, one short text; never half a picture."""
    random = np.random.default_rng(0)
    data = encode(Image.fromarray(random.integers(0, 256, (64, 64, 3), np.uint8)), kind)
    with pytest.raises(PictureError, match=r"^the image is truncated: the file ends too early$"):
        read(data[: int(len(data) * share)])


@pytest.mark.parametrize(("data", "reason"), [
    (b"", "the file is empty"),
    (b"hello", "not an image, or of a kind that is not supported"),
    (b"<?xml version='1.0'?>\n<svg width='9'/>", "not a supported image: this is an SVG drawing"),
    (b"%PDF-1.7", "not a supported image: this is a PDF document"),
    (b"%!PS-Adobe-3.0 EPSF-3.0", "not a supported image: this is an EPS or PostScript file"),
    (b"8BPS\0\1", "not a supported image: this is a Photoshop file (PSD)"),
    (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "not a supported image: this is a HEIC image"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "not a supported image: this is a JPEG 2000 image"),
    (b"<!DOCTYPE html><html>", "not a supported image: this is a web page"),
])
def test_what_is_no_picture_says_what_it_is(data: bytes, reason: str) -> None:
    """Text, vector files and programs are refused before a reader for them is asked."""
    with pytest.raises(PictureError) as caught:
        read(data)
    assert str(caught.value) == reason


def test_a_damaged_file_of_full_length_is_not_called_truncated() -> None:
    """Its end is there; what is wrong is inside."""
    data = bytearray(encode(photo(64, 64), "PNG"))
    data[data.index(b"IDAT") + 20] ^= 0xFF
    with pytest.raises(PictureError, match=r"^the image is damaged$"):
        read(bytes(data))


def test_too_little_memory_is_not_the_pictures_fault() -> None:
    """The same bytes may be read another time."""
    def no_memory(image: Image.Image, size: int) -> Image.Image:
        raise MemoryError(f"{image.size}, {size}")

    RESIZE_POLICIES["no-memory"] = no_memory
    try:
        with pytest.raises(PictureError, match="too little memory") as caught:
            read_picture(encode(photo(8, 8), "PNG"), size=8, channels=3, resize="no-memory")
    finally:
        del RESIZE_POLICIES["no-memory"]
    assert not caught.value.is_final


def test_too_many_pixels_are_refused_by_the_header() -> None:
    """Before anything is decoded; the text names the setting."""
    data = encode(Image.new("1", (2000, 1000)), "PNG")
    with pytest.raises(PictureError, match=r"2,000,000, the limit is 1,000,000 \(--max-image-megapixels\)"):
        read(data, limits=PictureLimits(max_megapixels=1))


MAGIC = [b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\x00", b"RIFF\x00\x00\x00\x00WEBP"]


@given(start=st.sampled_from(MAGIC), rest=st.binary(max_size=200))
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow's remarks on broken TIFF tags
def test_arbitrary_bytes_never_raise_anything_else(start: bytes, rest: bytes) -> None:
    """A broken file is a row with a reason, never a request that fails."""
    try:
        pixels = read(start + rest)
    except PictureError:
        return
    assert pixels.shape == (16, 16, 3)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "LA", "LAB", "I;16", "I", "F"])
def test_every_mode_gives_the_models_shape(mode: str, channels: int) -> None:
    """uint8 (size, size, channels), whatever was stored."""
    kind = "TIFF" if mode in ("CMYK", "F", "I", "LAB") else "PNG"
    pixels = read(encode(Image.new(mode, (20, 10)), kind), channels=channels)
    assert (pixels.shape, pixels.dtype.name) == ((16, 16, channels), "uint8")


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow was built without AVIF")
def test_avif_is_read() -> None:
    """The newest format phones write."""
    pixels = read(encode(Image.fromarray(quarters(64)), "AVIF", quality=95), size=64)
    assert np.abs(pixels[8, 8].astype(int) - [255, 0, 0]).max() <= 12
