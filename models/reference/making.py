"""Making a reference: which pictures, their points, the map, the clusters, and what counts as far out."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from models.data.labelled import Labelled
from models.errors import DataError
from models.reference.clusters import clusters_of
from models.reference.grid import MOST_NUMBERS, points
from models.reference.placing import NEIGHBOURS, same_distance, tenth
from models.reference.reference import FEWEST_PICTURES, MOST_PICTURES, Reference
from models.reference.search import Search
from models.reference.tsne import map_of, neighbours

Embed = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Pixels uint8 (N, S, S, C) -> embeddings float32 (N, D)."""

PICTURES = 4000
"""Pictures of a reference where nobody says how many."""

_NUMBERS = 1_500_000  # of them together: 3 MB in the file
_MOST_NUMBERS = 25_600_000  # 26,000 x 1,000, or 100,000 x 256: 150 MB of memory in the server
MEASURING = 1000
"""Pictures that are not in the reference and say which distances are usual."""

_ENOUGH_MEASURING = 50  # fewer tell no percentile: then each picture of the reference is measured against the others
_BLOCK = 256
_SHARE_OF_EMBEDDING = 0.6  # of the time; the map gets the rest


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """N labelled pictures to choose from: the `rows` (N,) of `pixels` uint8 (M, S, S, C), which are not copied.

    `classes` (N,), `names` say where they are from, `digests` are a text of each one's content, by which is chosen.
    """

    pixels: NDArray[np.uint8]
    rows: NDArray[np.int64]
    classes: NDArray[np.int64]
    names: Sequence[str]
    digests: Sequence[str]

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def of(cls, data: Labelled, rows: NDArray[np.int64]) -> Pictures:
        """Those rows of a source."""
        return cls(data.pixels, rows, data.classes[rows], [data.names[row] for row in rows],
                   [data.digests[row] for row in rows])

    def taken(self, some: NDArray[np.int64]) -> Pictures:
        """Some of them, by their number here."""
        return Pictures(self.pixels, self.rows[some], self.classes[some], [self.names[number] for number in some],
                        [self.digests[number] for number in some])

    def blocks(self) -> Iterator[NDArray[np.uint8]]:
        """Their pixels in order, a few hundred at a time."""
        for start in range(0, len(self), _BLOCK):
            yield self.pixels[self.rows[start:start + _BLOCK]]


def make_reference(
    pictures: Pictures, others: Pictures | None, labels: Sequence[str], embed: Embed, *, numbers: int,
    count: int | None = None, seed: int = 1, within_s: float = 600.0,
) -> Reference:
    """A reference of `count` of `pictures`, as many of each class as there are.

    Args:
        pictures: what it is chosen from.
        others: pictures like them that the network was not trained on, which say what is usual; None for none.
        labels: what the classes are called.
        embed: the network.
        numbers: how many an embedding has.
        count: pictures of the reference; without it as many as make 3 MB, at most 4,000. More than 100,000, or than
            take a server 150 MB, are not kept.
        seed: another seed, other pictures and another map.
        within_s: seconds it may take: then fewer pictures are taken, and the map is left as it is by then.

    Raises:
        DataError: too few different pictures, or embeddings that are too long.
        ModelError: the embeddings are all alike.
    """
    if numbers > MOST_NUMBERS:
        raise DataError(f"The embeddings have {numbers:,} numbers; a reference can have {MOST_NUMBERS:,}.")
    until = time.monotonic() + within_s
    size = min(count or min(PICTURES, _NUMBERS // numbers), MOST_PICTURES, _MOST_NUMBERS // numbers)
    chosen = pictures.taken(balanced(pictures, max(size, FEWEST_PICTURES), seed=seed))
    at = _points(chosen, embed, until=until - (1 - _SHARE_OF_EMBEDDING) * within_s)
    _, first = np.unique(at, axis=0, return_index=True)
    first.sort()  # copies of a picture have one place
    at, chosen = at[first], chosen.taken(first)
    if len(at) < FEWEST_PICTURES:
        raise DataError(f"A reference needs {FEWEST_PICTURES} different pictures, received {len(at)}.")
    places = map_of(at, seed=seed, within_s=until - time.monotonic())
    classes = chosen.classes.astype(np.int32)
    clusters, names = clusters_of(places, classes, labels)
    return Reference(
        points=at, classes=classes, labels=tuple(labels), clusters=clusters, cluster_names=names, places=places,
        distances=_usual(at, others, embed, seed=seed), names=tuple(chosen.names),
    )


def balanced(pictures: Pictures, count: int, *, seed: int) -> NDArray[np.int64]:
    """`count` of them, or all there are: of each class as many, by turns; by content and seed."""
    keys = [hashlib.sha256(f"{seed} {digest}".encode()).digest() for digest in pictures.digests]
    order = np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64)
    turns = np.empty(len(order), np.int64)
    seen: dict[int, int] = {}
    for number, label in zip(order.tolist(), pictures.classes[order].tolist(), strict=True):
        turns[number] = seen[label] = seen.get(label, -1) + 1
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order))
    return np.lexsort((ranks, turns))[:count]


def can_measure(others: Pictures | None) -> TypeGuard[Pictures]:
    """Whether there are enough other pictures to say what is usual."""
    return others is not None and len(others) >= _ENOUGH_MEASURING


def _points(pictures: Pictures, embed: Embed, *, until: float = math.inf) -> NDArray[np.int16]:
    """The points of as many pictures as there is time for, made of embeddings in float16 as the server keeps them."""
    parts: list[NDArray[np.int16]] = []
    for pixels in pictures.blocks():
        if parts and time.monotonic() >= until:
            break
        parts.append(points(np.clip(embed(pixels), -65504, 65504).astype(np.float16)))
    return np.concatenate(parts)


def _usual(at: NDArray[np.int16], others: Pictures | None, embed: Embed, *, seed: int) -> NDArray[np.int64]:
    """Rising squared distances to the tenth neighbour: of other pictures, else of each picture of the reference."""
    if not can_measure(others):
        _, squared = neighbours(at, min(NEIGHBOURS, len(at) - 1))
        return np.sort(squared[:, -1])
    measured = _points(others.taken(balanced(others, MEASURING, seed=seed)), embed)
    _, squared = Search(at).nearest(measured, min(NEIGHBOURS + 1, len(at)))
    return np.sort(tenth(squared, squared[:, 0] <= same_distance(at.shape[1])))
