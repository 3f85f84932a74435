"""The rows of a catalogue: pictures of one model, really classified, with every column the server can give."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from workbooks.authoring.fields import Datatype
from workbooks.gathering.client import Client
from workbooks.gathering.pictures import Pictures

Vector: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
IMAGE, TRUTH, MODEL = "Image Path", "True Label", "Model"

ANSWERS: Mapping[str, Datatype] = {
    "label": "string", "confidence": "real", "margin": "real", "entropy": "real", "status": "string", "note": "string",
    "map_x": "real", "map_y": "real", "cluster": "string", "nearest_label": "string", "outlier": "real",
    "focus_x": "real", "focus_y": "real", "focus_area": "real", "border_share": "real", "duplicate_group": "string",
    "thumbnail_url": "string", "explanation_url": "string"}
"""The columns asked for, named as the functions are without `image_`."""

COLUMNS: Mapping[str, Datatype] = {IMAGE: "string", TRUTH: "string", MODEL: "string", **ANSWERS,
                                   "truth_probability": "real"}
ADDRESSES = ("thumbnail_url", "explanation_url")
SIMILAR: Mapping[str, Datatype] = {IMAGE: "string", MODEL: "string", "rank": "integer", "similar_path": "string",
                                   "similar_label": "string", "likeness": "real", "thumbnail_url": "string"}
NEIGHBOURS = 8
_DECIMALS = 4
_EMBEDDING_ROWS = 1000  # what one request may ask for


def catalogue_rows(client: Client, model: str, pictures: Pictures, *, has_addresses: bool) -> list[dict[str, Any]]:
    """One row a picture, in the columns of `COLUMNS`; without addresses these are null."""
    answers = client.classify(pictures.paths, model, [name for name in ANSWERS if name != "status"])
    of_truth: Sequence[float | None] = [None] * len(pictures.paths)
    if all(pictures.truths):
        of_truth = client.classify(pictures.paths, model, ["probability"],
                                   {"label": list(pictures.truths)})["probability"]
    rows = []
    for place, path in enumerate(pictures.paths):
        row: dict[str, Any] = {IMAGE: path, TRUTH: pictures.truths[place], MODEL: model}
        row |= {name: answers[name][place] for name in ANSWERS} | {"truth_probability": of_truth[place]}
        rows.append(row if has_addresses else row | dict.fromkeys(ADDRESSES))
    return rows


def similar_rows(client: Client, model: str, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each picture the most similar others, by the cosine of their embeddings as `image_similarity` says it."""
    paths = [str(row[IMAGE]) for row in rows]
    vectors: list[str | None] = []
    for start in range(0, len(paths), _EMBEDDING_ROWS):
        vectors += client.classify(paths[start:start + _EMBEDDING_ROWS], model, ["embedding"])["embedding"]
    kept = [row for row, vector in zip(rows, vectors, strict=True) if vector]
    if len(kept) < 2:
        return []
    matrix = np.array([json.loads(vector) for vector in vectors if vector], np.float64)
    matrix /= np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)
    return nearest(kept, lambda place: matrix @ matrix[place], image=IMAGE)


def near_on_map(rows: Sequence[Mapping[str, Any]], image: str) -> list[dict[str, Any]]:
    """The same for a table without embeddings: by the distance on the map; likeness is one over one plus it."""
    kept = [row for row in rows if row.get("map_x") is not None and row.get("map_y") is not None]
    if len(kept) < 2:
        return []
    places = np.array([(row["map_x"], row["map_y"]) for row in kept], np.float64)
    return nearest(kept, lambda place: 1 / (1 + np.hypot(*(places - places[place]).T)), image=image)


def nearest(rows: Sequence[Mapping[str, Any]], likeness: Callable[[int], Vector], *, image: str
            ) -> list[dict[str, Any]]:
    """The `NEIGHBOURS` most like each row, in the columns of `SIMILAR`.

    `likeness` says how like the row at a place all rows are: (N,), higher is more like.
    """
    found = []
    most = min(NEIGHBOURS, len(rows) - 1)
    for place, row in enumerate(rows):
        for rank, (value, other) in enumerate(_best(likeness(place), place, most), 1):
            found.append({IMAGE: row[image], MODEL: row.get(MODEL), "rank": rank, "similar_path": rows[other][image],
                          "similar_label": rows[other].get("label"), "thumbnail_url": rows[other].get("thumbnail_url"),
                          "likeness": round(value, _DECIMALS)})
    return found


def _best(likeness: Vector, place: int, most: int) -> list[tuple[float, int]]:
    """(likeness, place) of the most like `place`, itself left out; of equals the first in the table."""
    near = [int(other) for other in np.argpartition(-likeness, most)[:most + 1]]
    pairs = sorted((-float(likeness[other]), other) for other in near if other != place)
    return [(-value, other) for value, other in pairs[:most]]
