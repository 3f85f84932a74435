"""Prepared pixels in a file that is mapped into memory: for more pictures than fit, and to go on with a run later.

A cache is two files, `<key>.npy` and `<key>.json`; the second is written last and says that the first is whole. The key
is made of every picture's stamp (path, size, time) and label, and of how pictures are prepared.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from filelock import FileLock
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from models.data.decoding import Decoded, Preparation
from models.data.entries import Entry, Problem
from models.errors import DataError
from models.picture import DECODE_POLICY, PictureError

_FREE_MB = 200  # left on the disk beside the file


class Read(Protocol):
    """Fills `into` and says what became of the entries."""

    def __call__(self, *, into: NDArray[np.uint8]) -> Decoded: ...  # pragma: no cover


def through_cache(folder: Path, entries: Sequence[Entry], how: Preparation, read: Read) -> Decoded:
    """What `read` gives, from the cache where it is there; raises `DataError` where the folder cannot hold it."""
    key = _key(entries, how)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{key}.lock"):  # a second run waits and then finds the file
            return _found(folder, key, how) or _made(folder, key, entries, how, read)
    except OSError as exc:
        raise DataError(f"{folder}: cannot hold the prepared pictures ({exc.strerror or exc}).") from exc


def _key(entries: Sequence[Entry], how: Preparation) -> str:
    total = hashlib.sha256(f"1 {DECODE_POLICY} {how} {how.limits}".encode())
    for entry in entries:
        total.update(f"\n{_stamp(entry)}\t{entry.name}\t{entry.label}\t{entry.box}".encode(errors="surrogatepass"))
    return total.hexdigest()[:32]


def _stamp(entry: Entry) -> str:
    try:
        return entry.origin.stamp()
    except PictureError as exc:
        return str(exc)


def _found(folder: Path, key: str, how: Preparation) -> Decoded | None:
    """The cached rows; None where there are none, or a file is not what was written."""
    try:
        said = json.loads((folder / f"{key}.json").read_text(encoding="utf-8"))
        pixels = np.load(folder / f"{key}.npy", mmap_mode="r", allow_pickle=False)
        problems = tuple(Problem(**problem) for problem in said["problems"])
        kept, digests = tuple(said["kept"]), tuple(said["digests"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    if pixels.dtype != np.uint8 or pixels.shape[1:] != how.shape or not len(kept) == len(digests) <= len(pixels):
        return None
    return Decoded(kept, pixels[: len(kept)], digests, problems)


def _made(folder: Path, key: str, entries: Sequence[Entry], how: Preparation, read: Read) -> Decoded:
    shape = (len(entries), *how.shape)
    needed_mb = float(np.prod(shape)) / 1e6
    free_mb = shutil.disk_usage(folder).free / 1e6
    if needed_mb + _FREE_MB > free_mb:
        raise DataError(f"{folder}: {len(entries):,} prepared pictures need {needed_mb:,.0f} MB; {free_mb:,.0f} MB are "
                        "free: ask for a smaller size, or name a cache folder elsewhere.")
    said_file = folder / f"{key}.json"
    said_file.unlink(missing_ok=True)
    pixels = open_memmap(folder / f"{key}.npy", mode="w+", dtype=np.uint8, shape=shape)
    decoded = read(into=pixels)
    pixels.flush()
    said = {"kept": decoded.kept, "digests": decoded.digests,
            "problems": [{"name": one.name, "kind": one.kind, "text": one.text} for one in decoded.problems]}
    partial = folder / f"{key}.partial"
    partial.write_text(json.dumps(said), encoding="utf-8")
    partial.replace(said_file)
    return decoded
