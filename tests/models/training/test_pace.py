"""The pace of a training: it ends at the end of its cycle, and in time."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from models.training.pace import Pace
from models.training.recipe import Recipe


def _run(pace: Pace, cost: list[float]) -> list[int]:
    """Epochs of the given seconds until the end; the sides they had."""
    sides = []
    while not pace.is_done:
        sides.append(pace.side)
        pace.advance(pace.step(), cost[min(pace.epoch, len(cost) - 1)])
    return sides


def test_without_a_limit_it_takes_the_planned_epochs() -> None:
    """Twenty planned epochs are twenty, the first half of the cycle on small pictures."""
    pace = Pace(Recipe(epochs=20, small=0.5, small_side=0.5), 32)
    sides = _run(pace, [1.0])
    assert sides == [16] * 10 + [32] * 10
    assert pace.place == 1.0


@settings(deadline=None)
@given(st.lists(st.floats(1.0, 4.0), min_size=5, max_size=5), st.integers(30, 400))
def test_it_ends_in_time_on_a_machine_that_changes_its_speed(speeds: list[float], within_s: int) -> None:
    """However the seconds of an epoch change by up to four times, the end is late by one epoch at most."""
    pace = Pace(Recipe(epochs=100, small=0.0), 32, within_s=within_s)
    _run(pace, speeds * 20)
    assert pace.seconds <= within_s + max(speeds) * 4


def test_a_steady_machine_uses_its_time() -> None:
    """At a steady cost nearly all of the time is used, and none is overdrawn."""
    pace = Pace(Recipe(epochs=1000, small=0.0), 32, within_s=100.0)
    _run(pace, [3.0])
    assert 93.0 <= pace.seconds <= 100.5


def test_the_other_side_costs_by_its_pixels() -> None:
    """Before the large pictures are measured, their cost follows from the small ones."""
    pace = Pace(Recipe(epochs=100, small=0.5, small_side=0.5), 32, within_s=100.0)
    pace.advance(0.01, 1.0)
    assert pace.cost(32) == 4.0


def test_time_left_is_unknown_before_the_first_epoch() -> None:
    """No number is made up for it."""
    assert math.isnan(Pace(Recipe(), 32).left_s())
