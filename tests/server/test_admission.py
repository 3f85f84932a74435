"""Who is told to come back: only who would wait in vain, by the rate that was measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.admission import Admission
from server.errors import BusyError
from server.found_url import FoundUrl
from server.in_flight import Ticket
from server.served_model import ServedModel

pytest_plugins = ("server_fixtures",)

PRESSED = 16
LONG_S = 1e12


class Clock:
    """Seconds that pass when a test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Model:
    """A model that finishes pictures at the rates a test names, and those who wait for it."""

    def __init__(self) -> None:
        self.clock, self.rest = Clock(), 0
        self.admission = Admission(pressed_at=PRESSED, clock=self.clock)

    def work(self, rate: float, seconds: float = 30.0, *, batch: int = 8, under_way: int = PRESSED) -> None:
        """Batches at `rate` pictures a second, while `under_way` others stay."""
        self.admission.begun(under_way)
        for _ in range(round(rate * seconds / batch)):
            self.admission.begun(batch)
            self.clock.now += batch / rate
            self.admission.finished(batch)
        self.rest += under_way

    def rest_ends(self) -> None:
        """Nothing is under way any more."""
        self.admission.finished(self.rest)
        self.rest = 0


@pytest.fixture
def model() -> Model:
    """Nothing was measured."""
    return Model()


def wait(stack: ExitStack, admission: Admission, count: int) -> None:
    """`count` patient requests wait."""
    for _ in range(count):
        stack.enter_context(admission.admit(LONG_S))


def is_refused(admission: Admission, patience_s: float) -> bool:
    """Whether a request that would wait so long is told to come back."""
    try:
        with admission.admit(patience_s):
            return False
    except BusyError:
        return True


def test_nobody_is_refused_on_a_guess(model: Model) -> None:
    """With nothing measured, however many wait."""
    with ExitStack() as stack:
        wait(stack, model.admission, 1000)
        assert (model.admission.wait_s, is_refused(model.admission, 0.1)) == (0.0, False)


def test_the_wait_is_the_requests_ahead_at_the_measured_rate(model: Model) -> None:
    """Forty wait and a new one: the 41st picture at 20 a second."""
    model.work(rate=20)
    with ExitStack() as stack:
        wait(stack, model.admission, 40)
        assert model.admission.wait_s == pytest.approx(41 / 20)


def test_what_would_come_too_late_is_refused_with_the_time_to_come_back(model: Model) -> None:
    """Four seconds of queue: too much for somebody who waits six, not for one who waits ten."""
    model.work(rate=20)
    with ExitStack() as stack:
        wait(stack, model.admission, 78)
        assert not is_refused(model.admission, 10.0)
        with pytest.raises(BusyError, match="about 4 s") as caught, model.admission.admit(6.0):
            pass
    assert (caught.value.code, caught.value.retry_after_s) == ("too_much_waiting", 4)


@pytest.mark.parametrize(("patience_s", "answer"), [(0.0, False), (-1.0, False), (0.1, True)])
def test_who_does_not_wait_is_not_refused(model: Model, patience_s: float, answer: bool) -> None:
    """A request with a deadline of nothing is for later."""
    model.work(rate=20)
    with ExitStack() as stack:
        wait(stack, model.admission, 79)
        assert is_refused(model.admission, patience_s) is answer


def test_short_patience_waits_a_short_queue(model: Model) -> None:
    """A second's queue is for everybody."""
    model.work(rate=20)
    with ExitStack() as stack:
        wait(stack, model.admission, 18)
        assert not is_refused(model.admission, 0.05)
        wait(stack, model.admission, 2)
        assert is_refused(model.admission, 0.05)


def test_a_place_is_given_back_whatever_happens(model: Model) -> None:
    """Also by a request that fails."""
    model.work(rate=20)
    alone = model.admission.wait_s
    for _ in range(100):
        with pytest.raises(ValueError, match="broken"), model.admission.admit(LONG_S):
            raise ValueError("broken")
    assert model.admission.wait_s == alone


