"""Exact search, against a search that looks at everything in whole numbers and at float64's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.reference.grid import points
from models.reference.search import Search


def cloud(rows: int, numbers: int = 8, seed: int = 1) -> NDArray[np.int16]:
    """Points in three heaps, some of them equal."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(3, numbers))
    made = points(centres[random.integers(0, 3, rows)] + 0.2 * random.normal(size=(rows, numbers)))
    made[rows // 2:][::3] = made[0]
    return made


Found = tuple[NDArray[np.int64], NDArray[np.int64]]


def brute(among: NDArray[np.int16], wanted: NDArray[np.int16], count: int) -> Found:
    """Every squared distance in whole numbers, sorted, the first of equal ones first."""
    difference = wanted.astype(np.int64)[:, None] - among.astype(np.int64)[None]
    squared = (difference**2).sum(axis=2)
    order = np.argsort(squared, axis=1, kind="stable")[:, :count]
    return order, np.take_along_axis(squared, order, axis=1)


@given(rows=st.integers(1, 400), wanted=st.integers(1, 30), count=st.integers(1, 12), numbers=st.integers(1, 40),
       seed=st.integers(0, 99))
def test_it_is_what_looking_at_everything_finds(rows: int, wanted: int, count: int, numbers: int, seed: int) -> None:
    """The same places and distances, ties to the first, in groups that are full and not."""
    among, asked = cloud(rows, numbers, seed), cloud(wanted, numbers, seed + 1)
    places, squared = Search(among).nearest(asked, min(count, rows))
    expected = brute(among, asked, min(count, rows))
    assert (places.tolist(), squared.tolist()) == (expected[0].tolist(), expected[1].tolist())


def test_the_nearest_is_float64_s() -> None:
    """Where the grid is not what decides: the largest cosine of the embeddings themselves."""
    random = np.random.default_rng(3)
    among, asked = random.normal(size=(500, 64)), random.normal(size=(300, 64))
    cosine = (asked / np.linalg.norm(asked, axis=1)[:, None]) @ (among / np.linalg.norm(among, axis=1)[:, None]).T
    ranked = np.sort(cosine, axis=1)
    is_clear = ranked[:, -1] - ranked[:, -2] > 1e-3
    found, _ = Search(points(among)).nearest(points(asked), 1)
    assert (is_clear.sum() > 250, found[is_clear, 0].tolist()) == (True, cosine.argmax(axis=1)[is_clear].tolist())


@given(data=st.data())
def test_a_picture_s_answer_hangs_on_no_other(data: st.DataObject) -> None:
    """Any part of a column, in any order, with repeats: bit for bit the same."""
    among, asked = cloud(300, 56), cloud(40, 56, 2)
    whole = Search(among).nearest(asked, 11)
    rows = np.array(data.draw(st.lists(st.integers(0, 39), min_size=1, max_size=60)))
    part = Search(among).nearest(asked[rows], 11)
    assert ((part[0] == whole[0][rows]).all(), (part[1] == whole[1][rows]).all()) == (True, True)


def test_more_than_there_are_is_refused() -> None:
    """A caller's mistake."""
    with pytest.raises(ValueError, match="5 nearest of 4 points"):
        Search(cloud(4)).nearest(cloud(1), 5)
