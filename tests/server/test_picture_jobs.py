"""Work on pictures: few at a time, each once, none for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from server.errors import BusyError
from server.picture_jobs import MAX_GIVEN_UP, PictureJobs, Prolong

pytest_plugins = ("server_fixtures",)

WaitUntil = Callable[[Callable[[], object]], None]


class Gate:
    """Work that waits until it is let go, and counts."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.calls, self.at_once, self.most = 0, 0, 0
        self._lock = threading.Lock()

    def work(self, prolong: Prolong) -> bytes:
        """Wait; at most 20 s."""
        prolong(20)
        with self._lock:
            self.calls, self.at_once = self.calls + 1, self.at_once + 1
            self.most = max(self.most, self.at_once)
        self.open.wait(20)
        with self._lock:
            self.at_once -= 1
        return b"picture"

    def hang(self, prolong: Prolong) -> bytes:
        """The same, beyond its limit."""
        prolong(0)
        self.open.wait(20)
        return b"late"


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Let go at the end."""
    made = Gate()
    yield made
    made.open.set()


def test_one_content_is_drawn_once(gate: Gate, wait_until: WaitUntil) -> None:
    """However many ask for it meanwhile; and again when it is asked for again."""
    jobs = PictureJobs(places=4)
    with ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(jobs.run, "a", gate.work) for _ in range(20)]
        wait_until(lambda: gate.calls)
        gate.open.set()
        assert {answer.result(20) for answer in answers} == {b"picture"}
    assert gate.calls == 1
    assert (jobs.run("a", gate.work), gate.calls) == (b"picture", 2)


def test_only_so_many_at_a_time(gate: Gate, wait_until: WaitUntil) -> None:
    """The others wait for a place and get their turn."""
    jobs = PictureJobs(places=2)
    with ThreadPoolExecutor(12) as pool:
        answers = [pool.submit(jobs.run, f"{number}", gate.work) for number in range(12)]
        wait_until(lambda: gate.calls == 2)
        gate.open.set()
        assert [answer.result(20) for answer in answers] == [b"picture"] * 12
    assert (gate.calls, gate.most) == (12, 2)


def test_who_waits_too_long_for_a_place_is_told_to_come_back(gate: Gate, wait_until: WaitUntil) -> None:
    """With 503 and a time; the name is free again afterwards."""
    jobs = PictureJobs(places=1, wait_s=0.01)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(jobs.run, "a", gate.work)
        wait_until(lambda: gate.calls)
        with pytest.raises(BusyError) as caught:
            jobs.run("b", gate.work)
        gate.open.set()
        assert first.result(20) == b"picture"
    assert (caught.value.code, caught.value.retry_after_s) == ("too_many_pictures", 2)
    assert jobs.run("b", gate.work) == b"picture"


def test_a_fault_reaches_everybody_who_waits() -> None:
    """And leaves the place free."""
    jobs, go = PictureJobs(places=1), threading.Event()

    def fail(prolong: Prolong) -> bytes:
        prolong(20)
        go.wait(20)
        raise ValueError("no such luck")

    with ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(jobs.run, "a", fail) for _ in range(3)]
        go.set()
        assert {str(answer.exception(20)) for answer in answers} == {"no such luck"}
    assert jobs.run("b", lambda _: b"picture") == b"picture"


def test_work_that_hangs_is_given_up(gate: Gate) -> None:
    """Its place goes to others while few hang; when too many do, its place stays taken, and nobody waits for ever."""
    jobs = PictureJobs(places=1, wait_s=0.01)
    began = time.monotonic()
    for number in range(MAX_GIVEN_UP):
        with pytest.raises(BusyError):
            jobs.run(f"{number}", gate.hang)
        assert jobs.run("another", lambda _: b"picture") == b"picture"
    with pytest.raises(BusyError):
        jobs.run("one too many", gate.hang)
    with pytest.raises(BusyError):
        jobs.run("another", lambda _: b"picture")
    assert time.monotonic() - began < 15


def test_places_come_back_when_what_hung_ends(gate: Gate, wait_until: WaitUntil) -> None:
    """None is lost, none is there twice."""
    jobs = PictureJobs(places=1, wait_s=0.01)
    for number in range(MAX_GIVEN_UP + 1):
        with pytest.raises(BusyError):
            jobs.run(f"{number}", gate.hang)
    gate.open.set()
    wait_until(lambda: jobs._given_up == 0)
    gate.open.clear()
    with ThreadPoolExecutor(1) as pool:
        wait_until(lambda: _is_drawn(jobs))
        pool.submit(jobs.run, "first", gate.work)
        wait_until(lambda: gate.calls)
        assert not _is_drawn(jobs)  # one place, not nine
        gate.open.set()


def _is_drawn(jobs: PictureJobs) -> bool:
    try:
        return jobs.run("another", lambda _: b"picture") == b"picture"
    except BusyError:
        return False
