"""Pictures that look the same, by `models.fingerprint`: a key for each, and a problem for each group."""

from __future__ import annotations

import os
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from models.data.entries import Problem
from models.data.labelled import Labelled
from models.fingerprint import fingerprint

_LARGEST_GROUP = 20
"""A key that more pictures share says nothing: they are plain or drawn alike, not copies."""

_CHUNK = 256
_SHOWN = 4


def likeness_keys(data: Labelled) -> tuple[tuple[str | None, ...], tuple[Problem, ...]]:
    """The key of each picture, for `models.data.splitting.split`, and a problem for each group of different contents.

    None where a picture is like no other. A group larger than 20 is none: such a key is shared by plain pictures.
    """
    with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="likeness") as pool:
        chunks = [data.pixels[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]
        keys = [key for part in pool.map(lambda chunk: [fingerprint(one) for one in chunk], chunks) for key in part]
    groups: dict[str, list[int]] = defaultdict(list)
    for row, key in enumerate(keys):
        groups[key].append(row)
    real = {key: rows for key, rows in groups.items() if 1 < len(rows) <= _LARGEST_GROUP}
    problems = tuple(_problem(data, rows) for rows in real.values() if len({data.digests[row] for row in rows}) > 1)
    return tuple(key if key in real else None for key in keys), problems


def _problem(data: Labelled, rows: list[int]) -> Problem:
    others = ", ".join(data.names[row] for row in rows[1 : _SHOWN + 1])
    others += f" and {len(rows) - 1 - _SHOWN} more" if len(rows) > _SHOWN + 1 else ""
    labels = [data.labels[label] for label in np.unique(data.classes[rows])]
    differ = f", labelled {', '.join(labels)}" if len(labels) > 1 else ""
    return Problem(data.names[rows[0]], "near-duplicate", f"looks like {others}{differ}")
