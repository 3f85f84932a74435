"""The offline rate: images per second of a server that has a whole column to work on, in the run of what follows."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.open_loop import variant
from benchmarks.rest import classify

_COUNT = 600
_DEADLINE_S = 600.0


def offline_rate(url: str, folder: Path, originals: list[Path], *, count: int = _COUNT) -> float:
    """Ask one column of `count` photos of new content and wait until none is pending."""
    photos = [path.read_bytes() for path in originals]
    paths = [folder / f"offline-{number:05d}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(variant(photos[number % len(photos)], number))
    started = time.monotonic()
    statuses = classify(url, [str(path) for path in paths], "label", deadline_s=_DEADLINE_S)["status"]
    seconds = time.monotonic() - started
    if set(statuses) != {"ok"}:
        raise RuntimeError(f"the column has rows that are {set(statuses) - {'ok'}}")
    for path in paths:
        path.unlink()
    return count / seconds
