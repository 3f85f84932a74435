"""The stored form of an answer, against NumPy's own sorting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from server.ranking import FULL_UP_TO, TOP, Rankings, kept_ranks

PROBABILITIES = arrays.arrays(np.float32, st.tuples(st.integers(0, 6), st.integers(1, 140)),
                              elements=st.floats(0, 1, width=32))


def equal(one: Rankings, other: Rankings) -> bool:
    """Whether two are the same, bit by bit."""
    return bool((one.order == other.order).all()) and one.probabilities.tobytes() == other.probabilities.tobytes()


@pytest.mark.parametrize(("classes", "kept"), [(1, 1), (2, 2), (FULL_UP_TO, FULL_UP_TO), (FULL_UP_TO + 1, TOP),
                                               (60_000, TOP)])
def test_all_ranks_are_kept_of_few_classes_and_the_first_of_many(classes: int, kept: int) -> None:
    """128 is the seam."""
    values = np.random.default_rng(classes).random((3, classes), np.float32)
    assert (kept_ranks(classes), Rankings.of(values).order.shape) == (kept, (3, kept))


@given(values=PROBABILITIES)
def test_ranks_are_those_of_a_plain_sort(values: NDArray[np.float32]) -> None:
    """By falling probability; equal ones in the order of the labels."""
    kept = kept_ranks(values.shape[1])
    expected = [[number for _, number in sorted((-value, number) for number, value in enumerate(row))][:kept]
                for row in values.tolist()]
    assert Rankings.of(values).order.tolist() == expected


@given(values=PROBABILITIES)
def test_values_are_the_ranks_own_in_half_precision(values: NDArray[np.float32]) -> None:
    """Nothing but rounding to float16 happens to them."""
    rankings = Rankings.of(values)
    expected = np.take_along_axis(values, rankings.order.astype(np.int64), axis=1).astype(np.float16)
    assert rankings.probabilities.tolist() == expected.tolist()


def test_class_numbers_above_255_survive() -> None:
    """There are more classes than a byte can count."""
    values = np.zeros((1, 50_000), np.float32)
    values[0, 49_999] = 1
    assert Rankings.of(values).order[0, 0] == 49_999


@given(values=PROBABILITIES)
def test_packing_is_undone_by_unpacking(values: NDArray[np.float32]) -> None:
    """Bit by bit, also for no pictures at all."""
    rankings = Rankings.of(values)
    assert equal(Rankings.unpack(rankings.pack(), rankings.order.shape[1]), rankings)


def test_a_value_of_another_length_is_refused() -> None:
    """A model with other classes cannot be read by mistake."""
    packed = Rankings.of(np.ones((2, 3), np.float32)).pack()
    with pytest.raises(ValueError, match="reshape"):
        Rankings.unpack(packed, 4)


def test_an_empty_one_has_no_pictures() -> None:
    """But the width of its model."""
    assert (len(Rankings.empty(5)), Rankings.empty(5).order.shape) == (0, (0, 5))
