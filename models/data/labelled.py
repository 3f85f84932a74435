"""Labelled pictures as arrays to train on, and what was odd about their source."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.data.entries import Entry, Problem
from models.data.region import cut, whole
from models.picture import PictureLimits

_ANY = PictureLimits(max_megapixels=1e6)  # of pictures that were within the limits when they were loaded


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Pictures prepared by `models.picture`'s policy, with their classes.

    `classes` int64 (N,) are places in `labels`; `pixels` uint8 (N, size, size, channels) in 0..255 may be a view of a
    file on disk; `names` say where each picture is from; `digests` are SHA-256 of its content (file, or array row, and
    region); `parts` int8 (N,) is the official split (0 train, 1 test, 2 validation), None without one; `entries` are
    what the pictures were made of. `digest` is one SHA-256 over labels, contents, classes, parts and the way they were
    prepared, whatever the order.
    """

    labels: tuple[str, ...]
    classes: NDArray[np.int64]
    pixels: NDArray[np.uint8]
    names: tuple[str, ...]
    digests: tuple[str, ...]
    parts: NDArray[np.int8] | None
    problems: tuple[Problem, ...]
    source: str
    resize: str
    entries: tuple[Entry, ...]
    digest: str

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def size(self) -> int:
        """Side of a prepared picture in pixels."""
        return int(self.pixels.shape[1])

    @property
    def channels(self) -> int:
        """3 for RGB, 1 for grey."""
        return int(self.pixels.shape[3])

    def counts(self) -> dict[str, int]:
        """Pictures per class, in the order of `labels`."""
        totals = np.bincount(self.classes, minlength=len(self.labels))
        return {label: int(total) for label, total in zip(self.labels, totals, strict=True)}

    def png(self, row: int) -> bytes:
        """The original of a row as PNG bytes: upright, its region cut out, before any resizing.

        `read_picture` makes the row's pixels of them (of large JPEGs within a few levels, as those are decoded at
        reduced scale). Raises `PictureError` when the file is gone.
        """
        entry = self.entries[row]
        data = entry.origin.read()
        if entry.box is not None:
            return cut(data, entry.box, _ANY)
        return whole(data, _ANY)

    def summary(self) -> str:
        """One sentence: pictures, classes, size, and how many problems of which kind."""
        kinds = Counter(problem.kind for problem in self.problems)
        said = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
        shape = f"{self.size}x{self.size}x{self.channels}"
        return f"{len(self):,} pictures of {len(self.labels)} classes, {shape}" + (f" ({said})" if said else "")


def digest_of(labels: tuple[str, ...], lines: list[str], prepared: str) -> str:
    """One SHA-256 over everything, whatever the order of `lines` (one a picture)."""
    total = hashlib.sha256(prepared.encode())
    for text in (*labels, "", *sorted(lines)):
        total.update(text.encode() + b"\n")
    return total.hexdigest()
