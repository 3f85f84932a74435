"""How single pictures gather into batches, and how the queue pushes back."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pytest

from server.batching import Batcher, Prepared

LONG_MS = 60_000.0  # a wait nobody would sit out: a test that needs it hangs, one that does not is at once over
TIMEOUT_S = 10.0

Open = Callable[..., Batcher]


@pytest.fixture
def open_batcher() -> Iterator[Open]:
    """Makes batchers of four that are closed in the end."""
    opened: list[Batcher] = []

    def make(*, capacity: int = 100, has_upstream: bool = False, max_wait_ms: float = LONG_MS) -> Batcher:
        batcher = Batcher(batch_size=4, capacity=capacity, has_upstream=lambda: has_upstream, max_wait_ms=max_wait_ms)
        opened.append(batcher)
        return batcher

    yield make
    for batcher in opened:
        batcher.close()


def picture(name: str) -> Prepared:
    """A small picture."""
    return Prepared(name, np.zeros((1, 1, 1), np.uint8), None)


def put(batcher: Batcher, names: str) -> None:
    """A picture for each letter."""
    put_all(batcher, list(names))


def put_all(batcher: Batcher, names: list[str]) -> None:
    """A picture for each name."""
    for name in names:
        batcher.put(picture(name))


def take(batcher: Batcher) -> str:
    """The letters of the next batch."""
    return "".join(prepared.digest for prepared in batcher.take())


def in_thread(work: Callable[[], object]) -> queue.Queue[object]:
    """Runs `work` beside the test; its answer comes through the queue."""
    answers: queue.Queue[object] = queue.Queue()
    threading.Thread(target=lambda: answers.put(work()), daemon=True).start()
    return answers


def test_batches_are_never_larger_than_allowed(open_batcher: Open) -> None:
    """In the order the pictures came."""
    batcher = open_batcher()
    put(batcher, "abcdefghij")
    assert [take(batcher) for _ in range(3)] == ["abcd", "efgh", "ij"]


def test_a_picture_alone_goes_at_once(open_batcher: Open) -> None:
    """Nothing is on its way, so it waits for nothing."""
    batcher = open_batcher()
    put(batcher, "a")
    assert take(batcher) == "a"


def test_a_full_batch_goes_at_once(open_batcher: Open) -> None:
    """Whatever is on its way."""
    batcher = open_batcher(has_upstream=True)
    put(batcher, "abcd")
    assert take(batcher) == "abcd"


def test_an_incomplete_batch_waits_for_what_is_on_its_way(open_batcher: Open) -> None:
    """And goes when it is full."""
    batcher = open_batcher(has_upstream=True)
    put(batcher, "ab")
    answer = in_thread(lambda: take(batcher))
    put(batcher, "cd")
    assert answer.get(timeout=TIMEOUT_S) == "abcd"


def test_an_incomplete_batch_does_not_wait_for_ever(open_batcher: Open) -> None:
    """No longer than it was told."""
    batcher = open_batcher(has_upstream=True, max_wait_ms=30)
    put(batcher, "ab")
    started = time.monotonic()
    assert (take(batcher), time.monotonic() - started >= 0.03) == ("ab", True)


def test_two_threads_that_wait_for_company_never_get_an_empty_batch(open_batcher: Open) -> None:
    """An empty batch means the end: the thread that came second must wait for the next picture."""
    batcher = open_batcher(has_upstream=True, max_wait_ms=30)
    put(batcher, "a")
    answers = [in_thread(lambda: take(batcher)) for _ in range(2)]
    first = any_of(answers)
    (second,) = (answer for answer in answers if answer is not first)
    with pytest.raises(queue.Empty):
        second.get(timeout=0.1)
    put(batcher, "b")
    assert (first.get(), second.get(timeout=TIMEOUT_S)) == ("a", "b")


def any_of(answers: list[queue.Queue[object]]) -> queue.Queue[object]:
    """The first queue that has something."""
    until = time.monotonic() + TIMEOUT_S
    while time.monotonic() < until:
        for answer in answers:
            if not answer.empty():
                return answer
    raise AssertionError("nothing came")


def test_a_full_queue_makes_the_decoders_wait(open_batcher: Open) -> None:
    """Memory does not grow; a take lets the next one in."""
    batcher = open_batcher(capacity=2)
    put(batcher, "ab")
    waiting = in_thread(lambda: put(batcher, "c"))
    lengths = [len(batcher)]
    first = take(batcher)
    waiting.get(timeout=TIMEOUT_S)
    assert (lengths, first, take(batcher)) == ([2], "ab", "c")


def test_a_batch_larger_than_the_queue_does_not_wait_for_what_cannot_come(open_batcher: Open) -> None:
    """A queue of two is full with two, though a batch may have four."""
    batcher = open_batcher(capacity=2, has_upstream=True, max_wait_ms=30)
    put(batcher, "ab")
    assert take(batcher) == "ab"


def test_closing_wakes_everybody(open_batcher: Open) -> None:
    """Those who wait for a picture, for company and for room."""
    empty, lonely, full = open_batcher(), open_batcher(has_upstream=True), open_batcher(capacity=1)
    put(lonely, "a")
    put(full, "a")
    takers = [in_thread(partial(take, batcher)) for batcher in (empty, lonely)]
    putter = in_thread(lambda: put(full, "b"))
    for batcher in (empty, lonely, full):
        batcher.close()
    assert [answer.get(timeout=TIMEOUT_S) for answer in (*takers, putter)] == ["", "", None]


def test_a_closed_batcher_has_nothing(open_batcher: Open) -> None:
    """What waited is dropped, and what comes too."""
    batcher = open_batcher()
    put(batcher, "a")
    batcher.close()
    put(batcher, "b")
    assert (take(batcher), len(batcher)) == ("", 0)


def test_every_picture_leaves_once(open_batcher: Open) -> None:
    """Four decoders, three engine threads, a short queue."""
    batcher = open_batcher(capacity=3, has_upstream=True, max_wait_ms=1)
    taken: list[str] = []
    all_taken = threading.Event()

    def run() -> None:
        while batch := batcher.take():
            taken.extend(prepared.digest for prepared in batch)
            if len(taken) == 400:
                all_taken.set()

    for _ in range(3):
        in_thread(run)
    for name in "abcd":
        in_thread(partial(put_all, batcher, [f"{name}{number}" for number in range(100)]))
    assert (all_taken.wait(TIMEOUT_S), len(set(taken)), len(taken)) == (True, 400, 400)
