"""`reference.npz`: the labelled pictures of a version as points, with their places on the map; checked when read.

Points and texts enter and leave as bytes; nothing here computes. What is done with them: `models.reference.placing`.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.errors import DamagedModelError
from models.reference.grid import RADIUS

if TYPE_CHECKING:
    from models.version import ModelVersion

REFERENCE_FILE = "reference.npz"
MOST_PICTURES = 100_000
FEWEST_PICTURES = 4
_FORMAT = 1
_SIDE = 100.0
_ARRAYS = {"points": (np.int16, 2), "classes": (np.int32, 1), "clusters": (np.int32, 1), "places": (np.float32, 2),
           "distances": (np.int64, 1), "texts": (np.uint8, 1)}
"""Name in the file -> type and dimensions."""


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """N labelled pictures and how far others are from them.

    `points` int16 (N, D) on the grid of `models.reference.grid`; `classes` int32 (N,) are places in `labels`,
    `clusters` int32 (N,) in `cluster_names`; `places` float32 (N, 2) are x and y on the map, 0 to 100; `distances`
    int64, rising, are squared distances on the grid of pictures that are not outliers to their tenth neighbour;
    `names` say where each picture is from.
    """

    points: NDArray[np.int16]
    classes: NDArray[np.int32]
    labels: tuple[str, ...]
    clusters: NDArray[np.int32]
    cluster_names: tuple[str, ...]
    places: NDArray[np.float32]
    distances: NDArray[np.int64]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.points)

    def to_bytes(self) -> bytes:
        """The content of `reference.npz`; the same reference, the same bytes."""
        texts = {"format": _FORMAT, "labels": self.labels, "clusters": self.cluster_names, "names": self.names}
        packed = np.frombuffer(json.dumps(texts, ensure_ascii=False).encode(), np.uint8)
        file = io.BytesIO()
        np.savez_compressed(file, points=self.points, classes=self.classes, clusters=self.clusters, places=self.places,
                            distances=self.distances, texts=packed)
        return file.getvalue()


def read_reference(version: ModelVersion) -> Reference | None:
    """The reference of a version, None where it has none.

    Raises:
        DamagedModelError: the file cannot be read, or belongs to another network.
    """
    path = version.path(REFERENCE_FILE)
    if path is None:
        return None
    try:
        reference = from_bytes(path.read_bytes())
    except (OSError, KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as exc:
        raise DamagedModelError(f"{version.reference}: {REFERENCE_FILE} cannot be used ({exc}); copy the version again"
                                " from where it was made.") from exc
    expected = version.spec.outputs["embedding"]
    if reference.points.shape[1:] != expected:
        raise DamagedModelError(f"{version.reference}: {REFERENCE_FILE} has embeddings of {reference.points.shape[1]:,}"
                                f" numbers, model.json says {expected[0]:,}; make it anew with `run.py models"
                                " reference`.")
    return reference


def from_bytes(data: bytes) -> Reference:
    """The checked content of `reference.npz`; raises ValueError, KeyError, TypeError, EOFError or BadZipFile."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        found = {name: _array(arrays, name) for name in _ARRAYS}
    texts = json.loads(found.pop("texts").tobytes().decode())
    if texts["format"] != _FORMAT:
        raise ValueError(f"format {texts['format']}, expected {_FORMAT}: update Pixfield")
    labels, clusters, names = (_texts(texts[key]) for key in ("labels", "clusters", "names"))
    reference = Reference(labels=labels, cluster_names=clusters, names=names, **found)
    _check(reference)
    return reference


def _array(arrays: Any, name: str) -> NDArray[Any]:
    kind, dimensions = _ARRAYS[name]
    array: NDArray[Any] = arrays[name]
    if array.dtype != kind or array.ndim != dimensions:
        raise ValueError(f"{name} is {array.dtype}, {array.ndim}-D; expected {np.dtype(kind)}, {dimensions}-D")
    return array


def _texts(values: object) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError("a list of texts is expected")
    return tuple(values)


def _check(reference: Reference) -> None:
    """Raise ValueError for arrays that do not belong together or leave their range."""
    count = len(reference)
    parts = (reference.classes, reference.clusters, reference.places, reference.names)
    if not FEWEST_PICTURES <= count <= MOST_PICTURES or {len(part) for part in parts} != {count}:
        raise ValueError(f"{count:,} points for {[len(part) for part in parts]} classes, clusters, places and names")
    for what, numbers, texts in (("classes", reference.classes, reference.labels),
                                 ("clusters", reference.clusters, reference.cluster_names)):
        if numbers.min() < 0 or numbers.max() >= len(texts):
            raise ValueError(f"{what} are from {numbers.min()} to {numbers.max()}, {len(texts)} have names")
    if np.square(reference.points, dtype=np.int64).sum(axis=1).max() > (1.1 * RADIUS) ** 2:
        raise ValueError("points are farther out than the grid goes")
    if reference.places.shape != (count, 2) or not ((reference.places >= 0) & (reference.places <= _SIDE)).all():
        raise ValueError("places are outside the map")
    if not len(reference.distances) or (np.diff(reference.distances) < 0).any() or reference.distances[0] < 0:
        raise ValueError("distances do not rise")
