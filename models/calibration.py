"""Making probabilities mean what they say: temperature scaling (Guo et al. 2017, "On Calibration of Modern Neural
Networks", section 4.2), fitted on validation pictures and applied to every answer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LOG_LIMITS = (-3.0, 3.0)  # temperatures from 0.05 to 20; a fit beyond is a mistake in the data
_LOG_PRECISION = 1e-4  # of the logarithm: finer than any validation set can tell
_SMALLEST = 1e-12  # a class the network excludes altogether must not make the loss infinite


def calibrate(probabilities: NDArray[np.floating], temperature: float) -> NDArray[np.float32]:
    """softmax(log p / T) by row, in the numerically stable form (p / max p) ** (1 / T).

    Args:
        probabilities: (N, C), rows in 0..1 with a sum of about 1; zeros stay zeros.
        temperature: above 0; 1 only normalises, above 1 softens, below 1 sharpens. The order of classes never changes.

    Returns:
        float32 (N, C), row sums 1.
    """
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; expected a number above 0.")
    exact = probabilities.astype(np.float64)
    raised = (exact / exact.max(axis=1, keepdims=True)) ** (1.0 / temperature)
    calibrated: NDArray[np.float32] = (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)
    return calibrated


def fit_temperature(probabilities: NDArray[np.floating], classes: NDArray[np.integer]) -> float:
    """The temperature with the least cross-entropy to softened truth, by ternary search: it is convex in 1/T.

    The truth is 1 - e for the true class and e among the others, e = 1/(N + 2), as Platt 1999 ("Probabilistic Outputs
    for Support Vector Machines", section 2.2) has it for two: where every picture is answered rightly, nothing but that
    keeps the likeliest temperature from 0, at which every confidence is 1.

    Args:
        probabilities: (N, C) of pictures the network was not trained on.
        classes: (N,) true class indices.
    """
    softness = 1.0 / (len(classes) + 2)

    def loss(log_temperature: float) -> float:
        calibrated = calibrate(probabilities, float(np.exp(log_temperature)))
        of_all = float(-np.log(np.maximum(calibrated.astype(np.float64), _SMALLEST)).sum(axis=1).mean())
        of_truth = negative_log_likelihood(calibrated, classes)
        others = int(calibrated.shape[1]) - 1
        return (1 - softness) * of_truth + softness * (of_all - of_truth) / others

    low, high = _LOG_LIMITS
    while high - low > _LOG_PRECISION:
        third = (high - low) / 3
        if loss(low + third) < loss(high - third):
            high -= third
        else:
            low += third
    return float(np.exp((low + high) / 2))


def negative_log_likelihood(probabilities: NDArray[np.floating], classes: NDArray[np.integer]) -> float:
    """Mean of -log p(true class), natural logarithm; (N, C) and (N,) in."""
    of_truth = probabilities[np.arange(len(classes)), classes].astype(np.float64)
    return float(-np.log(np.maximum(of_truth, _SMALLEST)).mean())


def expected_calibration_error(
    probabilities: NDArray[np.floating], classes: NDArray[np.integer], bins: int = 15
) -> float:
    """Mean distance 0..1 between confidence and accuracy over equal-width confidence bins (Guo et al. 2017, eq. 3)."""
    _, confidence, right = binned(probabilities, classes, bins)
    return float(np.abs(confidence - right).sum() / len(classes))


def binned(
    probabilities: NDArray[np.floating], classes: NDArray[np.integer], bins: int = 15
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """By equal-width bin of confidence: pictures, the sum of their confidences, and how many of them are right."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    is_right = (probabilities.argmax(axis=1) == classes).astype(np.float64)
    places = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    counts = np.bincount(places, minlength=bins).astype(np.int64)
    sums: list[NDArray[np.float64]] = [np.bincount(places, values, minlength=bins).astype(np.float64)
                                       for values in (confidence, is_right)]
    return counts, sums[0], sums[1]
