"""Unequal classes: weights, and the sentence."""

from __future__ import annotations

import numpy as np
import pytest

from models.data.balance import class_weights, imbalance


def test_weights_are_scikit_learns() -> None:
    """Its "balanced" formula is the oracle while no bound applies."""
    from sklearn.utils.class_weight import compute_class_weight

    classes = np.array([0] * 10 + [1] * 5 + [2] * 2)
    oracle = compute_class_weight("balanced", classes=np.arange(3), y=classes)
    np.testing.assert_allclose(class_weights(classes, 3), oracle)


def test_weights_are_bounded_and_one_on_average() -> None:
    """A class of one among a thousand weighs ten times, not a thousand times as much."""
    classes = np.array([0] * 1000 + [1])
    weights = class_weights(classes, 2)
    assert weights[1] == pytest.approx(10 * weights[0])
    assert weights[classes].mean() == pytest.approx(1)


def test_a_class_without_pictures_has_no_weight() -> None:
    """It would be infinite."""
    with pytest.raises(ValueError, match=r"classes \[1\] have no pictures"):
        class_weights(np.array([0, 2]), 3)


@pytest.mark.parametrize(("counts", "expected"), [
    ({"a": 5, "b": 5}, "Classes are about equal: 5 pictures in every class."),
    ({"a": 5, "b": 9}, "Classes are about equal: from 5 pictures (a) to 9 (b) a class."),
    ({"犬": 10, "b": 90}, (
        "Classes are unequal: from 10 pictures (犬) to 90 (b) a class; always answering b would be right in 90%, so "
        "look at the accuracy of each class.")),
])
def test_the_sentence_says_it(counts: dict[str, int], expected: str) -> None:
    """How unequal, and what follows."""
    assert imbalance(counts) == expected
