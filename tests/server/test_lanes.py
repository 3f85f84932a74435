"""Who is served next: waiting requests take turns, those that gave up come last."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from server.in_flight import Ticket
from server.lanes import Lanes

pytest_plugins = ("server_fixtures",)


@pytest.fixture
def lanes() -> Lanes:
    """No request waits."""
    return Lanes()


def tickets(name: str, count: int) -> list[Ticket]:
    """Tickets a0, a1, ..."""
    return [Ticket(f"{name}{number}") for number in range(count)]


def take(lanes: Lanes, count: int) -> list[str]:
    """The keys of the next tickets."""
    taken = (lanes.take() for _ in range(count))
    return [ticket.key for ticket in taken if ticket is not None]


def test_one_request_is_served_in_its_order(lanes: Lanes) -> None:
    """Row by row."""
    lanes.add(tickets("a", 4))
    assert take(lanes, 4) == ["a0", "a1", "a2", "a3"]


def test_requests_take_turns(lanes: Lanes) -> None:
    """However long the others are."""
    for name, count in (("a", 4), ("b", 2), ("c", 1)):
        lanes.add(tickets(name, count))
    assert take(lanes, 7) == ["a0", "b0", "c0", "a1", "b1", "a2", "a3"]


def test_one_row_never_waits_behind_ten_thousand(lanes: Lanes) -> None:
    """It is served within as many takes as there are requests."""
    lanes.add(tickets("many", 10_000))
    take(lanes, 100)
    lanes.add(tickets("one", 1))
    assert "one0" in take(lanes, 2)


def test_asking_again_and_again_queues_a_picture_once(lanes: Lanes) -> None:
    """Of requests that stopped waiting one lane has it, and it still comes once."""
    wanted = tickets("a", 3)
    for _ in range(5):
        lanes.demote(lanes.add(wanted))
    lanes.add(tickets("waits", 1))
    assert ([len(lane.tickets) for lane in lanes._background], take(lanes, 4)) == ([3], ["waits0", "a0", "a1", "a2"])


def test_demoted_requests_come_last(lanes: Lanes) -> None:
    """Nobody waits for them any more, but they are done."""
    lane = lanes.add(tickets("gave-up", 2))
    lanes.add(tickets("waits", 2))
    lanes.demote(lane)
    assert take(lanes, 4) == ["waits0", "waits1", "gave-up0", "gave-up1"]


def test_demoted_requests_take_turns_too(lanes: Lanes) -> None:
    """Among themselves."""
    for lane in [lanes.add(tickets(name, 2)) for name in "ab"]:
        lanes.demote(lane)
    assert take(lanes, 4) == ["a0", "b0", "a1", "b1"]


def test_a_request_that_comes_after_a_demoted_one_goes_first(lanes: Lanes) -> None:
    """Also in the middle of it."""
    lanes.demote(lanes.add(tickets("gave-up", 3)))
    first = take(lanes, 1)
    lanes.add(tickets("waits", 1))
    assert (first, take(lanes, 3)) == (["gave-up0"], ["waits0", "gave-up1", "gave-up2"])


def test_a_ticket_in_two_lanes_is_taken_once(lanes: Lanes) -> None:
    """By whichever comes first."""
    shared = tickets("shared", 2)
    lanes.add([*shared, *tickets("a", 1)])
    lanes.add([*shared, *tickets("b", 1)])
    assert sorted(take(lanes, 4)) == ["a0", "b0", "shared0", "shared1"]


def test_a_shared_ticket_is_lifted_out_of_a_demoted_lane(lanes: Lanes) -> None:
    """A picture that somebody waits for again is served with those who wait."""
    shared = tickets("shared", 1)
    lanes.demote(lanes.add([*tickets("gave-up", 2), *shared]))
    lanes.add(shared)
    assert take(lanes, 3) == ["shared0", "gave-up0", "gave-up1"]


def test_tickets_that_were_taken_are_not_added_again(lanes: Lanes) -> None:
    """They are on their way already."""
    shared = tickets("a", 2)
    lanes.add(shared)
    take(lanes, 1)
    lanes.add(shared)
    assert take(lanes, 1) == ["a1"]


def test_an_empty_request_is_no_work(lanes: Lanes) -> None:
    """Nor is it one to demote."""
    lanes.demote(lanes.add([]))
    assert not lanes.has_work


def test_work_is_seen_until_it_is_taken(lanes: Lanes) -> None:
    """Never too seldom."""
    lanes.demote(lanes.add(tickets("a", 2)))
    seen = [lanes.has_work]
    take(lanes, 1)
    seen.append(lanes.has_work)
    assert seen == [True, True]


def test_demoting_a_lane_that_is_done_changes_nothing(lanes: Lanes) -> None:
    """The deadline may come at the same moment as the end."""
    lane = lanes.add(tickets("a", 1))
    lanes.add(tickets("b", 2))
    take(lanes, 3)
    lanes.demote(lane)
    lanes.add(tickets("c", 1))
    assert take(lanes, 1) == ["c0"]


def test_a_waiting_take_is_woken_by_work(lanes: Lanes) -> None:
    """And returns it."""
    taken: list[str] = []
    thread = threading.Thread(target=lambda: taken.extend(take(lanes, 1)))
    thread.start()
    lanes.add(tickets("a", 1))
    thread.join(10)
    assert taken == ["a0"]


def test_closing_wakes_every_take(lanes: Lanes) -> None:
    """With nothing."""
    answers: list[Ticket | None] = []
    threads = [threading.Thread(target=lambda: answers.append(lanes.take())) for _ in range(4)]
    for thread in threads:
        thread.start()
    lanes.close()
    for thread in threads:
        thread.join(10)
    assert answers == [None] * 4


def test_a_closed_one_gives_nothing_out(lanes: Lanes) -> None:
    """What waits is dropped."""
    lanes.add(tickets("a", 1))
    lanes.close()
    assert lanes.take() is None


def test_eight_threads_take_every_ticket_once(lanes: Lanes, wait_until: Callable[[Callable[[], object]], None]) -> None:
    """While requests come, some with the same tickets."""
    wanted = [tickets(f"{name}-", 100) for name in range(10)]
    taken: list[str] = []

    def work() -> None:
        while (ticket := lanes.take()) is not None:
            taken.append(ticket.key)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for one, two in zip(wanted, wanted[1:] + wanted[:1], strict=True):
        lanes.demote(lanes.add([*one, *two]))
    wait_until(lambda: not lanes.has_work)
    lanes.close()
    for thread in threads:
        thread.join(10)
    assert sorted(taken) == sorted(ticket.key for column in wanted for ticket in column)
