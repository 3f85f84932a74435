"""`evaluate`: a network's probabilities and the truth enter, an `Evaluation` leaves: all that is said about a model.

It is data: `as_dict` has built-in types alone, `from_dict` makes the same value again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.calibration import calibrate
from models.errors import DataError
from models.evaluation.mistakes import Mistake, worst
from models.evaluation.per_class import ClassFigures, Confusion, Share, class_figures, confusion_of, mean, share
from models.evaluation.trust import (
    Bin,
    Point,
    Scores,
    Suggestion,
    as_served,
    coverage,
    reliability,
    scores,
    suggestions,
)

FORMAT = 1
"""The layout of `evaluation.json`."""

_FIRST = 5  # guesses that are looked at where there are more classes


@dataclass(frozen=True, slots=True)
class Subject:
    """What was measured: the version, the source, which of its pictures, and what ran the model; texts for people."""

    model: str
    source: str
    part: str
    engine: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A model on pictures whose class is known.

    `before` and `after` are the temperature; `coverage`, `suggestions` and `mistakes` are after it, as served. `macro_`
    figures are means over classes. `first_five` is the share with the truth among the first five, None up to five
    classes. `confusion` and `mistakes` name classes by their places in `labels`; `wrong` counts all mistakes.
    """

    subject: Subject
    labels: tuple[str, ...]
    pictures: int
    wrong: int
    temperature: float
    accuracy: Share
    first_five: Share | None
    macro_precision: float | None
    macro_recall: float | None
    macro_f1: float | None
    before: Scores
    after: Scores
    classes: tuple[ClassFigures, ...]
    confusion: Confusion
    reliability_before: tuple[Bin, ...]
    reliability_after: tuple[Bin, ...]
    coverage: tuple[Point, ...]
    suggestions: tuple[Suggestion, ...]
    mistakes: tuple[Mistake, ...]

    def as_dict(self) -> dict[str, Any]:
        """Built-in types alone, as `evaluation.json` has them."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Evaluation:
        """The inverse of `as_dict`, also after JSON; raises `DataError` for another layout."""
        if content.get("format") != FORMAT:
            raise DataError(f"evaluation.json: format is {content.get('format')!r}; expected {FORMAT}: evaluate again.")
        values = {name: _READERS.get(name, _as_is)(value) for name, value in content.items() if name != "format"}
        return cls(**values)


def evaluate(
    probabilities: NDArray[np.floating], classes: NDArray[np.int64], labels: Sequence[str], temperature: float = 1.0, *,
    subject: Subject, names: Sequence[str] | None = None, pixels: NDArray[np.uint8] | None = None,
) -> Evaluation:
    """Measure a model.

    Args:
        probabilities: (N, C) as the network gives them, before the temperature.
        classes: int64 (N,), places of the true classes in `labels`; not every class must occur.
        labels: C names.
        temperature: what serving divides the logits by.
        subject: what is measured.
        names: of the pictures; their numbers without it.
        pixels: uint8 (N, S, S, 1 or 3), for thumbnails of mistakes.

    Raises:
        DataError: no pictures, shapes that do not belong together, or values that are no probabilities.
    """
    _check(probabilities, classes, labels)
    calibrated = calibrate(probabilities, temperature)
    answers = calibrated.argmax(axis=1).astype(np.int64)
    is_right, confidence = answers == classes, as_served(calibrated.max(axis=1))
    confusion = confusion_of(classes, answers, len(labels))
    by_class = class_figures(tuple(labels), confusion)
    right = int(is_right.sum())
    return Evaluation(
        subject=subject, labels=tuple(labels), pictures=len(classes), wrong=len(classes) - right,
        temperature=float(temperature), accuracy=share(right, len(classes)),
        first_five=_first_five(calibrated, classes), macro_precision=mean([one.precision for one in by_class]),
        macro_recall=mean([one.recall for one in by_class]), macro_f1=mean([one.f1 for one in by_class]),
        before=scores(probabilities, classes), after=scores(calibrated, classes), classes=by_class, confusion=confusion,
        reliability_before=reliability(probabilities, classes), reliability_after=reliability(calibrated, classes),
        coverage=coverage(confidence, is_right), suggestions=suggestions(confidence, is_right),
        mistakes=worst(calibrated, classes, names or [f"picture {row}" for row in range(len(classes))], pixels),
    )


def _check(probabilities: NDArray[np.floating], classes: NDArray[np.int64], labels: Sequence[str]) -> None:
    if probabilities.shape != (len(classes), len(labels)) or not len(classes):
        raise DataError(f"expected probabilities ({len(classes)}, {len(labels)}) of at least one picture, received"
                        f" {probabilities.shape}.")
    if classes.min() < 0 or classes.max() >= len(labels):
        raise DataError(f"classes are {classes.min()} to {classes.max()}; expected places in {len(labels)} labels.")
    if not (np.isfinite(probabilities).all() and (probabilities >= 0).all() and probabilities.any(axis=1).all()):
        raise DataError("the model answered with values that are no probabilities; check its last layer.")


def _first_five(probabilities: NDArray[np.floating], classes: NDArray[np.int64]) -> Share | None:
    if probabilities.shape[1] <= _FIRST:
        return None
    of_truth = probabilities[np.arange(len(classes)), classes]
    return share(int(((probabilities > of_truth[:, None]).sum(axis=1) < _FIRST).sum()), len(classes))


def _as_is(value: Any) -> Any:
    return value


def _share(value: Mapping[str, Any] | None) -> Share | None:
    return None if value is None else Share(**value)


def _class(value: Mapping[str, Any]) -> ClassFigures:
    return ClassFigures(**{**value, **{name: Share(**value[name]) for name in ("precision", "recall", "f1")}})


def _bins(values: Sequence[Mapping[str, Any]]) -> tuple[Bin, ...]:
    return tuple(Bin(**{**value, "accuracy": Share(**value["accuracy"])}) for value in values)


def _point(value: Mapping[str, Any]) -> Point:
    return Point(**{**value, "accuracy": Share(**value["accuracy"])})


_READERS: dict[str, Any] = {
    "subject": lambda value: Subject(**value),
    "labels": tuple,
    "accuracy": _share, "first_five": _share,
    "before": lambda value: Scores(**value), "after": lambda value: Scores(**value),
    "classes": lambda values: tuple(map(_class, values)),
    "confusion": lambda values: tuple((truth, answer, count) for truth, answer, count in values),
    "reliability_before": _bins, "reliability_after": _bins,
    "coverage": lambda values: tuple(map(_point, values)),
    "suggestions": lambda values: tuple(
        Suggestion(value["target"], None if value["point"] is None else _point(value["point"])) for value in values),
    "mistakes": lambda values: tuple(Mistake(**value) for value in values),
}
"""Field -> what makes its value of what JSON has."""