def test_an_idle_server_does_not_look_slow(model: Model) -> None:
    """A picture a minute is no rate: the model was not pressed."""
    model.work(rate=1 / 60, seconds=3600, batch=1, under_way=0)
    assert model.admission.wait_s == 0.0


def test_the_pause_between_two_loads_does_not_count(model: Model) -> None:
    """The rate of the second load is its own."""
    model.work(rate=20)
    model.rest_ends()
    model.clock.now += 20.0
    model.work(rate=20)
    assert model.admission.wait_s == pytest.approx(1 / 20, rel=0.01)


@pytest.mark.parametrize(("before", "after"), [(200.0, 20.0), (20.0, 200.0)])
def test_the_rate_follows_the_machine(model: Model, before: float, after: float) -> None:
    """Within twenty seconds of another speed."""
    model.work(rate=before)
    model.work(rate=after, seconds=20.0)
    assert model.admission.wait_s == pytest.approx(1 / after, rel=0.1)


def test_an_old_rate_is_forgotten(model: Model) -> None:
    """After half a minute without pressure nobody is refused for it; while the model works on it holds."""
    model.work(rate=0.1, seconds=200)
    model.clock.now += 60.0
    assert model.admission.wait_s > 0
    model.rest_ends()
    model.clock.now += 60.0
    assert model.admission.wait_s == 0.0


def test_the_wait_for_files_is_not_that_for_urls(model: Model, serve: Callable[..., ServedModel]) -> None:
    """A queue of files refuses no URL, and URLs under way are no measure for files."""
    served = serve()
    served.admission = model.admission
    served.compute([Ticket(str(number), found=FoundUrl("http://img.corp/a.png")) for number in range(PRESSED)], until=0)
    model.work(rate=0.1, seconds=200, batch=1, under_way=0)
    assert model.admission.wait_s == 0.0
    model.work(rate=0.1, seconds=200, batch=1)
    until = time.monotonic() + 0.05
    _, url = served.compute([Ticket("new", found=FoundUrl("http://img.corp/b.png"))], until=until)
    _, file = served.compute([Ticket("a.png")], until=time.monotonic() + 0.05)
    assert (url, getattr(file, "code", None)) == (None, "too_much_waiting")


@settings(deadline=None)
@given(rates=st.lists(st.floats(0.5, 5000), min_size=1, max_size=6), batch=st.integers(1, 64),
       waiting=st.integers(0, 300), patience_s=st.floats(0.01, 600))
def test_the_rate_is_among_those_measured(rates: list[float], batch: int, waiting: int, patience_s: float) -> None:
    """So who could be answered at the slowest is never refused, who could not at the fastest always is."""
    model = Model()
    for rate in rates:
        model.work(rate, seconds=max(2.0, 4 * batch / rate), batch=batch)
    slowest, fastest = (waiting + 1) / min(rates), (waiting + 1) / max(rates)
    limit_s = max(1.0, patience_s / 2)
    with ExitStack() as stack:
        wait(stack, model.admission, waiting)
        assert fastest * 0.999 <= model.admission.wait_s <= slowest * 1.001
        is_in_vain = is_refused(model.admission, patience_s)
    assert is_in_vain or fastest * 0.999 <= limit_s
    assert not is_in_vain or slowest * 1.001 > limit_s


@settings(deadline=None)
@given(steps=st.lists(st.tuples(st.floats(0, 100), st.integers(0, 1000), st.integers(0, 1000)), max_size=40))
def test_any_history_gives_a_wait_that_can_be_said(steps: list[tuple[float, int, int]]) -> None:
    """Finite, never negative, and whole seconds of at least one."""
    model, under_way = Model(), 0
    for pause, begun, ended in steps:
        model.clock.now += pause
        model.admission.begun(begun)
        under_way += begun
        model.admission.finished(min(ended, under_way))
        under_way -= min(ended, under_way)
        assert 0.0 <= model.admission.wait_s < float("inf")
        assert model.admission.retry_after_s >= 1
