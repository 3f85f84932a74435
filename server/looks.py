"""Many looks at files, where none of them can hold a request: a look is a stat, on a share a question to somebody else.

Items enter with the work that looks at a block of them; what the work returns leaves, of those blocks that were done in
time. On this machine's own disks the request's thread looks by itself, for a handing over would cost more than a look.
On everything else threads of that file system look, so that the request can go at its deadline: one, as long as it is
fast, up to `THREADS` where looks take longer than `SLOW_S`. A share that hangs holds its own threads and no others.

Measured on FUSE at 5.6 ms a look: a known column of 2,000 files in 0.7 s instead of 11.5 s.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from server.filesystems import Places

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

FIRST = 32
"""Looks that are measured before it is known how fast they are."""
SLOW_S = 0.001
"""A local look takes 0.003 ms; at 1 ms 10,000 rows take 10 s, half of a request's deadline, and the wait is 20 times
the 0.05 ms of Python that handing it to a thread costs."""
THREADS = 32
"""Of one file system: at 20 ms a look 10,000 rows then take 6 s, within a deadline; a dead share keeps so many."""
SILENT_S = 10.0
"""A file system that has answered nothing for so long is not waited for by requests that come later."""
_BLOCK = 512  # looks of a request's thread between two glances at the clock
_TURN_S = 0.02  # a thread's block may take so long: so late does it see other requests
_MOST = 128  # looks of a block: a share that turns slow is noticed after so many
_IDLE_S = 5.0  # a thread ends when there has been nothing to do for so long
_CLOSE_S = 1.0  # threads that have not ended by then hang
_SLOW_FOR_S = 300.0  # a disk that was asleep or busy is tried anew by then
_TABLE_S = 10.0  # how old the table of mounts may be


class Looks:
    """Does looks here or by threads; safe for many threads; `close` ends them.

    Args:
        read_places: the file systems as they are now; asked again every few seconds.
        clock: seconds that never go back; deadlines are on it.
        timer: the same, real ones, for measuring.
    """

    def __init__(self, read_places: Callable[[], Places], *, clock: Callable[[], float],
                 timer: Callable[[], float] = time.perf_counter) -> None:
        self._read_places, self._clock, self._timer = read_places, clock, timer
        self._places, self._read_at = Places((), are_local=False), -_TABLE_S
        self._lock = threading.Lock()
        self._threads: dict[str, _Place] = {}
        self._waiting: WeakSet[_Job[Any, Any]] = WeakSet()

    def do(self, items: Sequence[T], work: Callable[[Sequence[T]], list[R]], *,
           paths_of: Callable[[T], Sequence[str]], give_up_at: float) -> list[R]:
        """What `work` returns for the blocks of `items` that are done by `give_up_at`, in no particular order.

        Some are done however late it is, so that whoever asks again gets further. What a block that comes later
        returns is lost: what is to be remembered, `work` must keep itself. `paths_of` an item are those it looks at;
        none where it asks no disk.
        """
        places = self._current()
        done, results = 0, []
        while done < len(items) and places.are_local and not self._is_one_slow():
            block = items[done:done + (_BLOCK if done else FIRST)]
            started = self._timer()
            results += work(block)
            done += len(block)
            if self._timer() - started > SLOW_S * len(block):
                break
            if done > FIRST and self._clock() >= give_up_at:
                return results
        return results + self._by_threads(items[done:], work, paths_of, give_up_at) if done < len(items) else results

    def stop_waiting(self) -> None:
        """Let every request go on with what was looked at so far."""
        with self._lock:
            jobs = list(self._waiting)
        for job in jobs:
            job.refuse()

    def close(self) -> None:
        """Let the threads end, except those that hang."""
        self.stop_waiting()
        with self._lock:
            threads = list(self._threads.values())
        for place in threads:
            place.close()

    def _current(self) -> Places:
        now = self._timer()
        if now - self._read_at >= _TABLE_S:
            self._read_at = now
            self._places = self._read_places()
        return self._places

    def _is_one_slow(self) -> bool:
        """Whether a file system was found slow lately: then the request's thread does not find it out again."""
        return bool(self._threads) and any(place.is_slow_lately for place in list(self._threads.values()))

    def _by_threads(self, items: Sequence[T], work: Callable[[Sequence[T]], list[R]],
                    paths_of: Callable[[T], Sequence[str]], give_up_at: float) -> list[R]:
        at: dict[str, list[T]] = {}
        for item in items:
            at.setdefault(self._places.of_paths(paths_of(item)), []).append(item)
        here = at.pop("", [])
        jobs = [self._place(name).add(_Job(its_items, work)) for name, its_items in at.items()]
        with self._lock:
            self._waiting.update(jobs)
        results = work(here) if here else []
        for job in jobs:
            results += job.wait(give_up_at - self._clock())
        with self._lock:
            self._waiting.difference_update(jobs)
        return results

    def _place(self, name: str) -> _Place:
        with self._lock:
            if name not in self._threads:
                self._threads[name] = _Place(name, self._timer)
            return self._threads[name]


