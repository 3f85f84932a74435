"""Whether confidence means what it says, and what is gained by looking at unsure pictures oneself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.calibration import binned, expected_calibration_error, negative_log_likelihood
from models.evaluation.per_class import Share, share

TARGETS = (0.99, 0.95)
"""Accuracies for which a threshold is suggested."""

_POINTS = 200  # of a curve: more than a page can show
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Bin:
    """Pictures with a confidence from `low` to `high`: the mean of it, and how many of them are right."""

    low: float
    high: float
    pictures: int
    confidence: float
    accuracy: Share


@dataclass(frozen=True, slots=True)
class Scores:
    """Log-loss (natural logarithm), Brier score (sum of squares over classes, 0..2), expected calibration error."""

    log_loss: float
    brier: float
    calibration_error: float


@dataclass(frozen=True, slots=True)
class Point:
    """Where pictures below `threshold` are looked at by people: the share that is not, and how right those are."""

    threshold: float
    pictures: int
    coverage: float
    accuracy: Share


@dataclass(frozen=True, slots=True)
class Suggestion:
    """The threshold of `image_needs_review` that leaves most pictures to the model at an accuracy of `target`; None
    where none does."""

    target: float
    point: Point | None


def scores(probabilities: NDArray[np.floating], classes: NDArray[np.integer]) -> Scores:
    """All three of (N, C) and (N,)."""
    exact = probabilities.astype(np.float64)
    of_truth = exact[np.arange(len(classes)), classes]
    brier = np.einsum("ij,ij->i", exact, exact) - 2 * of_truth + 1  # no copy: 50,000 x 1,000 are 400 MB
    values = (negative_log_likelihood(exact, classes), float(brier.mean()),
              expected_calibration_error(probabilities, classes))
    return Scores(*(round(value, _DIGITS) for value in values))


def reliability(probabilities: NDArray[np.floating], classes: NDArray[np.integer], bins: int = 15) -> tuple[Bin, ...]:
    """The bins of the expected calibration error that have pictures."""
    counts, confidence, right = binned(probabilities, classes, bins)
    return tuple(Bin(round(place / bins, _DIGITS), round((place + 1) / bins, _DIGITS), int(count),
                     round(float(confidence[place] / count), _DIGITS), share(int(right[place]), int(count)))
                 for place, count in enumerate(counts) if count)


def as_served(confidence: NDArray[np.floating]) -> NDArray[np.float64]:
    """Confidences as the server answers them: kept as float16, six decimals."""
    return np.asarray(np.round(confidence.astype(np.float16).astype(np.float64), _DIGITS), np.float64)


def coverage(confidence: NDArray[np.float64], is_right: NDArray[np.bool_]) -> tuple[Point, ...]:
    """The curve from the surest pictures to all of them: a point for each confidence that occurs, at most 200.

    Equal confidences are never parted: no threshold could.
    """
    points = [*_points(confidence, is_right)]
    rows = np.unique(np.linspace(0, len(points) - 1, min(_POINTS, len(points))).round().astype(int))
    return tuple(points[row] for row in rows)


def suggestions(confidence: NDArray[np.float64], is_right: NDArray[np.bool_]) -> tuple[Suggestion, ...]:
    """For each of `TARGETS` the point that leaves most to the model."""
    points = [*_points(confidence, is_right)]
    return tuple(Suggestion(target, next((point for point in reversed(points)
                                          if (point.accuracy.value or 0.0) >= target), None)) for target in TARGETS)


def _between(low: float, high: float) -> float:
    """A number about halfway, so that rounding elsewhere is harmless, with as few digits as tell the two apart."""
    middle = (low + high) / 2
    return next((short for digits in range(2, _DIGITS + 1) if low < (short := round(middle, digits)) <= high), middle)


def _points(confidence: NDArray[np.float64], is_right: NDArray[np.bool_]) -> Iterator[Point]:
    """Every threshold that parts pictures, falling."""
    order = np.argsort(-confidence, kind="stable")
    levels, right = confidence[order], np.cumsum(is_right[order])
    last = np.append(np.flatnonzero(np.diff(levels)), len(levels) - 1)
    for row in last:
        below = levels[row + 1] if row + 1 < len(levels) else None
        threshold = 0.0 if below is None else _between(float(below), float(levels[row]))
        count = int(row) + 1
        yield Point(threshold, count, round(count / len(levels), _DIGITS), share(int(right[row]), count))
