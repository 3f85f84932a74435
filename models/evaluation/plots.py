"""The curves of the page: reliability, coverage, what more labels would bring, and the course of the training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from models.evaluation.chart import Plane, counts, percents
from models.evaluation.evaluation import Evaluation
from models.evaluation.trust import Bin, Suggestion

_TENTHS = [(place / 5, f"{place * 20}%") for place in range(6)]


def reliability_chart(bins: Sequence[Bin], title: str) -> str:
    """Accuracy over confidence, with whiskers; on the dashed line confidence is true. Bars are where pictures are."""
    plane = Plane(title, (0.0, 1.0), (0.0, 1.0), width=400, height=360)
    plane.axes(_TENTHS, _TENTHS, x_name="confidence", y_name="accuracy")
    pictures = sum(one.pictures for one in bins)
    for one in bins:
        plane.bar((one.low + 0.004, one.high - 0.004), (0.0, one.pictures / pictures), "mass",
                  f"{one.pictures:,} pictures ({one.pictures / pictures:.1%}) with a confidence of {one.low:.0%} to"
                  f" {one.high:.0%}")
    plane.line([(0, 0), (1, 1)], "ideal")
    for one in bins:
        plane.whisker(one.confidence, one.accuracy.low, one.accuracy.high, "whisker")
    plane.line([(one.confidence, one.accuracy.value or 0.0) for one in bins], "curve")
    for one in bins:
        plane.dot(one.confidence, one.accuracy.value or 0.0, "dot",
                  f"confidence {one.confidence:.1%}, accuracy {one.accuracy.value or 0:.1%} ({one.pictures:,}"
                  " pictures)")
    return plane.svg()


def coverage_chart(found: Evaluation) -> str:
    """Accuracy of what the model answers alone over the share it answers, with the suggested thresholds."""
    points = found.coverage
    lowest = min(point.accuracy.value or 0.0 for point in points)
    low = max(0.0, min(0.98, lowest - 0.5 * (1 - lowest)))
    plane = Plane("Coverage against accuracy", (0.0, 1.0), (low, 1.0), width=560, height=340)
    plane.axes(_TENTHS, percents(low, 1.0), x_name="share of pictures the model answers alone",
               y_name="accuracy of those")
    plane.band([(point.coverage, max(low, point.accuracy.low)) for point in points],
               [(point.coverage, point.accuracy.high) for point in points], "band")
    plane.line([(point.coverage, point.accuracy.value or 0.0) for point in points], "curve")
    for point in points[:: max(1, len(points) // 40)]:
        plane.dot(point.coverage, point.accuracy.value or 0.0, "touch",
                  f"threshold {point.threshold:.6g}: {point.coverage:.1%} answered, {point.accuracy.value or 0:.2%}"
                  " right", 6)
    for one in found.suggestions:
        _mark(plane, one)
    return plane.svg()


def _mark(plane: Plane, one: Suggestion) -> None:
    """The wanted accuracy as a line and where it is reached; nothing where all pictures reach it, or none."""
    if one.point is None or one.point.accuracy.value is None or one.point.threshold == 0:
        return
    plane.line([(0, one.target), (1, one.target)], "target")
    plane.dot(one.point.coverage, one.point.accuracy.value, "mark",
              f"threshold {one.point.threshold:.6g}: {one.point.coverage:.1%} answered", 5)
    is_right = one.point.coverage > 0.5
    plane.note(one.point.coverage, one.point.accuracy.value,
               f"{one.target:.0%}: {one.point.coverage:.1%}",
               f"note {'end' if is_right else 'start'}", move=(-9 if is_right else 9, 18))


def learning_chart(curve: Mapping[str, Any], trained_on: int) -> str:
    """The error over the number of labelled pictures, both logarithmic, and the line on to twice as many as there are.
    """
    points = [(point["pictures"], max(point["error"], 0.5 / point["validated"])) for point in curve["points"]]
    last = 2.0 * max(trained_on, *(pictures for pictures, _ in points))
    first = min(pictures for pictures, _ in points) / 1.3

    def fitted(pictures: float) -> float:
        return max(1e-6, min(1.0, float(curve["scale"] * pictures ** -curve["exponent"])))

    errors = [error for _, error in points] + [fitted(first), fitted(last)]
    plane = Plane("Learning curve", (first, last * 1.1), (min(errors) / 1.4, min(1.0, max(errors) * 1.4)), is_log=True)
    ticks = [(value, f"{value:.1%}".replace(".0%", "%")) for value in
             (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0) if plane.y[0] <= value <= plane.y[1]]
    plane.axes(counts(*plane.x), ticks, x_name="labelled pictures", y_name="error")
    plane.line([(first, fitted(first)), (last, fitted(last))], "ideal")
    for pictures, error in points:
        plane.dot(pictures, error, "dot", f"{pictures:,} pictures: error {error:.1%}")
    for pictures, name in ((trained_on, "now"), (2 * trained_on, "twice")):
        plane.dot(pictures, fitted(pictures), "mark", f"{pictures:,} pictures: {fitted(pictures):.1%} by the line")
        plane.note(pictures, fitted(pictures), name, "note end", move=(-6, 16))
    return plane.svg()


def history_chart(history: Sequence[Mapping[str, Any]]) -> str:
    """Accuracy by epoch: in training, and on validation pictures where they were looked at."""
    trained = [(float(epoch["number"]), float(epoch["accuracy"])) for epoch in history]
    validated = [(float(epoch["number"]), float(epoch["validation_accuracy"])) for epoch in history
                 if epoch["validation_accuracy"] is not None]
    lowest = min(value for _, value in trained + validated)
    plane = Plane("Course of the training", (trained[0][0] - 0.3, trained[-1][0] + 0.3), (max(0.0, lowest - 0.03), 1.0))
    step = max(1, round(len(trained) / 8))
    plane.axes([(x, f"{x:.0f}") for x, _ in trained[::step]], percents(*plane.y), x_name="epoch", y_name="accuracy")
    for points, style, dot, name in ((trained, "curve faint", "dot faint", "training"),
                                     (validated, "curve", "dot", "validation")):
        plane.line(points, style)
        for x, y in points:
            plane.dot(x, y, dot, f"epoch {x:.0f}, {name}: {y:.2%}", 2.5 if len(points) > 20 else 3.5)
    return plane.svg()
