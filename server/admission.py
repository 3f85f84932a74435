"""Whether a new request can still get an answer in time, from how fast pictures were finished lately.

Pictures that begin and that are finished enter; the seconds a new request would wait leave, or a BusyError for
one that would wait too long. Refusing it at once, with the time after which it is worth asking again, is kinder than
letting it hold a place until its deadline for nothing.

**What is ahead of a new request** are the requests that wait, each counted as one picture, however long it is: their
lanes take turns (`lanes`), so before a new request gets its first picture every other one gets one. A column of 100,000
rows is therefore one picture ahead of a single image, never 100,000, and never the reason why that one is refused; nor
is a column refused for its own length, since what misses the deadline is pending and goes on. What a column has made
ready for the model, or what waits in the background, is left out: it is bounded, or comes last. So are pictures behind
URLs, which have threads of their own: a slow server there says nothing of the wait for a file.

**The rate** counts only while the model was pressed (as many pictures under way as it takes at once): a single picture
on an idle server says how long one takes, not how many a second can be had. It is the pictures over the seconds of the
last moments, older ones counting half every few seconds, so that it follows a machine whose speed changes. With nothing
measured, or nothing lately, nobody is refused: a guess is no reason.

**The limit** is half of the time the request would wait: the speed of a shared machine halves within a minute, and the
answer should come in time all the same. Requests of a second or two wait up to a second's queue, and those that do not
wait at all (`deadline_s` 0: work on it, I ask again) are never refused here; they are bounded by `--queue-rows`.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator

from server.errors import BusyError

_HALF_LIFE_S = 3.0
_ENOUGH_S = 0.5  # of measuring: a handful of batches, since two engine threads finish in pairs
_FORGET_S = 30.0  # after so long without pressure the rate is that of another day
_SHARE, _LEAST_S = 0.5, 1.0


class Admission:
    """The rate of one model and the requests that wait for it; safe for many threads.

    Args:
        pressed_at: pictures under way with which the model works as fast as it can.
        clock: seconds that never go back.
    """

    def __init__(self, *, pressed_at: int, clock: Callable[[], float]) -> None:
        self._pressed_at, self._clock = pressed_at, clock
        self._lock = threading.Lock()
        self._waiting, self._under_way = 0, 0
        self._pictures, self._seconds = 0.0, 0.0
        self._last = -math.inf
        self._is_pressed = False

    def begun(self, pictures: int) -> None:
        """Count `pictures` that are under way from now on."""
        with self._lock:
            self._under_way += pictures

    def finished(self, pictures: int) -> None:
        """Count `pictures` that are not under way any more, whatever their end."""
        if not pictures:
            return
        now = self._clock()
        with self._lock:
            if self._is_pressed:
                elapsed = now - self._last
                kept = 0.5 ** (elapsed / _HALF_LIFE_S)
                self._pictures, self._seconds = kept * self._pictures + pictures, kept * self._seconds + elapsed
            elif now - self._last > _FORGET_S:
                self._pictures, self._seconds = 0.0, 0.0
            self._under_way -= pictures
            self._last, self._is_pressed = now, self._under_way >= self._pressed_at

    @property
    def wait_s(self) -> float:
        """Seconds until a request that came now would get its first picture; 0 where no rate is known."""
        now = self._clock()
        with self._lock:
            is_old = not self._is_pressed and now - self._last > _FORGET_S
            if is_old or self._seconds < _ENOUGH_S:
                return 0.0
            return (self._waiting + 1) * self._seconds / self._pictures

    @property
    def retry_after_s(self) -> int:
        """Whole seconds after which what waits now is answered, at least one."""
        return max(1, math.ceil(self.wait_s))

    @contextlib.contextmanager
    def admit(self, patience_s: float) -> Iterator[None]:
        """Count as waiting for the length of a `with`, for a request that waits `patience_s` at most.

        Raises:
            BusyError: it would be in vain.
        """
        wait_s = self.wait_s
        if patience_s > 0 and wait_s > max(_LEAST_S, _SHARE * patience_s):
            raise BusyError("too_much_waiting", f"an answer would take about {wait_s:.0f} s", "ask again later",
                            retry_after_s=self.retry_after_s)
        with self._lock:
            self._waiting += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1
