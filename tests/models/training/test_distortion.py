"""Turned, zoomed, sheared and moved copies."""

from __future__ import annotations

import numpy as np
import pytest

from models import digits
from models.training.augmentation import augment
from models.training.distortion import distorted
from models.training.look import Look
from models.training.recipe import Recipe

pytestmark = pytest.mark.usefixtures("keras")


def _discs(count: int = 40, side: int = 32) -> np.ndarray:
    """White discs on black, right of the middle: a turn moves them, and their centre tells how far."""
    y, x = np.mgrid[:side, :side]
    disc = np.hypot(y - (side - 1) / 2, x - 24.5) < 4
    return np.repeat((255 * disc).astype(np.uint8)[None, ..., None], count, axis=0)


def _centres(pictures: np.ndarray) -> np.ndarray:
    """(N, 2): y and x of the mean of the ink."""
    ink = pictures[..., 0].astype(float)
    y, x = np.mgrid[:ink.shape[1], :ink.shape[2]]
    total = ink.sum(axis=(1, 2))
    centres: np.ndarray = np.stack([(ink * y).sum(axis=(1, 2)), (ink * x).sum(axis=(1, 2))], axis=1) / total[:, None]
    return centres


def test_without_strength_and_shift_pictures_stay() -> None:
    """The way there and back by floating point changes no pixel."""
    pictures = digits.load().pixels[:50]
    same = distorted(pictures, 0.0, 0.0, Look(1, (0,)), np.random.default_rng(1))
    np.testing.assert_array_equal(same, pictures)


def test_a_turn_moves_what_is_beside_the_middle() -> None:
    """Up and down by at most the turn and the shear, and never mirrored: it stays on its side."""
    moved = _centres(distorted(_discs(), 1.0, 0.0, Look(1, (0,)), np.random.default_rng(1)))
    assert moved[:, 0].std() > 0.5
    assert (abs(moved[:, 0] - 15.5) < 9 * (np.sin(np.deg2rad(12)) + 0.05) * 1.2).all()
    assert ((moved[:, 1] > 22) & (moved[:, 1] < 27)).all()


def test_a_shift_is_not_of_whole_pixels_alone() -> None:
    """Up to the share of the side, both ways."""
    moved = _centres(distorted(_discs(), 0.0, 1 / 16, Look(1, (0,)), np.random.default_rng(1))) - (15.5, 24.5)
    assert (abs(moved) < 2.05).all()
    assert (moved.min(axis=0) < -1.2).all()
    assert (moved.max(axis=0) > 1.2).all()
    assert (abs(moved - moved.round()) > 0.2).any()


@pytest.mark.parametrize("ground", [(0,), (200,), None])
def test_what_comes_in_is_the_ground_or_the_mirrored_border(ground: tuple[int, ...] | None) -> None:
    """No black corners in a picture that has no black."""
    pictures = np.full((20, 16, 16, 1), 200 if ground is None else ground, np.uint8)
    moved = distorted(pictures, 1.0, 0.25, Look(1, ground), np.random.default_rng(1))
    np.testing.assert_array_equal(moved, pictures)


def test_distorted_digits_keep_the_look() -> None:
    """Squares of four pixels, most of the ink; each digit changed, and a seed repeats itself."""
    pixels, look = digits.load().pixels[:50], Look(4, (0,))
    one, two = (augment(pixels, Recipe(distort=1.0, shift=0.0), np.random.default_rng(5), look) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert one.dtype == np.uint8
    assert Look.of(one) == look
    assert (one != pixels).any(axis=(1, 2, 3)).all()
    assert 0.85 < one.sum(dtype=int) / pixels.sum(dtype=int) < 1.15


def test_colours_keep_to_their_channels() -> None:
    """Red ink on white paper stays red on white."""
    pictures = np.full((20, 24, 24, 3), 255, np.uint8)
    pictures[:, 8:17, 8:17] = (200, 0, 0)
    assert Look.of(pictures) == Look(1, (255, 255, 255))
    moved = distorted(pictures, 1.0, 1 / 8, Look.of(pictures), np.random.default_rng(1))
    assert (moved[..., 1] == moved[..., 2]).all()
    assert moved[..., 0].min() >= 200
    assert (moved[:, 0, 0] == 255).all()
