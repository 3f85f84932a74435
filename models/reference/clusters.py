"""Clusters of a reference: what lies together on its map, named by the labels that are most of it.

HDBSCAN (R. Campello et al., "Density-based clustering based on hierarchical density estimates", 2013) finds how many
there are; what it calls noise belongs to the cluster of the nearest picture that has one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_MOST_LOOKED_AT = 10_000  # HDBSCAN takes a second for so many, and grows with their square
_SMALLEST_SHARE, _SMALLEST = 0.01, 5  # of the pictures is a cluster
_CLEAR = 0.6  # share of the first label from which it alone names the cluster


def clusters_of(places: NDArray[np.float32], classes: NDArray[np.int32], labels: Sequence[str]
                ) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """The cluster of each picture, int32 (N,), and the clusters' names, the largest first.

    Where the map shows no two clusters, the classes are the clusters.
    """
    found = _by_density(places)
    if found is None:
        found = np.unique(classes, return_inverse=True)[1]
    sizes = np.bincount(found)
    order = np.lexsort((np.arange(len(sizes)), -sizes))
    ranks = np.empty(len(order), np.int32)
    ranks[order] = np.arange(len(order), dtype=np.int32)
    clusters: NDArray[np.int32] = ranks[found]
    return clusters, _names(clusters, classes, labels)


def _by_density(places: NDArray[np.float32]) -> NDArray[np.int64] | None:
    from sklearn.cluster import HDBSCAN
    from sklearn.neighbors import KNeighborsClassifier

    looked_at = places[::-(-len(places) // _MOST_LOOKED_AT)].astype(np.float64)
    smallest = max(_SMALLEST, round(_SMALLEST_SHARE * len(looked_at)))
    if len(looked_at) < 2 * smallest:
        return None
    found = HDBSCAN(min_cluster_size=smallest, copy=True).fit_predict(looked_at)
    if found.max() < 1:
        return None
    nearest = KNeighborsClassifier(1).fit(looked_at[found >= 0], found[found >= 0])
    clusters: NDArray[np.int64] = nearest.predict(places.astype(np.float64)).astype(np.int64)
    return clusters


def _names(clusters: NDArray[np.int32], classes: NDArray[np.int32], labels: Sequence[str]) -> tuple[str, ...]:
    """One each: "cat"; "cat 1" and "cat 2" where two would have the same; "cat + dog" where no label is most of it."""
    plain = [_name(np.bincount(classes[clusters == number], minlength=len(labels)), labels)
             for number in range(int(clusters.max()) + 1)]
    counts, seen, taken = Counter(plain), Counter[str](), set(plain)
    names = []
    for name in plain:
        if counts[name] == 1:
            names.append(name)
            continue
        seen[name] += 1
        while f"{name} {seen[name]}" in taken:  # a label may end with a number
            seen[name] += 1
        names.append(f"{name} {seen[name]}")
    return tuple(names)


def _name(votes: NDArray[np.int64], labels: Sequence[str]) -> str:
    first, second = (int(place) for place in np.argsort(-votes, kind="stable")[:2])
    if votes[first] >= _CLEAR * votes.sum() or not votes[second]:
        return labels[first]
    return f"{labels[first]} + {labels[second]}"
