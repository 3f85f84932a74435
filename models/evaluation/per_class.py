"""Which class is taken for which: counts of (truth, answer), and precision, recall and F1 of each class with intervals.

Every figure is a share of things counted, so that each has a Wilson interval, given its denominator.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.interval import wilson

Confusion = tuple[tuple[int, int, int], ...]
"""Each pair that occurs: place of the truth, place of the answer, pictures."""

_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Share:
    """A share 0..1 with its 95 % interval; None where there was nothing to count."""

    value: float | None
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """One class: `pictures` that are of it, `answers` that name it, `correct` that do both."""

    label: str
    pictures: int
    answers: int
    correct: int
    precision: Share
    recall: Share
    f1: Share


def confusion_of(truths: NDArray[np.int64], answers: NDArray[np.int64], classes: int) -> Confusion:
    """The pairs that occur, by truth and answer: of 1,000 classes a million pairs could, and few do."""
    pairs, counts = np.unique(truths * classes + answers, return_counts=True)
    return tuple((int(pair) // classes, int(pair) % classes, int(count))
                 for pair, count in zip(pairs, counts, strict=True))


def matrix(confusion: Confusion, classes: int) -> NDArray[np.int64]:
    """int64 (C, C): rows are truths, columns answers."""
    full = np.zeros((classes, classes), np.int64)
    for truth, answer, count in confusion:
        full[truth, answer] = count
    return full


def class_figures(labels: tuple[str, ...], confusion: Confusion) -> tuple[ClassFigures, ...]:
    """The figures of every class, in the order of the labels."""
    pictures, answers, correct = (np.zeros(len(labels), np.int64) for _ in range(3))
    for truth, answer, count in confusion:
        pictures[truth] += count
        answers[answer] += count
        correct[truth] += count * (truth == answer)
    return tuple(_figures(label, *map(int, counts)) for label, *counts in
                 zip(labels, pictures, answers, correct, strict=True))


def share(count: int, total: int) -> Share:
    """`count` of `total`, with Wilson's interval."""
    low, high = wilson(count, total)
    return Share(round(count / total, _DIGITS) if total else None, round(low, _DIGITS), round(high, _DIGITS))


def mean(shares: list[Share]) -> float | None:
    """The mean of those that have a value: each class counts the same, however many pictures it has."""
    values = [one.value for one in shares if one.value is not None]
    return round(sum(values) / len(values), _DIGITS) if values else None


def _figures(label: str, pictures: int, answers: int, correct: int) -> ClassFigures:
    """F1 = 2J / (1 + J) with J = correct / (pictures or answers of the class), which is a share of things counted: so
    its interval becomes one of F1."""
    either = share(correct, pictures + answers - correct)
    value, low, high = (None if part is None else round(2 * part / (1 + part), _DIGITS)
                        for part in (either.value, either.low, either.high))
    f1 = Share(value, low or 0.0, high or 0.0)
    return ClassFigures(label, pictures, answers, correct, share(correct, answers), share(correct, pictures), f1)
