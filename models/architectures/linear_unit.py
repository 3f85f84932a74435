"""The smallest network there is: y = w x + b, fitted by gradient descent that is written out by hand.

The talk's first example finds y = 2x + 1 from points of that line. The loss is the mean squared error; its slopes are
dL/dw = 2 mean((w x + b - y) x) and dL/db = 2 mean(w x + b - y) (Goodfellow et al. 2016, "Deep Learning", 4.3, 5.1.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.errors import ModelError


@dataclass(frozen=True, slots=True)
class Place:
    """Where the descent is: weight and bias, and the loss there."""

    w: float
    b: float
    loss: float


def descend(
    x: Sequence[float],
    y: Sequence[float],
    *,
    learning_rate: float = 0.1,
    steps: int = 200,
    start: tuple[float, float] = (0.0, 0.0),
) -> tuple[Place, ...]:
    """Every place of the way down, the start first: `steps + 1` of them.

    Args:
        x: what goes in, N numbers.
        y: what should come out, as many.
        learning_rate: how far a step goes along the slope, above 0.
        steps: how many steps, 0 or more.
        start: (w, b) before the first step.

    Raises:
        ModelError: no points, points that do not match or are no numbers, or a learning rate that climbs instead.
    """
    inputs, targets = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if inputs.ndim != 1 or inputs.shape != targets.shape or not inputs.size:
        raise ModelError(f"x and y are as many numbers, at least one; received {inputs.shape} and {targets.shape}.")
    if not (np.isfinite(inputs).all() and np.isfinite(targets).all()):
        raise ModelError("x and y are finite numbers; received an infinite one or none.")
    if not learning_rate > 0 or steps < 0:  # not a number is refused too
        raise ModelError(f"Expected a learning_rate above 0 and steps from 0; received {learning_rate} and {steps}.")
    w, b = start
    path: list[Place] = []
    for step in range(steps + 1):
        with np.errstate(over="ignore", invalid="ignore"):  # what climbs out of all numbers is refused below
            error = w * inputs + b - targets  # (N,)
            path.append(Place(float(w), float(b), float((error**2).mean())))
        if not path[-1].loss <= _CLIMBED * (path[0].loss + 1):
            raise ModelError(f"After {step} steps the loss is {path[-1].loss:.3g}; take a learning_rate below"
                             f" {learning_rate:g}.")
        w, b = w - learning_rate * 2 * (error * inputs).mean(), b - learning_rate * 2 * error.mean()
    return tuple(path)


_CLIMBED = 1e6  # times the first loss: no descent, and not yet an overflow
