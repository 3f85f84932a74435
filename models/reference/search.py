"""Exact search: the points nearest to others, by one matrix product a block.

Nearest by squared distance, |a - b|**2 = |a|**2 - (2ab - |b|**2), and of equal ones the first. Every number on the way
is whole and below 2**24, so float32 has it exactly: the answer for a picture is the same in a block of one or of a
thousand, on any machine, with any number of threads.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from models.reference.grid import squares

_GROUP, _SMALL_GROUP = 64, 16  # points whose best is looked at first; then only groups with the best of these
_SMALL = 10_000  # points
_SCORES = 4_000_000  # of a block: 16 MB
_FARTHEST = -(2**24) + 1  # below every score
_PLACE_BITS = 24  # a score and a place make one whole number, of which no two are equal
_LAST = 2**_PLACE_BITS - 1


class Search:
    """The points searched in, int16 (N, D); float32 here: 26 MB for 100,000 x 64."""

    def __init__(self, points: NDArray[np.int16]) -> None:
        self._count = len(points)
        self._size = _GROUP if self._count > _SMALL else _SMALL_GROUP
        self._groups = -(-self._count // self._size)
        padded = np.zeros((self._groups * self._size, points.shape[1]), np.float32)
        padded[:self._count] = points
        lengths = np.full(len(padded), -_FARTHEST, np.float32)
        lengths[:self._count] = squares(points)
        self._columns = np.ascontiguousarray(self._dealt(padded).T)
        self._squares = self._dealt(lengths)

    def __len__(self) -> int:
        return self._count

    def nearest(self, wanted: NDArray[np.int16], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The `count` nearest of each of `wanted` (M, D), nearest first: places int64 (M, count) and squared distances.

        Raises:
            ValueError: more are asked for than there are.
        """
        if not 0 < count <= self._count:
            raise ValueError(f"{count} nearest of {self._count} points")
        keys = np.empty((len(wanted), count), np.int64)
        for block in self._blocks(len(wanted)):
            keys[block] = self._best(2.0 * wanted[block].astype(np.float32), count)
        places: NDArray[np.int64] = _LAST - (keys & _LAST)
        return places, squares(wanted)[:, None] - (keys >> _PLACE_BITS)

    def _dealt(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The firsts of all groups, then the seconds, and so on: the best of each is then found six times as fast."""
        return rows.reshape(self._groups, self._size, *rows.shape[1:]).swapaxes(0, 1).reshape(rows.shape)

    def _blocks(self, rows: int) -> Iterator[slice]:
        step = max(16, _SCORES // len(self._squares))
        return (slice(start, start + step) for start in range(0, rows, step))

    def _best(self, doubled: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        """Keys of the highest scores, falling. A group outside the `count` best by their best has none of them: each of
        those has a better one, or an equal one that comes first."""
        scores = doubled @ self._columns
        scores -= self._squares
        by_group = _keys(scores.reshape(len(scores), self._size, self._groups).max(axis=1), np.arange(self._groups))
        groups = (_LAST - (_highest(by_group, min(count, self._groups)) & _LAST))[:, :, None]
        members = np.arange(self._size)
        found = np.take_along_axis(scores, (members * self._groups + groups).reshape(len(scores), -1), axis=1)
        return _highest(_keys(found, (groups * self._size + members).reshape(len(scores), -1)), count)


def _keys(scores: NDArray[np.float32], places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Whole numbers that order by score, then by place, the first highest."""
    keys: NDArray[np.int64] = (scores.astype(np.int64) << _PLACE_BITS) | (_LAST - places)
    return keys


def _highest(keys: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The `count` highest of each row, falling."""
    if count < keys.shape[1]:
        keys = np.partition(keys, keys.shape[1] - count, axis=1)[:, keys.shape[1] - count:]
    falling: NDArray[np.int64] = np.sort(keys, axis=1)[:, ::-1]
    return falling
