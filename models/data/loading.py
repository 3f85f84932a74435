"""`load`: a source as its owner names it enters, `Labelled` arrays leave.

    folder, file or keras:NAME -> listing -> preparation -> decoding -> conflicts -> Labelled
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.data.archive import list_zip
from models.data.arrays import list_npz
from models.data.class_names import confusable, in_order
from models.data.conflicts import settled
from models.data.decoding import Decoded, Preparation, Progress, as_they_are, decode
from models.data.digits_source import DIGITS, list_digits
from models.data.entries import TEST, TRAIN, Entry, Listing
from models.data.folder import list_folder
from models.data.keras_datasets import PREFIX, list_keras
from models.data.labelled import Labelled, digest_of
from models.data.labelling_json import list_json
from models.data.pixel_cache import through_cache
from models.data.probing import preparation
from models.data.reading import Wishes
from models.data.table import list_table
from models.data.vott import list_vott_folder
from models.errors import DataError
from models.picture import RESIZE_POLICIES, PictureLimits

MAX_PICTURES = 1_000_000
"""More are refused: names, digests and labels alone would fill gigabytes."""

_FEWEST_CLASSES = 2
_FEWEST_PICTURES = 2  # of a class: one to train on, one to be judged by
_SHOWN = 10  # classes named in an error


def load(
    source: str, *, test_source: str | None = None, size: int | None = None, channels: int | None = None,
    resize: str = "squash-bilinear-v1", wishes: Wishes | None = None, cache: Path | None = None,
    threads: int | None = None, progress: Progress | None = None, to_train: bool = True,
) -> Labelled:
    """Every readable picture of `source`, prepared for training or measuring.

    Args:
        source: a folder, a file, `keras:NAME` or `sklearn:digits`; see docs/training-data.md.
        test_source: another source whose pictures are the test part, of the same classes.
        size: side of the square result in pixels; from the data without it.
        channels: 3 for RGB, 1 for grey; from the data without it.
        resize: a name in `models.picture.RESIZE_POLICIES`.
        wishes: what else to say about the source.
        cache: a folder in which the prepared pixels are kept as a file, mapped into memory instead of held in it, and
            taken from there the next time while source and preparation are the same; it may be emptied at any time.
        threads: that decode; one a core without it.
        progress: called with pictures done and pictures in all.
        to_train: False lifts what training asks for, two classes of two pictures each.

    Raises:
        DataError: the source cannot be read, or there is nothing in it to train on.
    """
    if resize not in RESIZE_POLICIES:
        raise DataError(f"resize is {resize!r}; expected {' or '.join(RESIZE_POLICIES)}.")
    wishes = wishes or Wishes()
    listing = listed(source, wishes)
    if test_source is not None:
        listing = _with_test(listing, listed(test_source, wishes))
    _check_count(listing)
    how = replace(preparation(listing.entries, size=size, channels=channels, resize=resize),
                  limits=PictureLimits(wishes.max_image_megapixels))
    read = functools.partial(_read, listing.entries, how, threads=threads, progress=progress)
    if cache is None or as_they_are(listing.entries, how) is not None:
        _check_memory(listing, how, wishes.max_memory_mb)
        return _labelled(listing, read(into=None), how, to_train=to_train)
    return _labelled(listing, through_cache(cache, listing.entries, how, read), how, to_train=to_train)


def listed(source: str, wishes: Wishes) -> Listing:
    """What is in a source, before any picture is opened; raises `DataError`."""
    if source.startswith(PREFIX):
        return list_keras(source)
    if source == DIGITS:
        return list_digits()
    path = Path(source).expanduser()
    try:
        if path.is_dir():
            return list_vott_folder(path, wishes) or list_folder(path)
        if not path.exists():
            raise DataError(f"{source}: there is no such file or folder.")
    except (OSError, ValueError) as exc:  # longer than a system allows, or with a null character
        raise DataError(f"{source!r}: cannot be looked at ({exc}).") from exc
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{source}: expected a folder, or a file that ends in {', '.join(READERS)}.")
    return reader(path, wishes)


Reader = Callable[[Path, Wishes], Listing]

READERS: dict[str, Reader] = {
    ".npz": lambda path, wishes: list_npz(path, max_memory_mb=wishes.max_memory_mb),
    ".zip": lambda path, _wishes: list_zip(path),
    ".csv": list_table,
    ".tsv": list_table,
    ".vott": list_json,
    ".json": list_json,
}
"""Ending of a file -> what lists it."""


def _with_test(train: Listing, test: Listing) -> Listing:
    """One listing in which all of `test` is the official test part; raises `DataError` where that cannot be."""
    if any(entry.part is not None for entry in (*train.entries, *test.entries)):
        raise DataError(f"{train.source} or {test.source} has a train and a test part of its own; name only that one.")
    known = {entry.label for entry in train.entries}
    unknown = sorted({entry.label for entry in test.entries} - known)
    if unknown:
        raise DataError(f"{test.source}: has classes that {train.source} has not: {', '.join(unknown[:_SHOWN])}.")
    return Listing(
        source=f"{train.source} and {test.source}",
        entries=(*(replace(entry, part=TRAIN) for entry in train.entries),
                 *(replace(entry, name=f"test: {entry.name}", part=TEST) for entry in test.entries)),
        problems=(*train.problems, *test.problems),
        labels=train.labels,
    )


def _check_count(listing: Listing) -> None:
    count = len(listing.entries)
    if count > MAX_PICTURES:
        raise DataError(f"{listing.source}: has {count:,} pictures; at most {MAX_PICTURES:,} are read: take a part.")
    if not count:
        reasons = "; ".join(str(problem) for problem in listing.problems[:3])
        raise DataError(f"{listing.source}: there is no labelled picture in it{f' ({reasons})' if reasons else ''}; "
                        "expected a folder for each class with its pictures in it, or a table that names them.")


def _check_memory(listing: Listing, how: Preparation, limit_mb: int) -> None:
    needed_mb = len(listing.entries) * float(np.prod(how.shape)) / 1e6
    if needed_mb > limit_mb:
        raise DataError(f"{listing.source}: {len(listing.entries):,} pictures of {how.size}x{how.size}x{how.channels} "
                        f"need {needed_mb:,.0f} MB; at most {limit_mb:,} MB are held in memory: ask for a smaller "
                        "size, or name a cache folder.")


def _read(
    entries: Sequence[Entry], how: Preparation, *, into: NDArray[np.uint8] | None, threads: int | None,
    progress: Progress | None,
) -> Decoded:
    return settled(entries, decode(entries, how, into=into, threads=threads, progress=progress))


def _labelled(listing: Listing, decoded: Decoded, how: Preparation, *, to_train: bool) -> Labelled:
    """The arrays with their classes counted; raises `DataError`."""
    if not decoded.kept:
        first = decoded.problems[0]
        raise DataError(f"{listing.source}: none of {len(listing.entries):,} pictures can be used; the first: {first}.")
    entries, digests = [listing.entries[row] for row in decoded.kept], decoded.digests
    labels = _labels(listing, [entry.label for entry in entries], to_train=to_train)
    index = {label: place for place, label in enumerate(labels)}
    has_parts = any(entry.part is not None for entry in entries)
    lines = [f"{digest} {entry.part} {entry.label}" for digest, entry in zip(digests, entries, strict=True)]
    return Labelled(
        labels=labels,
        classes=np.array([index[entry.label] for entry in entries], np.int64),
        pixels=decoded.pixels,
        names=tuple(entry.name for entry in entries),
        digests=digests,
        parts=np.array([entry.part or 0 for entry in entries], np.int8) if has_parts else None,
        problems=(*listing.problems, *decoded.problems, *confusable(labels)),
        source=listing.source,
        resize=how.resize,
        entries=tuple(entries),
        digest=digest_of(labels, lines, str(how)),
    )


def _labels(listing: Listing, found: list[str], *, to_train: bool) -> tuple[str, ...]:
    """The classes that have pictures, in the source's order or sorted; raises `DataError` for too few to train on."""
    used = set(found)
    labels = tuple(label for label in listing.labels if label in used) if listing.labels else in_order(used)
    if not to_train:
        return labels
    if len(labels) < _FEWEST_CLASSES:
        raise DataError(f"{listing.source}: has one class, {labels[0]!r}; expected at least two, each with pictures.")
    counts = dict.fromkeys(labels, 0)
    for label in found:
        counts[label] += 1
    few = [label for label, count in counts.items() if count < _FEWEST_PICTURES]
    if few:
        shown = ", ".join(map(repr, few[:_SHOWN])) + (f" and {len(few) - _SHOWN} more" if len(few) > _SHOWN else "")
        raise DataError(f"{listing.source}: only one picture in {shown}; a class needs at least {_FEWEST_PICTURES}, "
                        "one to train on and one to be judged by.")
    return labels
