"""What the numbers at a network's end are: probabilities, scores before a softmax, or a single sigmoid.

Told by the last activation where it can be read, else by the answers themselves: rows of probabilities sum to 1.
"""

from __future__ import annotations

from enum import Enum

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError

_SUM_SLACK = 1e-2  # half-precision and quantised networks round their rows


class End(Enum):
    """What has to follow the network's own output."""

    PROBABILITIES = "probabilities as they are"
    SCORES = "scores: a softmax was added"
    SIGMOID = "one sigmoid: the second label's probability, the first has the rest"
    SCORE = "one score: a sigmoid was added; it is the second label's probability, the first has the rest"

    @property
    def is_single(self) -> bool:
        """Whether one output stands for two labels."""
        return self in (End.SIGMOID, End.SCORE)


def end_of(values: NDArray[np.floating], activation: str | None) -> End:
    """What `values` (N, C), the answers to some pictures, are.

    Args:
        values: the network's own outputs.
        activation: "softmax", "sigmoid" or "linear" where the network says it, else None.

    Raises:
        ModelError: values that are no numbers, or independent sigmoids.
    """
    if not np.isfinite(values).all():
        raise ModelError("The network answers with values that are not numbers; its file may be damaged.")
    is_fraction = bool((values >= 0).all() and (values <= 1 + _SUM_SLACK).all())
    if values.shape[1] == 1:
        is_sigmoid = activation == "sigmoid" or (activation is None and is_fraction)
        return End.SIGMOID if is_sigmoid else End.SCORE
    sums_to_one = bool(np.abs(values.sum(axis=1) - 1).max() < _SUM_SLACK)
    if activation == "softmax" or (is_fraction and sums_to_one):
        return End.PROBABILITIES
    if activation == "sigmoid" or (activation is None and is_fraction):
        raise ModelError(
            f"The network ends in {values.shape[1]} independent sigmoids (several labels may be true of one picture); "
            "Pixfield answers with one label: train it with a softmax at its end."
        )
    return End.SCORES


def finished(values: NDArray[np.floating], end: End) -> NDArray[np.float32]:
    """Probabilities float32 (N, labels) of the network's own outputs (N, C)."""
    exact = values.astype(np.float64)
    if end is End.SCORES:
        raised = np.exp(exact - exact.max(axis=1, keepdims=True))
        exact = raised / raised.sum(axis=1, keepdims=True)
    elif end is End.SCORE:
        exact = 0.5 * (1 + np.tanh(exact / 2))  # the sigmoid, without overflow
    if end.is_single:
        exact = np.concatenate([1 - exact, exact], axis=1)
    return exact.astype(np.float32)
