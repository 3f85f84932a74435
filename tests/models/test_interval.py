"""Wilson's interval against a table that was printed, and against chance."""

from __future__ import annotations

import numpy as np
import pytest

from models.interval import wilson


def test_the_interval_is_wilsons() -> None:
    """Against the figures of Newcombe 1998, table I (method 3): 81 of 263, and 0 of 20."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)


def test_the_interval_holds_what_it_promises() -> None:
    """Of 4,000 samples of 200 pictures at 97 per cent, the interval has the true share in about 95 of 100."""
    counts = np.random.default_rng(4).binomial(200, 0.97, 4000)
    held = [low <= 0.97 <= high for low, high in (wilson(int(count), 200) for count in counts)]
    assert 0.93 < np.mean(held) < 0.975


def test_no_picture_tells_nothing() -> None:
    """The whole range, not a division by zero."""
    assert wilson(0, 0) == (0.0, 1.0)
