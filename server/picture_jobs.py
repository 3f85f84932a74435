"""Work on pictures that somebody waits for: few at a time, each content once, none for ever.

A name and what is to be done enter, its result leaves to everybody who asks for that name meanwhile. Work that hangs (a
share that does not answer, a decoder) is given up at its limit and another takes its place, up to a number of threads.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import wait as wait_for

from server.errors import BusyError

log = logging.getLogger(__name__)

MAX_GIVEN_UP = 8  # threads that hang: each holds a picture and a stack; beyond it their places stay taken

Prolong = Callable[[float], None]
Work = Callable[[Prolong], bytes]


class _Job:
    """One piece of work: its result to come, and until when it is waited for."""

    def __init__(self) -> None:
        self.future: Future[bytes] = Future()
        self.until = float("inf")  # until it has a place
        self.is_over = self.keeps_place = False

    def prolong(self, seconds: float) -> None:
        """From now on it may take so long."""
        self.until = time.monotonic() + seconds


class PictureJobs:
    """At most `places` pieces of work at a time; safe for many threads.

    Args:
        places: how many at a time.
        wait_s: how long one may wait for a place.
    """

    def __init__(self, *, places: int, wait_s: float = 10.0) -> None:
        self._places = threading.Semaphore(places)
        self._wait_s = wait_s
        self._lock = threading.Lock()
        self._jobs: dict[str, _Job] = {}
        self._given_up = 0

    def run(self, name: str, work: Work) -> bytes:
        """The result of `work`, or of the work of that name that is under way.

        Args:
            name: the content and the kind of picture.
            work: called in a thread of its own with a function that says how many seconds its next step may take.

        Raises:
            BusyError: there is no place, or the work hangs.
            Exception: what `work` raises.
        """
        with self._lock:
            job = self._jobs.get(name)
            is_first = job is None
            if job is None:
                job = self._jobs[name] = _Job()
        if is_first:
            self._begin(name, job, work)
        while not wait_for([job.future], max(0.0, min(job.until - time.monotonic(), 1.0))).done:
            if time.monotonic() >= job.until and is_first:
                self._give_up(name, job)
        return job.future.result()

    def _begin(self, name: str, job: _Job, work: Work) -> None:
        if not self._places.acquire(timeout=self._wait_s):
            with self._lock:
                del self._jobs[name]
            job.future.set_exception(_busy())
            return
        threading.Thread(target=self._work, args=(name, job, work), name="picture", daemon=True).start()

    def _work(self, name: str, job: _Job, work: Work) -> None:
        try:
            result, fault = work(job.prolong), None
        except Exception as exc:  # noqa: BLE001 - handed to who waits
            result, fault = b"", exc
        with self._lock:
            was_given_up, job.is_over = job.is_over, True
            if was_given_up:
                self._given_up -= 1
            else:
                del self._jobs[name]
        if not was_given_up or job.keeps_place:
            self._places.release()
        if was_given_up:
            return
        if fault is None:
            job.future.set_result(result)
        else:
            job.future.set_exception(fault)

    def _give_up(self, name: str, job: _Job) -> None:
        """Let everybody go who waits, and give the place to another; while too many hang, it stays taken."""
        with self._lock:
            if job.is_over:
                return
            job.is_over, job.keeps_place = True, self._given_up >= MAX_GIVEN_UP
            self._given_up += 1
            del self._jobs[name]
            count = self._given_up
        log.error("a picture took too long to read or draw (%d threads left behind)", count)
        if not job.keeps_place:
            self._places.release()
        job.future.set_exception(_busy())


def _busy() -> BusyError:
    return BusyError("too_many_pictures", "too many pictures are being drawn", "ask again in a moment", retry_after_s=2)
