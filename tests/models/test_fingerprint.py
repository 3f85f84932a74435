"""The key of a picture's look: equal for equal pixels, kept when it is saved again, seldom shared."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.fingerprint import CHANGES, pieces, recall, shared_keys
from models import digits
from models.fingerprint import fingerprint
from models.photos import photo_pieces
from models.picture import read_picture


@given(st.integers(0, 1000), st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3]))
@settings(deadline=None, max_examples=40)
def test_equal_pixels_have_equal_keys(seed: int, width: int, height: int, channels: int) -> None:
    """Whatever the shape, however the array lies in memory; fifteen digits."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    key = fingerprint(pixels)
    assert key == fingerprint(np.asfortranarray(pixels.copy()))
    assert len(key) == 15
    assert int(key, 16) >= 0


def test_keys_are_the_same_on_every_machine() -> None:
    """Written down once: stored keys must be found again after an update."""
    photo = next(iter(photo_pieces().values()))
    pixels = read_picture(photo, size=64, channels=3, resize="squash-bilinear-v1").pixels
    assert [fingerprint(pixels), fingerprint(digits.load().pixels[0])] == ["e39fc4c4724c033", "871f23c6cc59033"]


def test_saved_again_most_keys_stay() -> None:
    """Pieces of two photos: the docstring's figures, with room for another Pillow."""
    found = recall(pieces()[::6], 224)
    assert set(found) == set(CHANGES)
    assert min(found.values()) >= 0.85


def test_different_pictures_seldom_share_a_key() -> None:
    """Of pieces of two photos, which even overlap, none; of plain digits at most one in a hundred."""
    assert shared_keys(pieces()[::6], 224) == 0
    keys = [fingerprint(one) for one in digits.load().pixels[:600]]
    assert len(set(keys)) >= 0.99 * len(keys)


def test_plain_pictures_are_told_apart_by_colour_only() -> None:
    """All greys are one look, red is another, and rounding decides nothing."""
    greys = {fingerprint(np.full((40, 40, 3), value, np.uint8)) for value in range(1, 256, 3)}
    red, blue = np.zeros((40, 40, 3), np.uint8), np.zeros((40, 40, 3), np.uint8)
    red[..., 0] = blue[..., 2] = 255
    assert len(greys) == 1
    assert len({*greys, fingerprint(red), fingerprint(blue)}) == 3


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_is_grey_in_one_channel_or_three(channels: int) -> None:
    """A grey picture has one key, whichever model reads it."""
    grey = np.random.default_rng(1).integers(0, 256, (50, 50, 1), dtype=np.uint8)
    assert fingerprint(grey.repeat(channels, -1)) == fingerprint(grey)
