"""Prepared pictures gather into batches for the engine threads.

Single pictures enter, as many batches as there are engine threads leave. The queue is bounded: a full one makes the
decoders wait, never grow. A batch waits for company only while there is work upstream, and never longer than
`max_wait_ms`, so a single picture on an idle server goes at once.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.ranking import Rankings


@dataclass(frozen=True, slots=True)
class Prepared:
    """A picture ready for the model: content digest, uint8 (S, S, C), a remark or None.

    `ranking` is its answer where that is known and only its focus is not: the answer stays as it is.
    """

    digest: str
    pixels: NDArray[np.uint8]
    note: str | None
    ranking: Rankings | None = None


class Batcher:
    """A bounded queue between decoders and engine threads.

    Args:
        batch_size: pictures a batch may have.
        capacity: pictures that may wait; `put` blocks beyond it.
        has_upstream: whether more pictures are on their way.
        max_wait_ms: how long an incomplete batch waits for them.
    """

    def __init__(self, *, batch_size: int, capacity: int, has_upstream: Callable[[], bool],
                 max_wait_ms: float = 25.0) -> None:
        self._batch_size, self._capacity, self._has_upstream = batch_size, capacity, has_upstream
        self._max_wait_s = max_wait_ms / 1000
        self._waiting: deque[Prepared] = deque()
        lock = threading.Lock()
        self._filled, self._emptied = threading.Condition(lock), threading.Condition(lock)
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, prepared: Prepared) -> None:
        """Queue a picture; waits while the queue is full."""
        with self._filled:
            while len(self._waiting) >= self._capacity and not self._is_closed:
                self._emptied.wait()
            if not self._is_closed:
                self._waiting.append(prepared)
                self._filled.notify()

    def take(self) -> list[Prepared]:
        """The next batch, 1 to `batch_size` pictures; an empty list when closed."""
        with self._filled:
            self._gather()
            while not self._waiting and not self._is_closed:  # another thread took what this one gathered
                self._gather()
            batch = [self._waiting.popleft() for _ in range(min(self._batch_size, len(self._waiting)))]
            if self._waiting:  # one wake-up a picture went to this thread alone
                self._filled.notify()
            self._emptied.notify(len(batch))
        return batch

    def _gather(self) -> None:
        """Wait for a picture, then until the batch is full, nothing more is on its way, or the time is over."""
        while not self._waiting and not self._is_closed:
            self._filled.wait()
        until = time.monotonic() + self._max_wait_s
        while len(self._waiting) < self._batch_size and self._has_upstream() and not self._is_closed:
            left = until - time.monotonic()
            if left <= 0 or not self._filled.wait(left):
                break

    def close(self) -> None:
        """Wake everybody; what waits is dropped."""
        with self._filled:
            self._is_closed = True
            self._has_upstream = _never  # else a model would hold on to itself, and its memory stay until a collection
            self._waiting.clear()
            self._filled.notify_all()
            self._emptied.notify_all()


def _never() -> bool:
    return False
