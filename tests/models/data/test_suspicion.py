"""Planted wrong labels are found; right ones are not accused."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models.data.suspicion import Suspicion, as_problems, suspicious

Judged = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]


@pytest.fixture(scope="module")
def judged() -> Judged:
    """Out-of-fold probabilities of real digits with thirty planted wrong labels, the labels, and the planted rows."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    data = load_digits()
    ink, truth = data.data[:900] / 16, data.target[:900].astype(np.int64)
    random = np.random.default_rng(0)
    planted = np.sort(random.choice(len(truth), 30, replace=False))
    labels = truth.copy()
    labels[planted] = (labels[planted] + random.integers(1, 10, 30)) % 10
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    model = LogisticRegression(max_iter=300)
    return cross_val_predict(model, ink, labels, cv=folds, method="predict_proba"), labels, planted


def test_planted_labels_are_found(judged: Judged) -> None:
    """At least nine of ten; the first twenty are planted ones, and nearly always their true class is suggested."""
    from sklearn.datasets import load_digits

    probabilities, labels, planted = judged
    found = suspicious(probabilities, labels)
    assert len({one.row for one in found} & set(planted.tolist())) >= 27
    assert {one.row for one in found[:20]} <= set(planted.tolist())
    truth = load_digits().target
    assert sum(one.suggested == truth[one.row] for one in found[:20]) >= 19


def test_right_labels_are_seldom_accused(judged: Judged) -> None:
    """At most one in a hundred of the 870 others, with a model that errs in one of twenty-five."""
    probabilities, labels, planted = judged
    others = {one.row for one in suspicious(probabilities, labels)} - set(planted.tolist())
    assert len(others) <= 0.01 * 870


def test_thresholds_are_those_of_each_class() -> None:
    """By hand: class 1 is always unsure, so 0.5 is confident there and 0.45 is not."""
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.5, 0.5], [0.5, 0.5], [0.4, 0.6], [0.45, 0.55]])
    classes = np.array([0, 0, 1, 1, 1, 0])
    assert suspicious(probabilities, classes) == [Suspicion(5, 0, 1, 0.45, 0.55)]


@pytest.mark.parametrize("wrong", [np.zeros((2, 2)), np.full((3, 2), np.nan), np.zeros(3)])
def test_what_does_not_belong_together_is_refused(wrong: NDArray[np.float64]) -> None:
    """Shapes and values that are no numbers."""
    with pytest.raises(ValueError, match=r"expected finite probabilities \(3, classes\)"):
        suspicious(wrong, np.array([0, 1, 0]))


def test_nothing_is_suspected_of_nothing() -> None:
    """No rows, and a class without pictures."""
    assert suspicious(np.zeros((0, 3)), np.zeros(0, np.int64)) == []
    assert suspicious(np.array([[0.1, 0.4, 0.5], [0.1, 0.8, 0.1]]), np.array([1, 1])) == []


def test_the_report_says_both_classes() -> None:
    """Given and suggested, with their probabilities."""
    found = [Suspicion(0, 0, 1, 0.02, 0.97)]
    assert [str(problem) for problem in as_problems(found, ("a.png",), ("cat", "犬"))] == [
        "a.png: is labelled cat (2%) but looks like 犬 (97%)"]
