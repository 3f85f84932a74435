"""Whole numbers in the place of floats: what they keep, and that sums of them are exact."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.reference.grid import MOST_NUMBERS, RADIUS, cosines, points, squares


def vectors(rows: int, numbers: int, seed: int = 1) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Made-up embeddings, as relu leaves them."""
    made = np.random.default_rng(seed).normal(size=(rows, numbers)).clip(-0.5)
    return made.astype(np.float16).astype(np.float32)


@pytest.mark.parametrize("numbers", [1, 2, 56, 1280, MOST_NUMBERS])
def test_a_cosine_is_the_float64_one(numbers: int) -> None:
    """To six decimals."""
    one, other = vectors(20, numbers), vectors(20, numbers, 2)
    a, b = one.astype(np.float64), other.astype(np.float64)
    expected = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert cosines(one, other) == pytest.approx(expected, abs=1e-5 if numbers > 1 else 1e-12)


@pytest.mark.parametrize("numbers", [1, 56, 1280])
def test_a_picture_is_exactly_like_itself(numbers: int) -> None:
    """After the rounding of the column: 1, not 0.999999."""
    one = vectors(50, numbers)
    assert np.round(cosines(one, one), 6).tolist() == [1.0] * 50


def test_what_has_no_direction_is_like_nothing() -> None:
    """Zero and what is no number: 0, never NaN."""
    odd = np.array([[0, 0], [np.nan, 0], [np.inf, -np.inf], [1e-8, 0]], np.float32)
    assert np.round(cosines(odd, odd), 6).tolist() == [0.0, 0.0, 1.0, 1.0]
    assert squares(points(odd)).tolist()[:2] == [0, 0]


@given(rows=st.integers(1, 9), numbers=st.integers(1, 300), scale=st.floats(1e-4, 1e4))
def test_points_are_as_long_as_each_other(rows: int, numbers: int, scale: float) -> None:
    """Whatever the embedding's own length: half a step of each number apart at most."""
    lengths = np.sqrt(squares(points(vectors(rows, numbers) * np.float32(scale))))
    assert (np.abs(lengths - RADIUS) <= 0.5 * numbers**0.5 + 1).all()


def test_the_largest_sums_fit_into_float32() -> None:
    """Three times the longest squared length an embedding of the most numbers can have."""
    assert 3 * (RADIUS + MOST_NUMBERS**0.5 / 2) ** 2 < 2**24
