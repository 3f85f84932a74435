"""The same picture asked twice at once is computed once, and nobody is left waiting."""

from __future__ import annotations

import threading

import pytest

from server.in_flight import Countdown, InFlight, Result, Ticket

DONE = Result(digest="content")


def tickets(*keys: str) -> list[Ticket]:
    """A new ticket for each key."""
    return [Ticket(key) for key in keys]


@pytest.fixture
def in_flight() -> InFlight:
    """Room for five."""
    return InFlight(5)


def test_a_key_under_way_is_joined(in_flight: InFlight) -> None:
    """The second request waits on the first one's ticket."""
    first = in_flight.join(tickets("a", "b"))
    second = in_flight.join(tickets("b", "c"))
    assert (second[0] is first[1], len(in_flight)) == (True, 3)


def test_a_key_that_is_done_is_under_way_no_more(in_flight: InFlight) -> None:
    """Asked again it is a ticket of its own."""
    (first,) = in_flight.join(tickets("a"))
    in_flight.finish(first, DONE)
    (second,) = in_flight.join(tickets("a"))
    assert (second is first, second.result, len(in_flight)) == (False, None, 1)


def test_tickets_beyond_the_capacity_are_left_out(in_flight: InFlight) -> None:
    """Those that are under way are joined all the same."""
    in_flight.join(tickets("a", "b", "c"))
    joined = in_flight.join(tickets("d", "e", "f", "a"))
    assert ([ticket.key for ticket in joined], in_flight.is_full) == (["d", "e", "a"], True)


def test_a_finished_ticket_makes_room(in_flight: InFlight) -> None:
    """For one more."""
    first, *_ = in_flight.join(tickets(*"abcde"))
    in_flight.finish(first, DONE)
    assert [ticket.key for ticket in in_flight.join(tickets("f", "g"))] == ["f"]


def test_only_the_first_with_a_content_goes_on(in_flight: InFlight) -> None:
    """The others wait for it."""
    one, two, other = in_flight.join(tickets("a", "b", "c"))
    assert [in_flight.claim("x", one), in_flight.claim("x", two), in_flight.claim("y", other)] == [True, False, True]


def test_the_end_of_a_content_ends_every_ticket_that_has_it(in_flight: InFlight) -> None:
    """And no other."""
    one, two, other = in_flight.join(tickets("a", "b", "c"))
    for digest, ticket in (("x", one), ("x", two), ("y", other)):
        in_flight.claim(digest, ticket)
    in_flight.finish_content("x", DONE)
    assert ([one.result, two.result, other.result], len(in_flight)) == ([DONE, DONE, None], 1)


def test_a_ticket_that_fails_takes_those_with_its_content_along(in_flight: InFlight) -> None:
    """None is left hanging when the one that went on breaks."""
    one, two = in_flight.join(tickets("a", "b"))
    in_flight.claim("x", one)
    in_flight.claim("x", two)
    failed = Result(error="broken")
    in_flight.finish(one, failed)
    assert [one.result, two.result] == [failed, failed]


def test_a_content_can_be_claimed_again_after_its_end(in_flight: InFlight) -> None:
    """The next one goes on itself."""
    one, two = in_flight.join(tickets("a", "b"))
    in_flight.claim("x", one)
    in_flight.finish_content("x", DONE)
    assert in_flight.claim("x", two)


def test_the_first_result_stays(in_flight: InFlight) -> None:
    """A ticket ends once."""
    (ticket,) = in_flight.join(tickets("a"))
    countdown = in_flight.watch([ticket])
    in_flight.finish(ticket, DONE)
    in_flight.finish(ticket, Result(error="later"))
    assert (ticket.result, countdown.wait(0)) == (DONE, True)


def test_an_unknown_content_ends_nothing(in_flight: InFlight) -> None:
    """No error either: an upload's request may be gone."""
    (ticket,) = in_flight.join(tickets("a"))
    in_flight.finish_content("never claimed", DONE)
    assert ticket.result is None


def test_a_watch_ends_with_its_last_ticket(in_flight: InFlight) -> None:
    """Tickets done before do not count, those of others neither."""
    done, mine, other = in_flight.join(tickets("a", "b", "c"))
    in_flight.finish(done, DONE)
    countdown = in_flight.watch([done, mine])
    before = countdown.wait(0)
    in_flight.finish(other, DONE)
    between = countdown.wait(0)
    in_flight.finish(mine, DONE)
    assert (before, between, countdown.wait(0)) == (False, False, True)


def test_two_watches_over_one_ticket_both_end(in_flight: InFlight) -> None:
    """Two requests that joined."""
    (ticket,) = in_flight.join(tickets("a"))
    countdowns = [in_flight.watch([ticket]) for _ in range(2)]
    in_flight.finish(ticket, DONE)
    assert [countdown.wait(0) for countdown in countdowns] == [True, True]


@pytest.mark.parametrize("timeout_s", [0, -1, -1e9])
def test_a_countdown_from_nothing_is_done(timeout_s: float) -> None:
    """Also when the deadline has passed."""
    assert Countdown(0).wait(timeout_s)


@pytest.mark.parametrize("timeout_s", [0, -1, 0.01])
def test_a_countdown_that_is_not_over_says_so(timeout_s: float) -> None:
    """After its time."""
    assert not Countdown(1).wait(timeout_s)


def test_many_threads_end_every_ticket_once() -> None:
    """Joined, claimed and finished from eight threads: every watch ends, nothing stays under way."""
    in_flight = InFlight(10_000)
    countdowns: list[Countdown] = []

    def work() -> None:
        joined = in_flight.join(tickets(*(f"{number}" for number in range(300))))
        countdowns.append(in_flight.watch(joined))
        for number, ticket in enumerate(joined):
            digest = f"content {number % 50}"
            in_flight.claim(digest, ticket)
            in_flight.finish_content(digest, Result(digest=digest))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ([countdown.wait(0) for countdown in countdowns], len(in_flight)) == ([True] * 8, 0)


def test_who_stops_waiting_leaves_nothing_behind(in_flight: InFlight) -> None:
    """A client that asks every second for an hour costs no more than one that asks once."""
    joined = in_flight.join(tickets("a", "b"))
    waits = in_flight.watch(joined)
    for _ in range(3):
        in_flight.unwatch(joined, in_flight.watch(joined))
    assert [ticket.watchers for ticket in joined] == [[waits], [waits]]
