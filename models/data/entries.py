"""What a source lists before any picture is opened: entries (where, which class), and what was odd about them.

Every reader of a format makes a `Listing`; `models.data.decoding` turns its entries into pixels.
"""

from __future__ import annotations

import hashlib
import io
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.picture import PictureError

MAX_FILE_MB = 64
"""Size one picture file may have; the same default as serving's (--max-image-mb)."""

TRAIN, TEST, VALIDATION = 0, 1, 2
"""The values of `Entry.part` and `Labelled.parts`: which part of an official split a picture belongs to."""

PROBLEM_KINDS = {
    "unreadable": "the file is no picture, or cannot be read; it is left out",
    "missing": "no such file; the row is left out",
    "label": "no label, several, or an odd one; the row is left out",
    "conflict": "the same content with different labels; the minority, or with a tie all, is left out",
    "duplicate": "the same content again; it stays on one side of the split",
    "near-duplicate": "looks the same as another picture; it stays on one side of the split",
    "elsewhere": "the path written there does not exist here; the picture was found by its name",
    "text": "a file of labels that had to be guessed at",
    "name": "classes or files whose names are easily confused",
    "skipped": "files that belong to no class",
    "suspicious": "the label is improbable by a model's out-of-fold prediction",
}
"""Kind of a problem -> what it means and what is done about it."""


def on_one_line(text: str) -> str:
    """`text` as a report can print it: line breaks, control characters and bytes that are no UTF-8 become ?."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else "?" for character in text)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something about one picture (or class, or file) that its owner should know; `kind` is in `PROBLEM_KINDS`."""

    name: str
    kind: str
    text: str

    def __post_init__(self) -> None:
        if self.kind not in PROBLEM_KINDS:
            raise ValueError(f"{self.kind!r} is no kind of problem; expected one of {', '.join(PROBLEM_KINDS)}.")
        object.__setattr__(self, "name", on_one_line(self.name))
        object.__setattr__(self, "text", on_one_line(self.text))

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"


@dataclass(frozen=True, slots=True)
class Box:
    """A region of a picture: edges in the units of `frame` (width, height); without a frame, in pixels.

    The frame is the size of the picture as the labelling tool showed it, which tells whether it was shown upright.
    """

    left: float
    top: float
    right: float
    bottom: float
    frame: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        numbers = (self.left, self.top, self.right, self.bottom, *(self.frame or (1.0, 1.0)))
        if not all(map(math.isfinite, numbers)) or min(self.frame or (1.0,)) <= 0:
            raise ValueError(f"a region of {numbers} is none")
        if self.right <= self.left or self.bottom <= self.top:
            raise ValueError("a region without area is none")


class Origin(Protocol):
    """Where the bytes of a picture come from."""

    def stamp(self) -> str:
        """A text that changes when the picture may have changed, without reading it."""
        ...  # pragma: no cover

    def read(self) -> bytes:
        """The bytes of an image file; raises `PictureError`."""
        ...  # pragma: no cover


@dataclass(frozen=True, slots=True)
class File:
    """A file of its own."""

    path: Path

    def stamp(self) -> str:
        """Its path, size and time; raises `PictureError` when it is gone."""
        try:
            stat = self.path.stat()
        except OSError as exc:
            raise PictureError("file not found") from exc
        return f"{self.path} {stat.st_size} {stat.st_mtime_ns}"

    def read(self) -> bytes:
        """Its bytes; raises `PictureError` when it is missing, too large, or may not be read."""
        try:
            if not self.path.is_file():  # a pipe or a device would be waited for without end
                raise PictureError("file not found")
            with self.path.open("rb") as file:
                data = file.read(MAX_FILE_MB * 1_000_000 + 1)
        except OSError as exc:
            raise PictureError(f"the file cannot be read ({exc.strerror or exc})") from exc
        return checked_size(data)


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One row of an array uint8 (N, H, W, C); its file is a PNG made on demand."""

    array: NDArray[np.uint8]
    number: int

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """uint8 (H, W, C)."""
        row: NDArray[np.uint8] = self.array[self.number]
        return row

    def digest(self) -> str:
        """SHA-256 of shape and pixels."""
        pixels = np.ascontiguousarray(self.pixels)
        return hashlib.sha256(str(pixels.shape).encode() + pixels.tobytes()).hexdigest()

    def stamp(self) -> str:
        """Its digest: arrays have no other mark."""
        return self.digest()

    def image(self) -> Image.Image:
        """The row as a Pillow image: L for one channel, else RGB or RGBA."""
        pixels = self.pixels
        return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)

    def read(self) -> bytes:
        """The row as a PNG file."""
        return as_png(self.image())


@dataclass(frozen=True, slots=True)
class Entry:
    """One labelled picture: its name for reports, its class, its origin, the region meant, its official part."""

    name: str
    label: str
    origin: Origin
    box: Box | None = None
    part: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", on_one_line(self.name))


@dataclass(frozen=True, slots=True)
class Listing:
    """All entries of a source; `labels` where the source fixes the classes and their order."""

    source: str
    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...] = ()
    labels: tuple[str, ...] | None = None


@dataclass(slots=True)
class Finds:
    """What a reader gathers on its way through a file."""

    entries: list[Entry] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def problem(self, name: str, kind: str, text: str) -> None:
        """Note something odd."""
        self.problems.append(Problem(name, kind, text))


def as_png(image: Image.Image) -> bytes:
    """The image as the bytes of a PNG file."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def checked_size(data: bytes) -> bytes:
    """`data` unless it is longer than a picture file may be; raises `PictureError`."""
    if len(data) > MAX_FILE_MB * 1_000_000:
        raise PictureError(f"the file is larger than {MAX_FILE_MB} MB")
    return data
