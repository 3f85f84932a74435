"""What pictures have in common, found, and kept by their changed copies."""

from __future__ import annotations

import numpy as np
import pytest

from models import digits
from models.training.look import Look


def _noise(count: int = 20, side: int = 32, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, (count, side, side, channels), dtype=np.uint8)


def _squares(grain: int, side: int = 32) -> np.ndarray:
    return _noise(side=side // grain).repeat(grain, axis=1).repeat(grain, axis=2)


@pytest.mark.parametrize("grain", [1, 2, 4])
def test_the_largest_square_is_found(grain: int) -> None:
    """Pictures of squares of four pixels are also made of squares of two."""
    assert Look.of(_squares(grain)).grain == grain


def test_one_picture_of_another_grain_decides() -> None:
    """Also where it is not among the first, which are looked at before the others."""
    pictures = np.concatenate([_squares(4)] * 30)
    pictures[-1, 0, 0] ^= 1
    assert Look.of(pictures).grain == 1


def test_pictures_of_one_colour_have_a_grain_that_leaves_eight_places() -> None:
    """Not their whole side: their copies would be of one colour whatever was done to them."""
    assert Look.of(np.full((3, 32, 32, 3), 7, np.uint8)) == Look(4, (7, 7, 7))


def test_noise_has_no_ground_and_ink_on_paper_has() -> None:
    """The colour of most border pixels, of each channel."""
    assert Look.of(_noise()).ground is None
    paper = np.full((9, 16, 16, 3), (250, 240, 230), np.uint8)
    paper[:, 4:12, :5] = 10
    assert Look.of(paper).ground == (250, 240, 230)


def test_the_digits_are_squares_of_four_on_black() -> None:
    """As `models.digits` makes them."""
    assert Look.of(digits.load().pixels) == Look(4, (0,))


def test_grained_pictures_have_the_mean_of_each_square() -> None:
    """And those of one pixel stay as they are."""
    pictures = _noise()
    assert Look().grained(pictures) is pictures
    kept = Look(grain=4).grained(pictures)
    assert Look.of(kept).grain == 4
    assert kept[3, 9, 14, 0] == round(float(pictures[3, 8:12, 12:16, 0].mean()))
