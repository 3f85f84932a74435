"""`--check FOLDER`: pictures in a folder for each class, which tell what a network expects of its pixels."""

from __future__ import annotations

import io
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from models.errors import ModelError
from models.golden import COUNTS
from models.picture import PictureError, read_picture

_MOST = 400  # pictures in all: enough to tell 67 % from 10 % many times over, and read in seconds
_GOLDEN_SIDE = 512  # pixels: golden pictures are copies, and a version should not be hundreds of megabytes


@dataclass(frozen=True, slots=True, eq=False)
class CheckSet:
    """Files of pictures, and the index of each one's label."""

    pictures: list[Path]
    classes: NDArray[np.int64]

    def pixels(self, *, size: int, channels: int, resize: str) -> NDArray[np.uint8]:
        """uint8 (N, S, S, C)."""
        return np.stack([read_picture(path.read_bytes(), size=size, channels=channels, resize=resize).pixels
                         for path in self.pictures])


def folder_names(folder: Path) -> list[str]:
    """The class folders in the order in which Keras's `image_dataset_from_directory` numbers them."""
    try:
        names = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as exc:
        raise ModelError(f"--check {folder}: cannot be read ({exc.strerror}).") from exc
    if len(names) < 2:
        raise ModelError(f"--check {folder}: has {len(names)} folders; expected one for each of at least 2 classes.")
    return names


def read_check(folder: Path, labels: tuple[str, ...]) -> CheckSet:
    """Up to 400 readable pictures, evenly from all class folders.

    Raises:
        ModelError: a folder that is no label, or no readable picture in one.
    """
    by_label = {_plain(label): number for number, label in enumerate(labels)}
    names = folder_names(folder)
    strange = [name for name in names if _plain(name) not in by_label]
    if strange:
        raise ModelError(
            f"--check {folder}: the folder {strange[0]!r} is none of the labels ({', '.join(labels[:10])}"
            f"{', ...' if len(labels) > 10 else ''}); name the folders as the labels."
        )
    share = max(1, _MOST // len(names))
    pictures: list[Path] = []
    classes: list[int] = []
    for name in names:
        found = _readable(folder / name, share)
        pictures += found
        classes += [by_label[_plain(name)]] * len(found)
    if len(pictures) < COUNTS[0]:
        raise ModelError(f"--check {folder}: has {len(pictures)} pictures that can be read; expected at least "
                         f"{COUNTS[0]}.")
    return CheckSet(pictures, np.array(classes, np.int64))


def golden_copy(data: bytes) -> bytes:
    """A picture as an upright PNG of at most 512 pixels a side: small, and equal wherever it is decoded."""
    with Image.open(io.BytesIO(data)) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    upright.thumbnail((_GOLDEN_SIDE, _GOLDEN_SIDE))
    file = io.BytesIO()
    upright.save(file, "PNG")
    return file.getvalue()


def _readable(folder: Path, share: int) -> list[Path]:
    """The first `share` pictures of a folder that can be read, spread over its files."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    step = max(1, len(files) // share)
    ordered = [*files[::step], *(path for number, path in enumerate(files) if number % step)]
    found: list[Path] = []
    for path in ordered:
        try:
            read_picture(path.read_bytes(), size=32, channels=3, resize="squash-bilinear-v1")
        except (OSError, PictureError):
            continue
        found.append(path)
        if len(found) == share:
            break
    if not found:
        raise ModelError(f"--check {folder.parent}: no picture in {folder.name} can be read.")
    return found


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip().casefold()
