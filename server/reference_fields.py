"""The columns about what a picture is like: its place on the model's map, its cluster, its nearest label, how far out
it is, how like another picture it is, and which pictures look the same.

What they need besides the answer has been looked up before (`server.gathering`); here it becomes a value a row, None
where a row has no answer, and for all rows where the model has no reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from models.reference.reference import Reference
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
    return _names(request, lambda reference: (reference.cluster_names, reference.clusters))


def _nearest_label(request: Request) -> list[str | None]:
    return _names(request, lambda reference: (reference.labels, reference.classes))


def _names(request: Request, of: Callable[[Reference], tuple[Sequence[str], NDArray[np.int32]]]) -> list[str | None]:
    """What is said of the nearest picture of the reference: a name, by its number."""
    placed, places = request.gathered.placed, request.model.places
    if placed is None or places is None:
        return [None] * len(request.outcome)
    names, numbers = of(places.reference)
    return _known(request, np.array(names, object)[numbers[placed.nearest]])


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
