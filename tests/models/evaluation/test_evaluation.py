"""`evaluate` against scikit-learn, against what was planted, and at the ends of what can be."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys

import numpy as np
import pytest
from measured import LABELS, SUBJECT, certain, drawn, measured, softmax
from PIL import Image
from sklearn import metrics

from models.calibration import calibrate, expected_calibration_error
from models.errors import DataError
from models.evaluation.evaluation import Evaluation, evaluate
from models.evaluation.mistakes import MOST, SHOWN, thumbnail
from models.evaluation.per_class import matrix, share


def test_class_figures_are_scikit_learns() -> None:
    """Precision, recall, F1 and support of every class, and the confusion matrix."""
    true, classes = drawn(600, 7)
    found = evaluate(true, classes, [f"c{n}" for n in range(7)], subject=SUBJECT)
    answers = true.argmax(axis=1)
    np.testing.assert_array_equal(matrix(found.confusion, 7), metrics.confusion_matrix(classes, answers))
    oracle = np.array(metrics.precision_recall_fscore_support(classes, answers))
    ours = np.array([[one.precision.value, one.recall.value, one.f1.value, one.pictures] for one in found.classes]).T
    np.testing.assert_allclose(ours.astype(float), oracle, atol=1e-6)
    macro = metrics.precision_recall_fscore_support(classes, answers, average="macro")[:3]
    assert (found.macro_precision, found.macro_recall, found.macro_f1) == pytest.approx(macro, abs=1e-6)


def test_scores_are_scikit_learns() -> None:
    """Log-loss, Brier score, accuracy, and the truth among the first five."""
    true, classes = drawn(600, 7)
    found = evaluate(true, classes, [f"c{n}" for n in range(7)], subject=SUBJECT)
    assert found.before.log_loss == pytest.approx(metrics.log_loss(classes, true), abs=1e-6)
    each = [metrics.brier_score_loss(classes == label, true[:, label]) for label in range(7)]
    assert found.before.brier == pytest.approx(sum(each), abs=1e-6)
    assert found.accuracy.value == pytest.approx(metrics.accuracy_score(classes, true.argmax(axis=1)), abs=1e-6)
    assert found.first_five is not None
    assert found.first_five.value == pytest.approx(metrics.top_k_accuracy_score(classes, true, k=5), abs=1e-6)


def test_a_planted_temperature_is_undone() -> None:
    """Logits doubled make a network too sure; a temperature of 2 brings the calibration error down to chance."""
    true, classes = drawn(4000, 5)
    found = evaluate(softmax(2 * np.log(true)), classes, list("abcde"), 2.0, subject=SUBJECT)
    assert found.before.calibration_error > 0.1
    assert found.after.calibration_error < 0.025
    assert found.after.log_loss < found.before.log_loss
    assert found.after.brier < found.before.brier


def test_the_bins_are_those_of_the_calibration_error() -> None:
    """The error is the mean distance of the bins of the diagram, by their pictures."""
    true, classes = drawn(500, 4)
    found = evaluate(true, classes, LABELS, 1.7, subject=SUBJECT)
    for bins, scores, answers in ((found.reliability_before, found.before, true),
                                  (found.reliability_after, found.after, calibrate(true, 1.7))):
        gaps = sum(one.pictures * abs(one.confidence - (one.accuracy.value or 0)) for one in bins) / 500
        assert gaps == pytest.approx(scores.calibration_error, abs=1e-5)
        assert scores.calibration_error == pytest.approx(expected_calibration_error(answers, classes), abs=1e-6)
        assert sum(one.pictures for one in bins) == 500


def test_the_interval_of_f1_holds_what_it_promises() -> None:
    """Of 1,500 tests of 120 pictures, the interval of a class's F1 has the true one in about 95 of 100."""
    random = np.random.default_rng(5)
    cells = np.array([0.4, 0.1, 0.07, 0.43])  # right, missed, wrongly named, neither
    true = 2 * cells[0] / (2 * cells[0] + cells[1] + cells[2])
    held = []
    for right, missed, named, rest in random.multinomial(120, cells, 1500):
        classes = [0] * (right + missed) + [1] * (named + rest)
        answers = [0] * right + [1] * missed + [0] * named + [1] * rest
        f1 = _f1(answers, classes)
        held.append(f1[0] <= true <= f1[1])
    assert 0.93 < np.mean(held) < 0.975


def _f1(answers: list[int], classes: list[int]) -> tuple[float, float]:
    from models.evaluation.per_class import class_figures, confusion_of

    confusion = confusion_of(np.array(classes, np.int64), np.array(answers, np.int64), 2)
    f1 = class_figures(("a", "b"), confusion)[0].f1
    return f1.low, f1.high


def test_it_survives_json() -> None:
    """`as_dict` is built-in types; JSON and back is the same value."""
    found = measured(temperature=1.3)
    assert Evaluation.from_dict(json.loads(json.dumps(found.as_dict(), allow_nan=False))) == found


def test_another_layout_is_refused() -> None:
    """A later version's file is not guessed at."""
    with pytest.raises(DataError, match="format is 2; expected 1"):
        Evaluation.from_dict(measured().as_dict() | {"format": 2})


def test_a_perfect_model_needs_nobody() -> None:
    """All right: no mistakes, and the threshold is 0."""
    found = certain([0, 1, 2] * 40, [0, 1, 2] * 40)
    assert (found.accuracy.value, found.wrong, found.mistakes, found.macro_f1) == (1.0, 0, (), 1.0)
    assert [one.point.threshold for one in found.suggestions if one.point] == [0.0, 0.0]


