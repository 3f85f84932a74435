"""Which pictures of a source judge a version: those it was not trained on, as far as that is known.

    source -> Labelled, prepared as the version wants it -> the part that judges -> places in the version's labels
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.data.entries import TEST, TRAIN, VALIDATION
from models.data.labelled import Labelled
from models.data.likeness import likeness_keys
from models.data.loading import load
from models.data.reading import Wishes
from models.errors import DataError
from models.names import normal
from models.training.material import KEPT, TOGETHER, deal, named
from models.version import ModelVersion

PARTS = {"train": TRAIN, "validation": VALIDATION, "test": TEST}

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Judges:
    """`pixels` uint8 (N, S, S, C) as the version wants them, `classes` int64 (N,) as places in its labels, the `names`
    of the pictures, `part` in words, and the `data` they are of."""

    pixels: NDArray[np.uint8]
    classes: NDArray[np.int64]
    names: tuple[str, ...]
    part: str
    data: Labelled


def judges(version: ModelVersion, source: str, *, labels: str | None = None, part: str | None = None,
           wishes: Wishes | None = None, cache: Path | None = None) -> Judges:
    """The pictures of `source` that judge `version`.

    Args:
        version: says how pictures are prepared, and what the classes are called.
        source: what `models.data.loading.load` takes.
        labels: what the source's classes are called, as `a,b,c` or a file with one a line.
        part: "all", or one of `PARTS` where the source has them; without it, the test part where there is one: the
            source's own, or that which was dealt when the version was trained on this source.
        wishes: what else to say about the source.
        cache: see `load`.

    Raises:
        DataError: the source cannot be read, has classes that the version has not, or not that part.
    """
    spec = version.spec
    data = load(source, size=spec.input_size, channels=spec.channels, resize=spec.resize, wishes=wishes, cache=cache,
                to_train=False)
    places = _places(version, named(data, labels), source)
    rows, said = _rows(data, spec.about, source, part)
    if not len(rows):
        raise DataError(f"{source}: has no picture in its {part or 'test'} part; use --part all.")
    return Judges(data.pixels[rows], places[data.classes[rows]], tuple(data.names[row] for row in rows), said, data)


def _places(version: ModelVersion, data: Labelled, source: str) -> Rows:
    """Place in the data's labels -> place in the version's."""
    known = {normal(label): place for place, label in enumerate(version.spec.labels)}
    unknown = [label for label in data.labels if normal(label) not in known]
    if unknown:
        more = f" and {len(unknown) - 1:,} more" if len(unknown) > 1 else ""
        shown = ", ".join(version.spec.labels[:5]) + (", ..." if len(known) > 5 else "")
        raise DataError(f"{source}: has the class {unknown[0]!r}{more}, which {version.reference} does not have"
                        f" ({shown}); say with --labels what its {len(data.labels):,} classes are called there.")
    return np.array([known[normal(label)] for label in data.labels], np.int64)


def _rows(data: Labelled, about: Mapping[str, Any], source: str, part: str | None) -> tuple[Rows, str]:
    """The rows that judge, and which they are in words."""
    if part == "all":
        return np.arange(len(data)), "all of it"
    if part is not None:
        if data.parts is None:
            raise DataError(f"{source}: has no {part} part, only one set of pictures; use --part all.")
        return np.flatnonzero(data.parts == PARTS[part]), f"its {part} part"
    if _is_trained_on(data, about):
        is_by_likeness = about["data"].get("near_duplicates") == TOGETHER
        rows = deal(data, seed=about["recipe"]["seed"], alike=likeness_keys(data)[0] if is_by_likeness else None).test
        return rows, "its test part, kept from training"
    if data.parts is not None and (data.parts == TEST).any():
        return np.flatnonzero(data.parts == TEST), "its test part"
    return np.arange(len(data)), "all of it"


def _is_trained_on(data: Labelled, about: Mapping[str, Any]) -> bool:
    """Whether the version was trained on this very source and kept a part of it."""
    card, recipe = about.get("data"), about.get("recipe")
    return (isinstance(card, Mapping) and card.get("sha256") == data.digest and card.get("test") == KEPT
            and isinstance(recipe, Mapping) and isinstance(recipe.get("seed"), int))
