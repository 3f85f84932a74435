"""Regions cut out of pictures: upright, of every mode, and none that is not there."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from training_pictures import noise

from models.data.entries import Box
from models.data.region import cut, whole
from models.picture import PictureError, PictureLimits, read_picture


def _file(image: Image.Image, kind: str = "PNG", turn: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = turn
    file = io.BytesIO()
    image.save(file, kind, exif=exif) if turn != 1 else image.save(file, kind)
    return file.getvalue()


def _pixels(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data)))


STORED = Image.fromarray(noise(1, width=30, height=20))


@pytest.mark.parametrize("turn", range(1, 9))
def test_regions_are_those_of_the_upright_picture(turn: int) -> None:
    """The frame has the upright shape: labelling tools of today turn by EXIF."""
    data = _file(STORED, turn=turn)
    upright = whole(data)
    height, width = _pixels(upright).shape[:2]
    piece = cut(data, Box(2, 3, 12, 15, (float(width), float(height))))
    np.testing.assert_array_equal(_pixels(piece), _pixels(upright)[3:15, 2:12])


def test_a_tool_that_did_not_turn_is_noticed_by_its_frame() -> None:
    """A frame of the stored shape: the region is cut there, and then turned."""
    data = _file(STORED, turn=6)
    piece = cut(data, Box(2, 3, 12, 15, (30.0, 20.0)))
    expected = np.rot90(np.asarray(STORED)[3:15, 2:12], -1)
    np.testing.assert_array_equal(_pixels(piece), expected)


@pytest.mark.parametrize("turn", range(1, 9))
def test_the_whole_picture_is_what_serving_sees(turn: int) -> None:
    """A golden picture decodes to the pixels of the original."""
    data = _file(STORED, turn=turn)
    policy = {"size": 16, "channels": 3, "resize": "squash-bilinear-v1"}
    np.testing.assert_array_equal(read_picture(whole(data), **policy).pixels,  # type: ignore[arg-type]
                                  read_picture(data, **policy).pixels)  # type: ignore[arg-type]


@pytest.mark.parametrize(("mode", "kind"), [("1", "PNG"), ("L", "PNG"), ("LA", "PNG"), ("P", "PNG"), ("RGBA", "PNG"),
                                            ("I;16", "PNG"), ("CMYK", "TIFF"), ("YCbCr", "TIFF"), ("LAB", "TIFF")])
@pytest.mark.parametrize("channels", [1, 3])
def test_modes_survive_the_cut(mode: str, kind: str, channels: int) -> None:
    """The region of the whole picture is the picture, as `read_picture` sees it."""
    image = Image.fromarray(noise(2, width=24, height=24)[..., 0].astype(np.uint16) * 257) if mode == "I;16" else (
        STORED.resize((24, 24)).convert("RGBA" if mode == "RGBA" else "RGB") if mode != "LAB" else Image.frombytes(
            "LAB", (24, 24), noise(2, width=24, height=24).tobytes()))
    data = _file(image if mode in ("I;16", "LAB") else image.convert(mode), kind)
    one = read_picture(cut(data, Box(0, 0, 24, 24)), size=24, channels=channels, resize="squash-bilinear-v1")
    other = read_picture(data, size=24, channels=channels, resize="squash-bilinear-v1")
    assert int(np.abs(one.pixels.astype(int) - other.pixels).max()) <= 1


@pytest.mark.parametrize("box", [
    Box(30, 0, 40, 5), Box(-9, 0, -1, 5), Box(0, 20, 5, 25), Box(0, 0, 1e-9, 5, (1e12, 20.0)),
])
def test_a_region_outside_is_none(box: Box) -> None:
    """Nothing of it lies in the picture; a sliver gives a pixel."""
    if box.frame:
        assert _pixels(cut(_file(STORED), box)).shape[1] == 1
        return
    with pytest.raises(PictureError, match="the region lies outside the picture"):
        cut(_file(STORED), box)


def test_a_region_is_bounded_by_the_picture() -> None:
    """What sticks out is left out."""
    assert _pixels(cut(_file(STORED), Box(-5, -5, 1000, 1000))).shape == (20, 30, 3)


@given(st.sampled_from(["JPEG", "PNG", "TIFF", "WEBP"]), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)),
                                                                  min_size=1, max_size=12), st.integers(0, 8))
@settings(deadline=None, max_examples=80)
def test_damage_of_any_kind_is_a_picture_error(kind: str, changes: list[tuple[float, int]], turn: int) -> None:
    """Bytes changed anywhere, EXIF included: a picture or the one error, nothing else."""
    data = bytearray(_file(STORED, kind, turn))
    for place, value in changes:
        data[min(len(data) - 1, int(place * len(data)))] = value
    for attempt in (whole, lambda raw: cut(raw, Box(2, 3, 9, 9, (20.0, 30.0)))):
        with contextlib.suppress(PictureError):
            assert attempt(bytes(data)).startswith(b"\x89PNG")


@pytest.mark.parametrize("data", [b"", b"text", _file(STORED)[:60]])
def test_what_is_no_picture_says_so(data: bytes) -> None:
    """With the reason serving would give."""
    with pytest.raises(PictureError, match="image"):
        cut(data, Box(0, 0, 1, 1))


def test_too_many_pixels_are_not_decoded() -> None:
    """The same limit as serving."""
    with pytest.raises(PictureError, match="too many pixels: 600, the limit is 500"):
        whole(_file(STORED), PictureLimits(max_megapixels=0.0005))
