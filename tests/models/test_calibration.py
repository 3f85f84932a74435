"""Temperature scaling against formulas written out by hand and against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from models.calibration import calibrate, expected_calibration_error, fit_temperature, negative_log_likelihood

logits = hnp.arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(2, 6)), elements=st.floats(-20, 20))
temperatures = st.floats(0.1, 10)


def softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The textbook formula."""
    raised = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


@given(logits, temperatures)
def test_calibration_is_the_softmax_of_scaled_logits(values: NDArray[np.float64], temperature: float) -> None:
    """softmax(log softmax(z) / T) equals softmax(z / T)."""
    expected = softmax(values / temperature)
    np.testing.assert_allclose(calibrate(softmax(values), temperature), expected, atol=1e-6)


@given(logits, temperatures)
def test_rows_sum_to_one_and_keep_their_winner(values: NDArray[np.float64], temperature: float) -> None:
    """Also at float32, and never a number that is none."""
    calibrated = calibrate(softmax(values).astype(np.float32), temperature)
    assert calibrated.dtype == np.float32
    np.testing.assert_allclose(calibrated.sum(axis=1), 1, atol=1e-5)
    winners = softmax(values).astype(np.float32).argmax(axis=1)
    np.testing.assert_array_equal(calibrated[np.arange(len(values)), winners], calibrated.max(axis=1))


def test_a_certain_answer_stays_certain() -> None:
    """Zeros stay zeros; there is no logarithm of zero."""
    np.testing.assert_array_equal(calibrate(np.array([[1.0, 0.0]], np.float32), 2.0), [[1, 0]])


def test_the_fit_equals_scipys() -> None:
    """Ternary search and `scipy.optimize` find the same temperature on overconfident answers."""
    optimize = pytest.importorskip("scipy.optimize")
    random = np.random.default_rng(3)
    values = random.normal(size=(500, 5)) * 4
    classes = np.array([random.choice(5, p=row) for row in softmax(values / 2.5)])
    answers = softmax(values)

    def loss(log_temperature: float) -> float:
        return negative_log_likelihood(softmax(values / np.exp(log_temperature)), classes)

    oracle = optimize.minimize_scalar(loss, bounds=(-3, 3), method="bounded")
    fitted = fit_temperature(answers, classes)
    assert fitted == pytest.approx(np.exp(oracle.x), rel=1e-2)
    assert fitted == pytest.approx(2.5, rel=0.2)


@pytest.mark.parametrize("pictures", [20, 150, 5000])
def test_confidence_where_nothing_is_wrong_is_what_so_few_pictures_can_show(pictures: int) -> None:
    """Equal answers, all of them right: confident to one in so many pictures and two, not wholly."""
    answers = np.tile([0.9, 0.05, 0.05], (pictures, 1))
    confidence = calibrate(answers, fit_temperature(answers, np.zeros(pictures, np.int64)))[0, 0]
    assert 1 - confidence == pytest.approx(1 / (pictures + 2), rel=0.02)


def test_log_likelihood_by_hand() -> None:
    """Mean of -log p of the true class."""
    answers = np.array([[0.5, 0.5], [0.9, 0.1]])
    assert negative_log_likelihood(answers, np.array([0, 1])) == pytest.approx(-(np.log(0.5) + np.log(0.1)) / 2)


def test_calibration_error_by_hand() -> None:
    """Two bins: 0.95 confident and half right, 0.55 confident and right."""
    answers = np.array([[0.95, 0.05], [0.95, 0.05], [0.55, 0.45], [0.55, 0.45]])
    error = expected_calibration_error(answers, np.array([0, 1, 0, 0]), bins=10)
    assert error == pytest.approx(0.5 * 0.45 + 0.5 * 0.45)


def test_a_temperature_of_zero_is_refused() -> None:
    """It would divide by zero."""
    with pytest.raises(ValueError, match="temperature is 0; expected a number above 0"):
        calibrate(np.array([[0.5, 0.5]]), 0)
