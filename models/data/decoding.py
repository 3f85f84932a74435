"""Entries to pixels: each picture decoded once, by a pool of threads, into one array.

Pillow lets other threads run while it decodes. The array is allocated once; pictures that cannot be read close up.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.data.entries import Entry, Problem, Row
from models.data.region import cut
from models.picture import RESIZE_POLICIES, PictureError, PictureLimits, read_picture

Progress = Callable[[int, int], None]
"""Called with how many pictures are done, and of how many; from one thread, often."""

_CHUNK = 512  # pictures given to the pool at once: bounds what waits, and is how often progress is told


@dataclass(frozen=True, slots=True)
class Preparation:
    """How pictures become pixels: side, channels (1 or 3), and a name in `models.picture.RESIZE_POLICIES`.

    `limits` say which pictures are decoded at all.
    """

    size: int
    channels: int
    resize: str
    limits: PictureLimits | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of one picture."""
        return self.size, self.size, self.channels

    def __str__(self) -> str:
        return f"{self.size}x{self.size}x{self.channels} {self.resize}"


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """What could be read: `kept` places in the entries, their `pixels` and `digests`, and a problem for the others."""

    kept: tuple[int, ...]
    pixels: NDArray[np.uint8]
    digests: tuple[str, ...]
    problems: tuple[Problem, ...]


def decode(
    entries: Sequence[Entry], how: Preparation, *, into: NDArray[np.uint8] | None = None, threads: int | None = None,
    progress: Progress | None = None,
) -> Decoded:
    """Prepare all `entries`; `into` uint8 (N, size, size, channels) is filled where it is given and needed."""
    as_is = as_they_are(entries, how)
    place = as_is if as_is is not None else into
    shape = (len(entries), *how.shape)
    pixels = np.empty(shape, np.uint8) if place is None else place
    kept: list[int] = []
    digests: list[str] = []
    problems: list[Problem] = []
    with ThreadPoolExecutor(threads or os.cpu_count() or 1, thread_name_prefix="decode") as pool:
        for start in range(0, len(entries), _CHUNK):
            rows = range(start, min(start + _CHUNK, len(entries)))
            chunk = [entries[row] for row in rows]
            done = pool.map(functools.partial(_attempt, how=how, is_ready=as_is is not None), chunk)
            for row, one in zip(rows, done, strict=True):
                if isinstance(one, PictureError):
                    problems.append(Problem(entries[row].name, "unreadable", str(one)))
                    continue
                if as_is is None:
                    pixels[len(kept)] = one[0]
                kept.append(row)
                digests.append(one[1])
            if progress is not None:
                progress(rows[-1] + 1, len(entries))
    return Decoded(tuple(kept), pixels[: len(kept)], tuple(digests), tuple(problems))


def prepared(entry: Entry, how: Preparation) -> tuple[NDArray[np.uint8], str]:
    """The pixels and the content digest of one entry; raises `PictureError`."""
    if isinstance(entry.origin, Row) and entry.box is None:
        return _fitted(entry.origin, how), entry.origin.digest()
    data = entry.origin.read()
    digest = hashlib.sha256(data)
    if entry.box is not None:
        digest.update(repr(entry.box).encode())
        data = cut(data, entry.box, how.limits)
    picture = read_picture(data, size=how.size, channels=how.channels, resize=how.resize, limits=how.limits)
    return picture.pixels, digest.hexdigest()


def _attempt(entry: Entry, how: Preparation, *, is_ready: bool) -> tuple[NDArray[np.uint8], str] | PictureError:
    try:
        if is_ready and isinstance(entry.origin, Row):
            return entry.origin.pixels, entry.origin.digest()
        return prepared(entry, how)
    except PictureError as exc:
        return exc


def as_they_are(entries: Sequence[Entry], how: Preparation) -> NDArray[np.uint8] | None:
    """The array itself where all its rows, in order, need no preparation; so large sets are in memory once."""
    first = entries[0].origin if entries else None
    if not isinstance(first, Row) or not _is_exact(first, how) or len(first.array) != len(entries):
        return None
    if all(isinstance(entry.origin, Row) and entry.origin.array is first.array and entry.origin.number == number
           and entry.box is None for number, entry in enumerate(entries)):
        return first.array
    return None


def _is_exact(row: Row, how: Preparation) -> bool:
    """Whether the policy would change nothing: only the one that keeps the whole picture leaves the size alone."""
    return row.array.shape[1:] == how.shape and how.resize == "squash-bilinear-v1"


def _fitted(row: Row, how: Preparation) -> NDArray[np.uint8]:
    """The row's pixels by the policy, as `read_picture` would make them of its PNG."""
    if _is_exact(row, how):
        return row.pixels
    image = row.image()
    if image.mode == "RGBA":
        return read_picture(row.read(), size=how.size, channels=how.channels, resize=how.resize).pixels
    fitted: Image.Image = RESIZE_POLICIES[how.resize](image.convert("L" if how.channels == 1 else "RGB"), how.size)
    return np.asarray(fitted, np.uint8).reshape(how.shape)
