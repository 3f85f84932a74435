"""The recipe: one cycle of the learning rate, small pictures first."""

from __future__ import annotations

import pytest

from models.training.recipe import Recipe


def test_the_learning_rate_rises_and_falls_once() -> None:
    """From a twenty-fifth of the peak up to it at a quarter of the cycle, and down to a thousandth."""
    recipe = Recipe(peak=0.4)
    rates = [recipe.learning_rate(place / 100) for place in range(101)]
    assert rates[0] == pytest.approx(0.4 / 25)
    assert max(rates) == pytest.approx(0.4)
    assert rates.index(max(rates)) == 25
    assert rates[-1] == pytest.approx(0.4 / 1000)
    assert rates[:26] == sorted(rates[:26])
    assert rates[25:] == sorted(rates[25:], reverse=True)


@pytest.mark.parametrize(("size", "expected"), [(32, 20), (28, 18), (224, 140), (8, 8)])
def test_small_sides_are_even_and_no_less_than_eight(size: int, expected: int) -> None:
    """Networks halve the side; below eight pixels nothing is left to halve."""
    assert Recipe(small=0.5).side(size, 0.2) == expected
    assert Recipe(small=0.5).side(size, 0.5) == size
