"""The 2-D map of a reference: t-SNE of its points, made once and kept.

openTSNE (P. Policar et al., "openTSNE: a modular Python library for t-SNE", 2019) with D. Kobak's and P. Berens's
settings ("The art of using t-SNE for single-cell transcriptomics", 2019): PCA as the start, so that far and near mean
something, and one thread, so that the same points and seed give the same map.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError
from models.reference.search import Search

SIDE = 100.0
"""The longer side of the map; x and y begin at 0."""

_PERPLEXITY = 30
_FEWEST = 16  # below it there are no neighbourhoods to keep: PCA alone
_EARLY, _LATE = 250, 500  # iterations with and without exaggeration, openTSNE's defaults
_MANY = 10_000  # from here on interpolation is faster than a tree
_LOOK_EVERY = 25  # iterations until the time is looked at


def map_of(points: NDArray[np.int16], *, seed: int, within_s: float) -> NDArray[np.float32]:
    """x and y of each point, float32 (N, 2) in 0..`SIDE`; what is not done after `within_s` seconds is left out.

    Raises:
        ModelError: the points are all alike.
    """
    until = time.monotonic() + within_s
    start = _principal(points)
    if np.ptp(start, axis=0).max() == 0:
        raise ModelError("The embeddings of the pictures are all alike, so there is nothing to make a map of; train the"
                         " network, or name other pictures.")
    return _scaled(start if len(points) < _FEWEST else _tsne(points, start, seed=seed, until=until))


def _principal(points: NDArray[np.int16]) -> NDArray[np.float64]:
    """The two principal components, the larger absolute end of each positive: their signs mean nothing."""
    centred = points - points.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    axes = vectors[:, :-3:-1]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    components: NDArray[np.float64] = centred @ axes
    return components if components.shape[1] == 2 else np.hstack([components, np.zeros_like(components)])


def _tsne(points: NDArray[np.int16], start: NDArray[np.float64], *, seed: int, until: float) -> NDArray[np.float64]:
    from openTSNE import TSNEEmbedding

    embedding = TSNEEmbedding(
        start / start[:, 0].std() * 1e-4, _affinities(points), random_state=seed, n_jobs=1,
        negative_gradient_method="fft" if len(points) > _MANY else "bh",
        callbacks=lambda *_: time.monotonic() >= until, callbacks_every_iters=_LOOK_EVERY,
    )
    for steps, more in ((_EARLY, {"exaggeration": 12, "momentum": 0.5}), (_LATE, {"momentum": 0.8})):
        if time.monotonic() < until:
            embedding = embedding.optimize(steps, inplace=True, propagate_exception=False, **more)
    return np.asarray(embedding, np.float64)


def _affinities(points: NDArray[np.int16]) -> Any:
    """Who is a neighbour of whom: by exact search, which is the same everywhere."""
    from openTSNE.affinity import PerplexityBasedNN
    from openTSNE.nearest_neighbors import PrecomputedNeighbors

    count = min(3 * _PERPLEXITY, len(points) - 1)
    found, squared = neighbours(points, count)
    return PerplexityBasedNN(perplexity=min(_PERPLEXITY, count / 3), n_jobs=1, random_state=0,
                             knn_index=PrecomputedNeighbors(found, np.sqrt(squared)))


def neighbours(points: NDArray[np.int16], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The `count` nearest other points of each and their squared distances; a point is not its own neighbour."""
    found, squared = Search(points).nearest(points, count + 1)
    is_other = found != np.arange(len(points))[:, None]
    is_other[is_other.all(axis=1), -1] = False  # more copies of a point than are looked at: the last goes
    shape = (len(points), count)
    return found[is_other].reshape(shape), squared[is_other].reshape(shape)


def _scaled(places: NDArray[np.float64]) -> NDArray[np.float32]:
    """From 0, the longer side `SIDE`."""
    low = places.min(axis=0)
    scaled = (places - low) * (SIDE / (places - low).max())
    fitted: NDArray[np.float32] = np.clip(np.round(scaled, 4), 0.0, SIDE).astype(np.float32)
    return fitted
