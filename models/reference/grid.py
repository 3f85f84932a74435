"""Embeddings as whole numbers, so that sums of products are exact in whatever order and shape they are computed.

A matrix product in floats has other last bits for one row than for a thousand, and on other machines; a picture's place
would hang on what else is in the column. Whole numbers below 2**24 are exact in float32, so their sums are the same
everywhere, and the fast product may be used. Two grids: `points` for the search, `fine` for a single cosine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RADIUS = 2000
"""Length of a point: 3 * (RADIUS + D**0.5 / 2)**2 stays below 2**24 up to 500,000 numbers. A step is 0.0005, about what
float16 leaves of an embedding; a cosine is off by about 0.0002."""

_FINE = 2.0**20  # squares of it, added up 4,000 times, stay below 2**53
MOST_NUMBERS = 4096
"""Numbers an embedding may have; the networks of keras.applications have up to 4,096 (VGG)."""


def fine(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Vectors (N, D) as whole numbers up to 2**20 in float64, each by its own largest; what is no number is 0."""
    exact = np.nan_to_num(vectors.astype(np.float64), nan=0.0, posinf=65504.0, neginf=-65504.0)
    largest = np.abs(exact).max(axis=1, keepdims=True, initial=0.0)
    whole: NDArray[np.float64] = np.rint(exact / np.where(largest > 0, largest, 1.0) * _FINE)
    return whole


def points(vectors: NDArray[np.floating]) -> NDArray[np.int16]:
    """Vectors (N, D) as points of the grid, int16, all of the length `RADIUS` but for the rounding; zero stays zero."""
    whole = fine(vectors)
    lengths = np.sqrt(_products(whole, whole))[:, None]
    return np.rint(whole * (RADIUS / np.where(lengths > 0, lengths, 1.0))).astype(np.int16)


def cosines(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float64]:
    """The cosine -1..1 of each row of `one` (N, D) with the same row of `other`; 0 where one of them is zero."""
    a, b = fine(one), fine(other)
    lengths = np.sqrt(_products(a, a)) * np.sqrt(_products(b, b))
    values: NDArray[np.float64] = np.clip(_products(a, b) / np.where(lengths > 0, lengths, 1.0), -1.0, 1.0)
    return values


def squares(chosen: NDArray[np.int16]) -> NDArray[np.int64]:
    """The squared length of each point."""
    whole = chosen.astype(np.int64)
    total: NDArray[np.int64] = (whole * whole).sum(axis=1)
    return total


def _products(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums of products by row: of whole numbers, none above 2**53, so in any order the same."""
    total: NDArray[np.float64] = (one * other).sum(axis=1)
    return total
