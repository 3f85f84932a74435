"""What one model said of contents it has seen: a bounded memory in front of the store.

Digests enter, rankings leave. The memory holds the newest answers up to a number of bytes; what has left it is read
back from the store in one statement for a whole column.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.focuses import Focuses
from server.ranking import Rankings, kept_ranks
from server.store import Store, StoredAnswer

log = logging.getLogger(__name__)

_BYTES_A_KEY = 260  # digest text, dictionary entry and number: measured with 1,000,000 rows
_FAILURES_KEPT = 100_000


@dataclass(frozen=True, slots=True)
class Found:
    """Answers for a column: row i's ranking is `rankings[rows[i]]`, or missing where `rows[i]` is -1."""

    rows: NDArray[np.int64]
    rankings: Rankings
    notes: dict[str, str]


class Answers:
    """The answers of one model version, for many threads.

    Args:
        model: the version's digest, the key in the store.
        classes: how many classes the model has.
        limit_bytes: memory for answers; the oldest half goes when it is reached.
        store: where answers outlive the process.
        has_focus: whether the model tells with each answer where it looked.
    """

    def __init__(self, *, model: str, classes: int, limit_bytes: int, store: Store, has_focus: bool = False) -> None:
        self.kept = kept_ranks(classes)
        self._owner = store.name_id(model)
        self.focuses = Focuses(owner=self._owner, limit_bytes=limit_bytes, store=store) if has_focus else None
        self._limit = max(1000, limit_bytes // (_BYTES_A_KEY + 4 * self.kept))
        self._store = store
        self._lock = threading.Lock()
        self._rows: dict[str | None, int] = {}
        self._rankings = _reserve(1024, self.kept)
        self._notes: dict[str, str] = {}
        self._failures: dict[str, str] = {}
        self._is_complete = False  # whether memory has all that the store has: then a miss need not ask it
        self._has_dropped = False

    def __len__(self) -> int:
        return len(self._rows)

    def lookup(self, digests: Sequence[str | None]) -> Found:
        """The answers that memory or the store has for `digests`."""
        found = self._in_memory(digests)
        missing = {digests[row] for row in (found.rows < 0).nonzero()[0].tolist()}
        missing.discard(None)
        asked = [] if self._is_complete else [digest for digest in missing if digest]
        stored = self._of_right_length(self._store.answers(self._owner, asked)) if asked else []
        if not stored:
            return found
        self._keep(stored)
        return _extend(found, digests, stored, self.kept)

    def find(self, digest: str) -> tuple[Rankings, str | None] | None:
        """The answer for one content, with its remark: what a decoder asks for every new picture, so it is short."""
        with self._lock:
            row = self._rows.get(digest, -1)
            if row >= 0:
                rankings = self._rankings
                return Rankings(rankings.order[row:row + 1].copy(), rankings.probabilities[row:row + 1].copy()), \
                    self._notes.get(digest)
        if self._is_complete:
            return None
        found = self.lookup([digest])
        return (found.rankings, found.notes.get(digest)) if found.rows[0] >= 0 else None

    def lacking_focus(self, digests: Sequence[str | None]) -> set[str]:
        """Those of which it is not kept where the model looked, though it could tell: answers older than that."""
        if self.focuses is None:
            return set()
        values = self.focuses.column(digests)
        return {digest for digest, value in zip(digests, values, strict=True) if value is None and digest is not None}

    def failure(self, digest: str) -> str | None:
        """Why the content cannot be answered, if that is known."""
        return self._failures.get(digest)

    def fail(self, digest: str, reason: str) -> None:
        """Remember that the content cannot be decoded, for as long as the process lives."""
        with self._lock:
            if len(self._failures) >= _FAILURES_KEPT:
                self._failures.clear()
            self._failures[digest] = reason

    def put(self, digests: Sequence[str], rankings: Rankings, vectors: NDArray[np.float32],
            notes: Sequence[str | None]) -> None:
        """Keep new answers here and in the store; `vectors` are the embeddings, float32 (N, D)."""
        packed = rankings.pack()
        halves = np.clip(vectors, -65504, 65504).astype(np.float16)  # the largest float16
        stored = [StoredAnswer(*row) for row in zip(digests, packed, notes, strict=True)]
        for answer, vector in zip(stored, halves, strict=True):
            self._store.put_answer(self._owner, answer, vector.tobytes())
        self._insert(digests, rankings, notes)

    def vectors(self, digests: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Digest -> embedding float32 (D,) for those that have an answer."""
        stored = self._store.vectors(self._owner, list(dict.fromkeys(digests)))
        return {digest: np.frombuffer(vector, np.float16).astype(np.float32) for digest, vector in stored.items()}

    def fill(self) -> int:
        """Load stored answers until the memory limit; returns how many."""
        count = 0
        for page in map(self._of_right_length, self._store.every_answer(self._owner)):
            if len(self._rows) + len(page) > self._limit:
                return count
            self._keep(page)
            count += len(page)
        with self._lock:
            self._is_complete = not self._has_dropped
        return count

    def _in_memory(self, digests: Sequence[str | None]) -> Found:
        with self._lock:
            rows = np.array(list(map(self._rows.get, digests, [-1] * len(digests))), np.int64)
            hits = (rows >= 0).nonzero()[0]
            taken = rows[hits]
            rankings = Rankings(self._rankings.order[taken], self._rankings.probabilities[taken])
            notes = self._notes
        rows[hits] = np.arange(len(hits))
        return Found(rows, rankings, notes)

    def _of_right_length(self, stored: Sequence[StoredAnswer]) -> list[StoredAnswer]:
        """Those that are as long as this model's rankings; the others are said and computed again."""
        right = [answer for answer in stored if len(answer.ranking) == 4 * self.kept]  # two bytes a class, two a value
        if len(right) < len(stored):
            log.error("%d stored answers have a wrong length: they are computed again", len(stored) - len(right))
        return right

    def _keep(self, stored: Sequence[StoredAnswer]) -> None:
        rankings = Rankings.unpack([answer.ranking for answer in stored], self.kept)
        self._insert([answer.digest for answer in stored], rankings, [answer.note for answer in stored])

    def _insert(self, digests: Sequence[str], rankings: Rankings, notes: Sequence[str | None]) -> None:
        with self._lock:
            for position, (digest, note) in enumerate(zip(digests, notes, strict=True)):
                row = self._rows.setdefault(digest, len(self._rows))
                if row >= len(self._rankings):
                    self._rankings = _grown(self._rankings, 2 * len(self._rankings))
                self._rankings.order[row] = rankings.order[position]
                self._rankings.probabilities[row] = rankings.probabilities[position]
                if note:
                    self._notes[digest] = note
            while len(self._rows) > self._limit:
                self._drop_oldest_half()

    def _drop_oldest_half(self) -> None:
        self._is_complete, self._has_dropped = False, True
        kept = list(self._rows.items())[len(self._rows) // 2:]
        rows = [row for _, row in kept]
        old = self._rankings
        self._rankings = _grown(Rankings(old.order[rows], old.probabilities[rows]), max(1024, 2 * len(rows)))
        self._rows = {digest: row for row, (digest, _) in enumerate(kept)}
        self._notes = {digest: note for digest, note in self._notes.items() if digest in self._rows}


def _reserve(size: int, kept: int) -> Rankings:
    return Rankings(np.zeros((size, kept), np.uint16), np.zeros((size, kept), np.float16))


def _grown(rankings: Rankings, size: int) -> Rankings:
    bigger = _reserve(size, rankings.order.shape[1])
    bigger.order[:len(rankings)] = rankings.order
    bigger.probabilities[:len(rankings)] = rankings.probabilities
    return bigger


def _extend(found: Found, digests: Sequence[str | None], stored: Sequence[StoredAnswer], kept: int) -> Found:
    """`found` with the rows that the store had."""
    more = Rankings.unpack([answer.ranking for answer in stored], kept)
    place = {answer.digest: len(found.rankings) + position for position, answer in enumerate(stored)}
    rows = found.rows.copy()
    for row in np.flatnonzero(rows < 0).tolist():
        rows[row] = place.get(digests[row] or "", -1)
    rankings = Rankings(np.concatenate([found.rankings.order, more.order]),
                        np.concatenate([found.rankings.probabilities, more.probabilities]))
    return Found(rows, rankings, found.notes | {answer.digest: answer.note for answer in stored if answer.note})
