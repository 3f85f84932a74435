"""The leaderboard and the line that says what more labels would bring."""

from __future__ import annotations

import pytest

from models.training.leaderboard import Row, as_text
from models.training.learning_curve import Point, fit


def test_the_table_has_a_line_a_row() -> None:
    """Accuracy with its interval, pictures, size, speed and time."""
    rows = [Row(name="majority class", kind="baseline", correct=10, validated=100, pictures=900, seconds=0.0),
            Row(name="resnet-20", kind="candidate", correct=90, validated=100, pictures=900, seconds=12.0, epochs=6,
                parameters=269_722, pictures_a_second=310.4)]
    lines = as_text(row.as_dict() for row in rows).splitlines()
    assert len(lines) == 3
    assert lines[2].split() == ["resnet-20", "90.00%", "82.56%", "to", "94.48%", "900", "6", "269,722", "310", "12"]


def test_a_planted_line_is_found() -> None:
    """error = 2 * n ** -0.5: twice the pictures lower it by 1 - 2 ** -0.5, 29 per cent."""
    points = [Point(n, 2 * n**-0.5, 1000) for n in (100, 400, 1600)]
    curve = fit("residual", points)
    assert curve is not None
    assert curve.exponent == pytest.approx(0.5)
    assert curve.scale == pytest.approx(2.0)
    assert "by about 29%" in curve.sentence(1600)


def test_one_size_makes_no_line() -> None:
    """Nothing is said about more labels then."""
    assert fit("residual", [Point(100, 0.2, 50), Point(100, 0.3, 50)]) is None


def test_an_error_that_does_not_fall_is_said() -> None:
    """No promise is made from a line that rises."""
    curve = fit("residual", [Point(100, 0.2, 50), Point(400, 0.3, 50)])
    assert curve is not None
    assert "bring little" in curve.sentence(400)
