"""Where contents lie among a model's reference: computed from stored embeddings when first asked for, then kept.

Digests enter, places leave. The memory is bounded; what has left it, and what an earlier process knew, is computed
again from the embeddings, to the same bits. Columns that never ask for it pay nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from models.reference.placing import Placed, Placing
from models.reference.reference import Reference
from server.answers import Answers

_BYTES_A_PLACE = 230  # dictionary entry, number, and 16 bytes of arrays; the digest's text is mostly shared
_BLOCK = 2048  # embeddings read and placed at once: other requests get their turn in between
NOWHERE = -1


class ReferencePlaces:
    """The places of one model's contents, for many threads.

    Args:
        reference: what they are placed in.
        answers: has the embeddings.
        limit_bytes: memory for places; the older half goes when it is reached.
    """

    def __init__(self, reference: Reference, answers: Answers, *, limit_bytes: int) -> None:
        self.reference = reference
        self._placing = Placing(reference)
        self._answers = answers
        self._limit = max(1000, limit_bytes // _BYTES_A_PLACE)
        self._lock, self._computing = threading.Lock(), threading.Lock()
        self._rows: dict[str | None, int] = {}
        self._kept = _empty(1024)

    def __len__(self) -> int:
        return len(self._rows)

    def describe(self) -> dict[str, Any]:
        """What `/v1/models/<reference>` says of it."""
        return {"pictures": len(self.reference), "labels": list(self.reference.labels),
                "clusters": list(self.reference.cluster_names)}

    def of(self, digests: Sequence[str | None]) -> Placed:
        """The place of each digest; `nearest` is -1 for None and where there is no embedding."""
        found = self._in_memory(digests)
        missing: dict[str, list[int]] = {}
        for row in np.flatnonzero(found.nearest < 0).tolist():
            digest = digests[row]
            if digest is not None:
                missing.setdefault(digest, []).append(row)
        wanted = list(missing)
        for start in range(0, len(wanted), _BLOCK):
            block = wanted[start:start + _BLOCK]
            _write(found, [missing[digest] for digest in block], self._computed(block))
        return found

    def _computed(self, block: Sequence[str]) -> Placed:
        """The places of a block: one thread computes, those that want the same find it done."""
        with self._computing:
            found = self._in_memory(block)
            rest = [digest for digest, nearest in zip(block, found.nearest, strict=True) if nearest < 0]
            vectors = self._answers.vectors(rest)
            length = self.reference.points.shape[1]
            known = [digest for digest in rest if digest in vectors and len(vectors[digest]) == length]
            if known:
                placed = self._placing.place(np.stack([vectors[digest] for digest in known]))
                self._keep(known, placed)
                rows = {digest: row for row, digest in enumerate(block)}
                _write(found, [[rows[digest]] for digest in known], placed)
        return found

    def _in_memory(self, digests: Sequence[str | None]) -> Placed:
        with self._lock:
            rows = np.array(list(map(self._rows.get, digests, [NOWHERE] * len(digests))), np.int64)
            found = _taken(self._kept, rows)
        found.nearest[rows < 0] = NOWHERE
        return found

    def _keep(self, digests: Sequence[str], placed: Placed) -> None:
        with self._lock:
            for digest in digests:
                self._rows.setdefault(digest, len(self._rows))
            rows = np.array([self._rows[digest] for digest in digests])
            if len(self._rows) > len(self._kept):
                self._kept = _grown(self._kept, 2 * len(self._rows))
            self._kept.places[rows] = placed.places
            self._kept.nearest[rows] = placed.nearest
            self._kept.outlier[rows] = placed.outlier
            if len(self._rows) > self._limit:
                self._drop_older_half()

    def _drop_older_half(self) -> None:
        kept = list(self._rows.items())[-(self._limit // 2):]
        self._kept = _grown(_taken(self._kept, np.array([row for _, row in kept])), 2 * len(kept))
        self._rows = {digest: row for row, (digest, _) in enumerate(kept)}


def _empty(size: int) -> Placed:
    return Placed(np.zeros((size, 2), np.float32), np.full(size, NOWHERE, np.int32), np.zeros(size, np.float32))


def _taken(placed: Placed, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Placed:
    return Placed(placed.places[rows], placed.nearest[rows], placed.outlier[rows])


def _grown(placed: Placed, size: int) -> Placed:
    bigger = _empty(size)
    _write(bigger, [[row] for row in range(len(placed))], placed)
    return bigger


def _write(target: Placed, rows: Sequence[Sequence[int]], placed: Placed) -> None:
    """Put each of `placed` into all its rows of `target`."""
    to = np.array([row for many in rows for row in many], np.int64)
    sources = np.repeat(np.arange(len(rows)), [len(many) for many in rows])
    target.places[to] = placed.places[sources]
    target.nearest[to] = placed.nearest[sources]
    target.outlier[to] = placed.outlier[sources]
