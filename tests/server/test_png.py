"""PNGs that are bounded: all colours where they fit, then fewer, then fewer pixels."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from server.png import png_of, small_png_of

MOST = 64_000


def noise(side: int, height: int = 0) -> NDArray[np.uint8]:
    """Pixels that nothing compresses."""
    return np.random.default_rng(side).integers(0, 256, (height or side, side, 3), np.uint8)


def opened(data: bytes) -> Image.Image:
    """The picture in them."""
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize(("side", "height"), [(224, 224), (299, 299), (600, 600), (2_000, 40), (40, 2_000)])
def test_no_picture_is_larger_than_the_limit(side: int, height: int) -> None:
    """Of any size and shape; the shape stays."""
    made = small_png_of(noise(side, height), most_bytes=MOST)
    width, tall = opened(made).size
    assert len(made) <= MOST
    assert width / tall == pytest.approx(side / height, rel=0.1)


def test_what_fits_stays_as_it_is() -> None:
    """All colours and pixels."""
    pixels = noise(140)
    assert small_png_of(pixels, most_bytes=MOST) == png_of(pixels)


def test_fewer_colours_come_before_fewer_pixels() -> None:
    """A smooth picture of network size keeps all pixels, each near what it was."""
    across, down = np.meshgrid(np.linspace(0, 1, 224), np.linspace(0, 1, 224))
    grain = np.random.default_rng(1).normal(0, 4, (224, 224, 1))
    pixels = (np.stack([across, down, across * down], axis=-1) * 200 + 25 + grain).clip(0, 255).astype(np.uint8)
    made = small_png_of(pixels, most_bytes=MOST)
    shown = np.asarray(opened(made).convert("RGB"), int)
    assert (len(png_of(pixels)) > MOST, len(made) <= MOST, shown.shape) == (True, True, pixels.shape)
    assert np.abs(shown - pixels).mean() < 8
