"""The columns about what a picture is like: its place on the model's map, its cluster, its nearest label, how far out
it is, how like another picture it is, and which pictures look the same.

What they need besides the answer has been looked up before (`server.gathering`); here it becomes a value a row, None
where a row has no answer, and for all rows where the model has no reference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from server.fields import Request

_DECIMALS = 4  # of a map 100 wide, and of a share of a thousand pictures


def _map_x(request: Request) -> list[float | None]:
    placed = request.gathered.placed
    return _numbers(request, None if placed is None else placed.places[:, 0])


def _map_y(request: Request) -> list[float | None]:
    placed = request.gathered.placed
    return _numbers(request, None if placed is None else placed.places[:, 1])


def _outlier(request: Request) -> list[float | None]:
    placed = request.gathered.placed
    return _numbers(request, None if placed is None else placed.outlier)


def _numbers(request: Request, values: NDArray[np.float32] | None) -> list[float | None]:
    if values is None:
        return [None] * len(request.outcome)
    return _known(request, np.round(values.astype(np.float64), _DECIMALS))


def _cluster(request: Request) -> list[str | None]:
    places = request.model.places
    if places is None or request.gathered.placed is None:
        return [None] * len(request.outcome)
    names = np.array(places.reference.cluster_names, object)[places.reference.clusters]
    return _known(request, names[request.gathered.placed.nearest])


def _nearest_label(request: Request) -> list[str | None]:
    places = request.model.places
    if places is None or request.gathered.placed is None:
        return [None] * len(request.outcome)
    names = np.array(places.reference.labels, object)[places.reference.classes]
    return _known(request, names[request.gathered.placed.nearest])


def _known(request: Request, values: NDArray[Any]) -> list[Any]:
    """One value a row, None where the row has no place."""
    column: list[Any] = values.tolist()
    placed = request.gathered.placed
    if placed is not None:
        for row in np.flatnonzero(placed.nearest < 0).tolist():
            column[row] = None
    return column


def _similarity(request: Request) -> list[float | None]:
    return request.gathered.similarities or [None] * len(request.outcome)


def _duplicate_group(request: Request) -> list[str | None]:
    return request.gathered.keys or [None] * len(request.outcome)


PLACED_FIELDS: dict[str, Callable[[Request], list[Any]]] = {
    "map_x": _map_x, "map_y": _map_y, "cluster": _cluster, "nearest_label": _nearest_label, "outlier": _outlier,
}
"""Columns that need places among the reference."""

REFERENCE_FIELDS = PLACED_FIELDS | {"similarity": _similarity, "duplicate_group": _duplicate_group}
"""Field name -> how its column is computed."""
