"""The paired comparison against numbers from elsewhere."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from models.paired import Paired


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (1, 0), (3, 3), (9, 2), (0, 12)])
def test_the_p_value_counts_coin_throws(only_a: int, only_b: int) -> None:
    """Among all ways that many coins fall, the share at least as lopsided."""
    throws = [sum(way) for way in itertools.product((0, 1), repeat=only_a + only_b)]
    middle = (only_a + only_b) / 2
    expected = sum(abs(heads - middle) >= abs(only_a - middle) for heads in throws) / len(throws)
    assert Paired(50, only_a, only_b, 7).p_value == pytest.approx(expected)


def test_the_interval_holds_the_truth_nineteen_times_in_twenty() -> None:
    """On 4,000 draws of 200 pictures with a known difference of 4 points."""
    random = np.random.default_rng(1)
    draws = random.multinomial(200, (0.82, 0.04, 0.08, 0.06), 4000).tolist()
    inside = sum(low <= 0.04 <= high for low, high in (Paired(*draw).interval for draw in draws))
    assert 0.93 < inside / 4000 < 0.98


def test_equal_versions_have_an_interval_around_nothing() -> None:
    """Not one of width zero: 20 pictures do not prove that two versions are equal."""
    paired = Paired(20, 0, 0, 0)
    low, high = paired.interval
    assert (paired.difference, paired.p_value, low < 0 < high, math.isclose(-low, high)) == (0, 1, True, True)


def test_accuracies_are_shares_of_all() -> None:
    """And the difference is theirs."""
    paired = Paired(5, 2, 1, 2)
    assert (paired.accuracy_a, paired.accuracy_b, paired.difference) == (0.7, 0.6, -0.1)
