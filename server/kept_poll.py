"""waitress's loop, with what each connection waits for kept by the system instead of told anew at every round.

waitress asks every open connection at every round whether it is to be read or written, and makes a new list for the
system of them: with 256 callers that costs more than reading the request. Here a connection is asked when its state
may have changed: after its own events by the listening thread, and by the thread that serves it where waitress wakes
the listening thread up instead. Once a second all are asked, so that nothing forgotten stays forgotten.
"""

from __future__ import annotations

import contextlib
import errno
import select
import threading
import time
from typing import Any

from waitress import wasyncore

_LOOK_EVERY_S = 1.0


class KeptPoll:
    """The registrations of `sockets` (waitress's map of descriptors); on Linux only, see `poll_of`.

    Every change of a connection's state is followed by `look` in the thread that made it, and looks exclude each
    other: the last one sees the last state. A connection may be registered for more than it waits for (as long as its
    caller waits for the answer, nothing comes): what it does not wait for is dropped when it comes.
    """

    is_kept = True

    def __init__(self, sockets: dict[int, Any]) -> None:
        self._sockets = sockets
        self._epoll = select.epoll()
        self._lock = threading.RLock()  # a listening socket that is asked has idle connections closed
        self._registered: dict[int, int] = {}
        self._listening: list[Any] = []
        self._look_at = 0.0

    def run(self, timeout_s: float) -> None:
        """Serve until no socket is left."""
        while self._sockets:
            self._look_around()
            for number, events in self._epoll.poll(timeout_s):
                self._handle(number, events)
        self._epoll.close()

    def look(self, dispatcher: Any) -> None:
        """Register what it waits for now; for any thread."""
        with self._lock:
            number = dispatcher._fileno  # noqa: SLF001 - None once it is closed; waitress has no other name for it
            if number is not None and self._sockets.get(number) is dispatcher:
                wanted, registered = _wanted(dispatcher), self._registered.get(number, 0)
                if wanted & ~registered or registered & ~wanted & select.EPOLLOUT:
                    self._register(number, wanted)

    def welcome(self, dispatcher: Any) -> None:
        """Register one that is new; its number may have been another's."""
        with self._lock:
            self._registered.pop(dispatcher._fileno, None)  # noqa: SLF001
            self.look(dispatcher)

    def forget(self, number: int) -> None:
        """Before a descriptor is closed: its number is given to the next connection."""
        with self._lock:
            self._register(number, 0)

    def _look_around(self) -> None:
        """Ask the listening sockets, which also look after idle connections; once a second all."""
        now, asked = time.monotonic(), self._listening
        if now >= self._look_at:
            self._look_at, asked = now + _LOOK_EVERY_S, list(self._sockets.values())
            self._listening = [dispatcher for dispatcher in asked if dispatcher.accepting]
        for dispatcher in asked:
            self.look(dispatcher)

    def _handle(self, number: int, events: int) -> None:
        with self._lock:
            dispatcher = self._sockets.get(number)
            wanted = _wanted(dispatcher) if dispatcher is not None else 0
            if events & (select.EPOLLIN | select.EPOLLPRI | select.EPOLLOUT) & ~wanted or not wanted:
                self._register(number, wanted)
        if wanted:
            wasyncore.readwrite(dispatcher, events & (wanted | select.EPOLLHUP | select.EPOLLERR))
            self.look(dispatcher)

    def _register(self, number: int, wanted: int) -> None:
        registered = self._registered.pop(number, 0)
        try:
            if wanted and registered:
                self._epoll.modify(number, wanted)
            elif wanted:
                self._epoll.register(number, wanted)
            elif registered:
                with contextlib.suppress(OSError, ValueError):  # closed already, or the loop is over
                    self._epoll.unregister(number)
        except OSError as exc:
            if exc.errno != errno.EBADF:  # closed by the thread that stops the server, between two lines of this one
                raise
            wanted = 0
        if wanted:
            self._registered[number] = wanted


class AskingPoll:
    """waitress's own loop: it asks everybody at every round, so there is nothing to keep."""

    is_kept = False

    def __init__(self, sockets: dict[int, Any]) -> None:
        self._sockets = sockets

    def run(self, timeout_s: float) -> None:
        """Serve until no socket is left; with poll() where there is one, as select() fails above 1,024 descriptors."""
        wasyncore.loop(timeout_s, use_poll=True, map=self._sockets)

    def look(self, dispatcher: Any) -> None:
        """Nothing: it is asked."""

    def welcome(self, dispatcher: Any) -> None:
        """Nothing."""

    def forget(self, number: int) -> None:
        """Nothing."""


def poll_of(sockets: dict[int, Any]) -> KeptPoll | AskingPoll:
    """The loop for `sockets`: kept registrations on Linux, waitress's own elsewhere."""
    return KeptPoll(sockets) if hasattr(select, "epoll") else AskingPoll(sockets)


def _wanted(dispatcher: Any) -> int:
    """What waitress would tell poll() of it."""
    reads = select.EPOLLIN | select.EPOLLPRI if dispatcher.readable() else 0
    return reads | select.EPOLLOUT if dispatcher.writable() and not dispatcher.accepting else reads
