"""Which pictures are decoded in the server's own threads: by the header, before any decoder sees them."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from server.ordinary import is_ordinary


def encode(kind: str, size: tuple[int, int] = (64, 48), mode: str = "RGB", **options: Any) -> bytes:
    """A grey picture in the format `kind`."""
    file = io.BytesIO()
    Image.new(mode, size, 128).save(file, kind, **options)
    return file.getvalue()


def with_scans(data: bytes, more: int) -> bytes:
    """A JPEG whose last scan comes `more` times more."""
    scan, end = data.rfind(b"\xff\xda"), data.rfind(b"\xff\xd9")
    return data[:end] + data[scan:end] * more + data[end:]


def chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def with_chunks(data: bytes, *chunks: bytes) -> bytes:
    """A PNG with `chunks` before its end."""
    return data[:-12] + b"".join(chunks) + data[-12:]


@pytest.mark.parametrize("data", [
    encode("JPEG"), encode("JPEG", progressive=True), encode("JPEG", (4000, 3000)), encode("JPEG", mode="L"),
    encode("JPEG", (4000, 3000), progressive=True), encode("JPEG", mode="CMYK"), encode("JPEG", exif=Image.Exif()),
    encode("JPEG", icc_profile=bytes(300_000)), encode("PNG"), encode("PNG", mode="P"), encode("PNG", (4000, 3000)),
])
def test_what_cameras_and_the_web_have_is_ordinary(data: bytes) -> None:
    """Baseline and progressive, 12 megapixels, profiles and previews."""
    assert is_ordinary(data)


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "BMP", "ICO", "PPM"])
def test_rare_formats_are_not(kind: str) -> None:
    """Their decoders are larger, older or less often fed with hostile files."""
    assert not is_ordinary(encode(kind))


@pytest.mark.parametrize("data", [
    with_scans(encode("JPEG", (4000, 3000), progressive=True), 10),
    with_scans(encode("JPEG", (640, 480), progressive=True), 1000),
    encode("JPEG", (8000, 4000)),
    encode("PNG", (5000, 4000), mode="L"),
    with_chunks(encode("PNG"), *[chunk(b"tEXt", b"a\0b")] * 200),
    with_chunks(encode("PNG"), chunk(b"zTXt", bytes(3_000_000))),
    encode("PNG", save_all=True, append_images=[Image.new("RGB", (64, 48))]),
    encode("JPEG").replace(b"\xff\xdb", b"\xff\xe5\x00\x02" * 200 + b"\xff\xdb", 1),
])
def test_what_may_take_long_or_much_is_not(data: bytes) -> None:
    """Scans, pixels, chunks, segments, frames."""
    assert not is_ordinary(data)


def test_text_and_pixels_of_any_kind_may_be_many_small_chunks_only_in_proportion() -> None:
    """Five thousand empty pixel chunks are no picture."""
    assert not is_ordinary(with_chunks(encode("PNG"), *[chunk(b"IDAT", b"")] * 5000))


def test_a_png_with_a_prompt_is_ordinary() -> None:
    """What image generators write."""
    info = PngInfo()
    info.add_text("parameters", "a cat " * 1000)
    assert is_ordinary(encode("PNG", pnginfo=info))


@given(start=st.sampled_from([encode("JPEG")[:200], encode("JPEG", progressive=True)[:400], encode("PNG")[:60], b""]),
       rest=st.binary(max_size=100), keep=st.integers(0, 400))
def test_any_bytes_are_one_or_the_other(start: bytes, rest: bytes, keep: int) -> None:
    """A broken header never raises."""
    assert is_ordinary(start[:keep] + rest) in (True, False)
