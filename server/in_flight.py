"""Pictures being worked on, so that the same one asked twice at once is computed once.

A `Ticket` stands for one path text (or one uploaded file) on its way through reading, decoding and the model. Requests
wait on tickets; two tickets whose files turn out to have the same content are joined.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from server.found_url import Found
from server.ranking import Rankings


@dataclass(frozen=True, slots=True)
class Result:
    """The end of a ticket: an answer (`ranking` of one picture) or an error; `error` None means there is an answer."""

    digest: str | None = None
    ranking: Rankings | None = None
    note: str | None = None
    error: str | None = None


@dataclass(slots=True, eq=False)
class Ticket:
    """One picture on its way. `data` has the bytes of an upload, `found` the file or URL to be read.

    `is_taken` once a decoder has it, `is_behind` once a request that wanted it has stopped waiting.
    """

    key: str
    found: Found | None = None
    data: bytes | None = None
    digest: str | None = None
    is_taken: bool = False
    is_behind: bool = False
    result: Result | None = None
    watchers: list[Countdown] = field(default_factory=list)


class Countdown:
    """Lets a request wait until so many tickets are done."""

    def __init__(self, count: int) -> None:
        self._left = count
        self._lock = threading.Lock()
        self._gate = threading.Lock()  # held until the end: an Event is three locks and a hundred lines more
        self._is_over = count == 0
        if count:
            self._gate.acquire()

    def step(self) -> None:
        """One ticket less."""
        with self._lock:
            self._left -= 1
            if self._left <= 0:
                self._end()

    def give_up(self) -> None:
        """Let whoever waits go on with what is done."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._gate.release()

    def wait(self, timeout_s: float) -> bool:
        """Whether all were done within `timeout_s` seconds."""
        is_open = self._gate.acquire(timeout=max(0.0, timeout_s))
        if is_open:
            self._gate.release()
        return is_open


class InFlight:
    """The tickets of one model, at most `capacity` at a time; safe for many threads.

    `on_begin` and `on_end` are told of tickets that come and go; they must not call back.
    """

    def __init__(self, capacity: int, *, on_begin: Callable[[list[Ticket]], None] = lambda _: None,
                 on_end: Callable[[list[Ticket]], None] = lambda _: None) -> None:
        self._capacity, self._on_begin, self._on_end = capacity, on_begin, on_end
        self._lock = threading.Lock()
        self._by_key: dict[str, Ticket] = {}
        self._by_digest: dict[str, list[Ticket]] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    @property
    def is_full(self) -> bool:
        """Whether no further picture is taken."""
        return len(self._by_key) >= self._capacity

    def join(self, wanted: Iterable[Ticket]) -> list[Ticket]:
        """For each wanted ticket the one under way for its key, else itself; those beyond the capacity are left out."""
        joined: list[Ticket] = []
        begun: list[Ticket] = []
        with self._lock:
            for ticket in wanted:
                existing = self._by_key.get(ticket.key)
                if existing is None:
                    if self.is_full:
                        continue
                    self._by_key[ticket.key] = existing = ticket
                    begun.append(ticket)
                joined.append(existing)
            self._on_begin(begun)
        return joined

    def watch(self, tickets: list[Ticket]) -> Countdown:
        """A countdown over those of `tickets` that are not done."""
        with self._lock:
            waiting = [ticket for ticket in tickets if ticket.result is None]
            countdown = Countdown(len(waiting))
            for ticket in waiting:
                ticket.watchers.append(countdown)
        return countdown

    def unwatch(self, tickets: list[Ticket], countdown: Countdown) -> None:
        """Forget a countdown nobody waits for: who asks again and again would leave one on each ticket each time."""
        with self._lock:
            for ticket in tickets:
                if countdown in ticket.watchers:
                    ticket.watchers.remove(countdown)

    def stop_waiting(self) -> None:
        """Let every request go on with what is done."""
        with self._lock:
            watchers = [watcher for ticket in self._by_key.values() for watcher in ticket.watchers]
        for watcher in watchers:
            watcher.give_up()

    def claim(self, digest: str, ticket: Ticket) -> bool:
        """Whether `ticket` is the first with this content; otherwise it is done when the first one is."""
        with self._lock:
            ticket.digest = digest
            same = self._by_digest.setdefault(digest, [])
            same.append(ticket)
            return len(same) == 1

    def finish(self, ticket: Ticket, result: Result) -> None:
        """End one ticket, and with it those that wait for its content."""
        if ticket.digest is not None:
            self.finish_content(ticket.digest, result)
        self._end([ticket], result)

    def finish_content(self, digest: str, result: Result) -> None:
        """End every ticket that has this content."""
        with self._lock:
            tickets = self._by_digest.pop(digest, [])
        self._end(tickets, result)

    def _end(self, tickets: list[Ticket], result: Result) -> None:
        watchers: list[Countdown] = []
        with self._lock:
            ended = [ticket for ticket in tickets if ticket.result is None]
            for ticket in ended:
                ticket.result = result
                self._by_key.pop(ticket.key, None)
                watchers += ticket.watchers
                ticket.watchers = []
            self._on_end(ended)
        for watcher in watchers:
            watcher.step()