def test_a_hopeless_model_has_no_threshold() -> None:
    """All wrong and sure of it: no threshold helps, F1 is 0."""
    found = certain([1, 2, 0] * 40, [0, 1, 2] * 40)
    assert (found.accuracy.value, found.wrong, found.macro_f1) == (0.0, 120, 0.0)
    assert [one.point for one in found.suggestions] == [None, None]
    assert found.after.calibration_error == 1.0


def test_a_class_that_is_not_in_the_test_is_unknown() -> None:
    """No recall of it, and no zero that would lower the mean; named by no answer, it has no precision either."""
    found = certain([0, 0, 1, 1], [0, 0, 1, 0])
    unknown = found.classes[2]
    assert (unknown.pictures, unknown.recall.value, unknown.precision.value, unknown.f1.value) == (0, None, None, None)
    assert found.macro_recall == pytest.approx((2 / 3 + 1) / 2, abs=1e-6)


def test_a_suggested_threshold_does_what_it_says() -> None:
    """`confidence < threshold`, on confidences as they are served, leaves the pictures and the accuracy it promises."""
    true, classes = drawn(3000, 6)
    found = evaluate(true, classes, list("abcdef"), 0.8, subject=SUBJECT)
    calibrated = calibrate(true, 0.8)
    served = np.round(calibrated.max(axis=1).astype(np.float16).astype(float), 6)
    for one in found.suggestions:
        assert one.point is not None
        alone = ~(served < one.point.threshold)
        right = (calibrated.argmax(axis=1) == classes)[alone]
        assert (int(alone.sum()), share(int(right.sum()), len(right))) == (one.point.pictures, one.point.accuracy)
        assert right.mean() >= one.target


def test_coverage_ends_with_all_pictures() -> None:
    """The last point is the accuracy itself; thresholds fall, and equal confidences are not parted."""
    found = measured()
    assert found.coverage[-1].pictures == 400
    assert (found.coverage[-1].threshold, found.coverage[-1].accuracy) == (0.0, found.accuracy)
    thresholds = [point.threshold for point in found.coverage]
    assert thresholds == sorted(set(thresholds), reverse=True)
    assert len(certain([0] * 9, [0] * 9).coverage) == 1


def test_the_worst_mistake_is_first() -> None:
    """Planted: picture 3 is sure and wrong, picture 1 less so; the rank of the truth is counted."""
    rows = np.array([[0.8, 0.1, 0.1], [0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.05, 0.05, 0.9]])
    found = evaluate(rows, np.array([0, 2, 1, 0]), list("abc"), subject=SUBJECT, names=["p", "q", "r", "s"])
    said = [(one.picture, one.truth, one.answer, one.rank) for one in found.mistakes]
    assert said == [("s", 0, 2, 2), ("q", 2, 0, 3)]


def test_mistakes_are_bounded() -> None:
    """The first have thumbnails, and a file of a million is never made."""
    count = MOST + 5
    found = evaluate(np.tile([[0.9, 0.1]], (count, 1)), np.ones(count, np.int64), ["a", "b"], subject=SUBJECT,
                     pixels=np.zeros((count, 8, 8, 3), np.uint8))
    assert (len(found.mistakes), found.wrong) == (MOST, count)
    assert [bool(one.thumbnail) for one in found.mistakes[:SHOWN + 1]] == [True] * SHOWN + [False]


@pytest.mark.parametrize(("shape", "kind", "side"), [
    ((28, 28, 1), "PNG", 28), ((64, 64, 3), "PNG", 64), ((96, 96, 3), "JPEG", 96), ((224, 224, 1), "JPEG", 128),
])
def test_thumbnails_are_small_and_true(shape: tuple[int, int, int], kind: str, side: int) -> None:
    """Small pictures pixel by pixel, large ones as JPEG of 128 pixels at most."""
    pixels = np.full(shape, 100, np.uint8)
    head, _, data = thumbnail(pixels).partition(",")
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert (head, image.format, image.size) == (f"data:image/{kind.lower()};base64", kind, (side, side))
        assert abs(int(np.asarray(image).min()) - 100) <= 2
    assert len(data) < 8000


@pytest.mark.parametrize(("rows", "classes", "expected"), [
    (np.zeros((0, 2)), [], "of at least one picture"),
    (np.full((2, 3), 0.3), [0, 1], r"expected probabilities \(2, 2\)"),
    (np.full((2, 2), np.nan), [0, 1], "no probabilities"),
    (np.array([[0.5, 0.5], [0.0, 0.0]]), [0, 1], "no probabilities"),
    (np.full((2, 2), 0.5), [0, 2], "classes are 0 to 2"),
    (np.full((2, 2), 0.5), [-1, 0], "classes are -1 to 0"),
])
def test_what_is_no_measurement_is_refused(rows: np.ndarray, classes: list[int], expected: str) -> None:
    """In one sentence, before anything is computed."""
    with pytest.raises(DataError, match=expected):
        evaluate(rows, np.array(classes, np.int64), ["a", "b"], subject=SUBJECT)


def test_the_package_needs_no_keras() -> None:
    """Evaluating and making the page load neither Keras nor TensorFlow, also through judging and training's parts."""
    code = ("import sys, models.evaluation.files, models.evaluation.judging, server.evaluate, server.models_cli;"
            "print([m for m in ('keras', 'tensorflow', 'onnx') if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
