"""The same content under several labels: what most copies say is kept, a tie is left out, both are said."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.data.decoding import Decoded
from models.data.entries import Entry, Problem, Row

_SHOWN = 4  # names in a problem's text


def without_conflicts(entries: Sequence[Entry], digests: Sequence[str]) -> tuple[list[int], list[Problem]]:
    """The rows to keep, in order, and one problem for each content that is there more than once.

    Copies of one content under one label are all kept; `models.data.splitting` keeps them on one side.
    """
    same: dict[str, list[int]] = defaultdict(list)
    for row, digest in enumerate(digests):
        same[digest].append(row)
    dropped: set[int] = set()
    problems = []
    for rows in same.values():
        if len(rows) < 2:
            continue
        votes = Counter(entries[row].label for row in rows).most_common()
        names = [entries[row].name for row in rows]
        if len(votes) == 1:
            problems.append(Problem(names[0], "duplicate", f"the same content as {_listed(names[1:])}"))
            continue
        winner = votes[0][0] if votes[0][1] > votes[1][1] else None
        dropped.update(row for row in rows if entries[row].label != winner)
        said = ", ".join(f"{label} ({count})" for label, count in votes)
        done = f"only {winner} is kept" if winner is not None else "all are left out"
        text = f"the same content as {_listed(names[1:])}, labelled {said}; {done}"
        problems.append(Problem(names[0], "conflict", text))
    return [row for row in range(len(entries)) if row not in dropped], problems


def settled(entries: Sequence[Entry], decoded: Decoded) -> Decoded:
    """`decoded` without the rows of conflicts, closed up in place where it may be: a second array might not fit."""
    rows, problems = without_conflicts([entries[row] for row in decoded.kept], decoded.digests)
    pixels = decoded.pixels
    if len(rows) < len(decoded.kept):
        if _is_source(pixels, entries):
            pixels = pixels[rows]
        else:
            for place, row in enumerate(rows):
                pixels[place] = pixels[row]
            pixels = pixels[: len(rows)]
    return Decoded(tuple(decoded.kept[row] for row in rows), pixels, tuple(decoded.digests[row] for row in rows),
                   (*decoded.problems, *problems))


def _is_source(pixels: NDArray[np.uint8], entries: Sequence[Entry]) -> bool:
    """Whether the array is the source's own, which must stay as it is."""
    origin = entries[0].origin
    return isinstance(origin, Row) and np.may_share_memory(pixels, origin.array)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else "")
