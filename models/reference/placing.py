"""Where new pictures belong among a version's reference: place, nearest label, cluster, and how far out they are.

Embeddings enter, whole numbers and places leave. Each picture is computed from its own embedding alone, in whole
numbers or number by number: it has exactly the same place whatever else is in the column.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.reference.grid import points
from models.reference.reference import Reference
from models.reference.search import Search

NEIGHBOURS = 10
"""Pictures a place is made of, and the one whose distance says how far out a picture is."""


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """N pictures: `places` float32 (N, 2), `nearest` int32 (N,) rows of the reference, `outlier` float32 (N,) 0..1."""

    places: NDArray[np.float32]
    nearest: NDArray[np.int32]
    outlier: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.nearest)


class Placing:
    """A reference ready to be searched."""

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self._search = Search(reference.points)
        self._same = same_distance(reference.points.shape[1])

    def place(self, vectors: NDArray[np.floating]) -> Placed:
        """Where embeddings (N, D) belong.

        A picture that is in the reference is exactly at its place, and is not its own neighbour where distances are
        looked at. Others are at the mean of their ten nearest, each weighted by the fourth power of one over its
        distance: scale-free, and near one of them it is near that one.
        """
        found, squared = self._search.nearest(points(vectors), min(NEIGHBOURS + 1, len(self.reference)))
        is_same = squared[:, 0] <= self._same
        far = tenth(squared, is_same)
        outlier = np.searchsorted(self.reference.distances, far, side="left") / len(self.reference.distances)
        places = np.where(is_same[:, None], self.reference.places[found[:, 0]].astype(np.float64),
                          self._mean(found[:, :NEIGHBOURS], squared[:, :NEIGHBOURS]))
        return Placed(places.astype(np.float32), found[:, 0].astype(np.int32), outlier.astype(np.float32))

    def _mean(self, found: NDArray[np.int64], squared: NDArray[np.int64]) -> NDArray[np.float64]:
        """The weighted mean of places, added up neighbour by neighbour: the same for one picture as for many."""
        weights = (np.maximum(squared[:, :1], 1) / np.maximum(squared, 1)) ** 2
        total, weight = np.zeros((len(found), 2)), np.zeros((len(found), 1))
        for rank in range(found.shape[1]):
            total += weights[:, rank, None] * self.reference.places[found[:, rank]]
            weight += weights[:, rank, None]
        return total / weight


def same_distance(numbers: int) -> int:
    """The squared distance up to which two points are one picture: engines differ by a step in a few of its numbers."""
    return 4 + numbers // 16


def tenth(squared: NDArray[np.int64], is_same: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The squared distance to the tenth neighbour that is another picture; `squared` (N, up to 11) rises by row."""
    last = squared.shape[1] - 1
    rank = np.minimum(np.where(is_same, NEIGHBOURS, NEIGHBOURS - 1), last)
    chosen: NDArray[np.int64] = squared[np.arange(len(squared)), rank]
    return chosen