class _Job(Generic[T, R]):
    """The looks that one request wants at one file system; its blocks are done by that one's threads."""

    def __init__(self, items: Sequence[T], work: Callable[[Sequence[T]], list[R]]) -> None:
        self._items, self._work = items, work
        self._taken, self._done = 0, 0
        self._results: list[R] = []
        self._fault: Exception | None = None
        self._lock = threading.Lock()
        self._is_done = threading.Event()

    def take(self, size: int) -> Sequence[T]:
        """The next block; nothing when all are taken."""
        with self._lock:
            block = self._items[self._taken:self._taken + size]
            self._taken += len(block)
        return block

    def do(self, block: Sequence[T]) -> None:
        """Look at a block."""
        results: list[R] = []
        fault: Exception | None = None
        try:
            results = self._work(block)
        except Exception as exc:  # noqa: BLE001 - raised again where it is waited for
            fault = exc
        with self._lock:
            self._results += results
            self._fault = self._fault or fault
            self._done += len(block)
            if self._done >= len(self._items):
                self._is_done.set()

    def wait(self, seconds: float) -> list[R]:
        """What was looked at within `seconds`; no further block is begun but the first. Raises what the work raised."""
        self._is_done.wait(max(0.0, min(seconds, threading.TIMEOUT_MAX)))
        with self._lock:
            self._items = self._items[:max(self._taken, FIRST)]
            if self._fault is not None:
                raise self._fault
            return list(self._results)

    def refuse(self) -> None:
        """Let nobody wait: nothing more is looked at."""
        with self._lock:
            self._items = self._items[:self._taken]
        self._is_done.set()


class _Place:
    """One file system: the requests' jobs there take turns, block by block, with its threads."""

    def __init__(self, name: str, timer: Callable[[], float]) -> None:
        self._name, self._timer = name, timer
        self._jobs: deque[_Job[Any, Any]] = deque()
        self._changed = threading.Condition()
        self._threads: set[threading.Thread] = set()
        self._idle, self._busy = 0, 0
        self._pace_s, self._heard_at = 0.0, timer()
        self._is_silent = self._is_closed = False

    @property
    def is_slow(self) -> bool:
        """Whether looks take so long that it is worth having many at once."""
        return self._pace_s > SLOW_S

    @property
    def is_slow_lately(self) -> bool:
        """Whether it was slow when it was last looked at, not long ago."""
        return self.is_slow and self._timer() - self._heard_at < _SLOW_FOR_S

    def add(self, job: _Job[T, R]) -> _Job[T, R]:
        """Have a job done; nothing of it where this file system is silent."""
        with self._changed:
            if self._is_closed or self._has_gone_silent():
                job.refuse()
            else:
                self._jobs.append(job)
                self._call()
        return job

    def close(self) -> None:
        """Let the threads end; those that hang are left behind."""
        with self._changed:
            self._is_closed = True
            self._jobs.clear()
            self._changed.notify_all()
            threads = list(self._threads)
        until = time.monotonic() + _CLOSE_S
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _call(self) -> None:
        """Let one thread more look for work."""
        if self._idle:
            self._changed.notify()
        elif len(self._threads) < THREADS:
            thread = threading.Thread(target=self._loop, name=f"look-{self._name}-{len(self._threads)}", daemon=True)
            try:
                thread.start()
            except RuntimeError as exc:  # the system has no more: those that are there go on
                log.warning("no further thread looks at %s: %s", self._name, exc)
            else:
                self._threads.add(thread)

    def _loop(self) -> None:
        while (taken := self._take()) is not None:
            job, block = taken
            started = self._timer()
            job.do(block)
            self._hear((self._timer() - started) / len(block))

    def _take(self) -> tuple[_Job[Any, Any], Sequence[Any]] | None:
        """The next block of the job whose turn it is; None when there is none for long."""
        with self._changed:
            while not self._is_closed:
                while self._jobs:
                    job = self._jobs.popleft()
                    block = job.take(self._size())
                    if block:
                        self._jobs.append(job)
                        self._begin()
                        return job, block
                self._idle += 1
                is_called = self._changed.wait(_IDLE_S)
                self._idle -= 1
                if not (is_called or self._jobs):
                    break
            self._threads.discard(threading.current_thread())
        return None

    def _size(self) -> int:
        """How many looks are a block: few where they are slow, so that threads and requests take turns."""
        return max(1, min(_MOST, int(_TURN_S / self._pace_s))) if self._pace_s else FIRST

    def _begin(self) -> None:
        if not self._busy:
            self._heard_at = self._timer()
        self._busy += 1
        if self.is_slow:
            self._call()

    def _hear(self, pace_s: float) -> None:
        """A block is done, at so many seconds a look."""
        with self._changed:
            self._busy -= 1
            self._heard_at = self._timer()
            self._pace_s = (self._pace_s + pace_s) / 2 if self._pace_s else pace_s
            if self._is_silent:
                self._is_silent = False
                log.info("%s answers again", self._name)

    def _has_gone_silent(self) -> bool:
        """Whether every thread waits for an answer, and none has come for long."""
        if self._busy < THREADS or self._timer() - self._heard_at < SILENT_S:
            return False
        if not self._is_silent:
            self._is_silent = True
            log.warning("%s has not answered for %g s: what lies there is pending until it does", self._name, SILENT_S)
        return True
