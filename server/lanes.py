"""Who is served next: each request has a lane of tickets, and the lanes take turns.

Tickets enter by request; single ones leave to the decoders. Lanes whose request is still waiting come before lanes
whose deadline has passed, and lanes of one kind take turns, so one row asked now never waits behind a hundred
thousand.
"""

from __future__ import annotations

import threading
from collections import deque

from server.in_flight import Ticket


class Lane:
    """The tickets of one request, in row order."""

    def __init__(self, tickets: list[Ticket]) -> None:
        self.tickets = deque(tickets)


class Lanes:
    """The lanes of one model; `take` blocks until there is work or `close` is called."""

    def __init__(self) -> None:
        self._interactive: deque[Lane] = deque()
        self._background: deque[Lane] = deque()
        self._changed = threading.Condition()
        self._is_closed = False

    @property
    def has_work(self) -> bool:
        """Whether a ticket may be waiting; may say so once too often, never too seldom."""
        return bool(self._interactive or self._background)

    def add(self, tickets: list[Ticket]) -> Lane:
        """A new interactive lane; a ticket that waits in another lane too leaves with whichever comes first."""
        lane = Lane([ticket for ticket in tickets if not ticket.is_taken])
        if lane.tickets:
            with self._changed:
                self._interactive.append(lane)
                self._changed.notify(len(lane.tickets))
        return lane

    def demote(self, lane: Lane) -> None:
        """Move a lane whose request has stopped waiting behind those that still wait; each ticket is there once."""
        with self._changed:
            if lane in self._interactive:
                self._interactive.remove(lane)
                lane.tickets = deque(ticket for ticket in lane.tickets if not (ticket.is_taken or ticket.is_behind))
                for ticket in lane.tickets:
                    ticket.is_behind = True
                if lane.tickets:
                    self._background.append(lane)

    def drop(self, lane: Lane) -> list[Ticket]:
        """Remove a lane for good; its tickets that nobody has taken."""
        with self._changed:
            if lane in self._interactive:
                self._interactive.remove(lane)
            left = [ticket for ticket in lane.tickets if not ticket.is_taken]
            lane.tickets.clear()
        return left

    def take(self) -> Ticket | None:
        """The next ticket; None when closed."""
        with self._changed:
            while not self._is_closed:
                ticket = _next(self._interactive) or _next(self._background)
                if ticket is not None:
                    ticket.is_taken = True
                    return ticket
                self._changed.wait()
            return None

    def close(self) -> None:
        """Wake every `take` with None."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()


def _next(lanes: deque[Lane]) -> Ticket | None:
    """The first ticket not yet taken of the lane whose turn it is; empty lanes go."""
    while lanes:
        lane = lanes.popleft()
        while lane.tickets:
            ticket = lane.tickets.popleft()
            if not ticket.is_taken:
                lanes.append(lane)
                return ticket
    return None
