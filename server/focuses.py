"""Where a model looked in contents it has seen: a bounded memory in front of the store, as `answers` is for rankings.

Digests enter, eight bytes each leave: `models.activation.focus` as it was computed with the answer. What was kept is
what counts, so a picture has the same focus in every view.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from server.store import Store

_BYTES_A_KEY = 220  # digest text, dictionary entry and value
_LENGTH = 8  # four numbers of two bytes


class Focuses:
    """The focuses of one model version, for many threads; the oldest half leaves memory at `limit_bytes`."""

    def __init__(self, *, owner: int, limit_bytes: int, store: Store) -> None:
        self._owner, self._store = owner, store
        self._limit = max(1000, limit_bytes // _BYTES_A_KEY)
        self._lock = threading.Lock()
        self._kept: dict[str | None, bytes] = {}

    def column(self, digests: Sequence[str | None]) -> list[bytes | None]:
        """What memory or the store has for each row, the store asked in one statement; None where neither has it."""
        with self._lock:
            values = list(map(self._kept.get, digests))
        missing = {digest for digest, value in zip(digests, values, strict=True) if value is None and digest}
        if not missing:
            return values
        stored = {digest: value for digest, value in self._store.focuses(self._owner, list(missing)).items()
                  if len(value) == _LENGTH}
        self._insert(stored)
        return [stored.get(digest) if value is None and digest else value
                for digest, value in zip(digests, values, strict=True)]

    def put(self, digests: Sequence[str], kept: NDArray[np.uint16]) -> None:
        """Keep new focuses, uint16 (N, 4), here and in the store."""
        values = {digest: row.astype("<u2").tobytes() for digest, row in zip(digests, kept, strict=True)}
        for digest, value in values.items():
            self._store.put_focus(self._owner, digest, value)
        self._insert(values)

    def numbers(self, digests: Sequence[str | None]) -> NDArray[np.uint16]:
        """uint16 (N, 4) for a column, all ones where there is none: what `models.activation.focus_values` takes."""
        nothing = b"\xff" * _LENGTH
        return np.frombuffer(b"".join([value or nothing for value in self.column(digests)]), "<u2").reshape(-1, 4)

    def _insert(self, values: dict[str, bytes]) -> None:
        with self._lock:
            self._kept.update(values.items())
            if len(self._kept) > self._limit:
                self._kept = dict(itertools.islice(self._kept.items(), len(self._kept) - self._limit // 2, None))
