"""What is reached without a network, in seconds: anything that is served must be better."""

from __future__ import annotations

import time
import warnings

import numpy as np
from numpy.typing import NDArray

from models.training.augmentation import smaller
from models.training.leaderboard import Row
from models.training.part import Part

_SIDE = 14  # pixels: 14 x 14 x 3 are 588 numbers, which a linear model learns from a few thousand pictures in seconds
_MOST = 5000
_ITERATIONS = 60  # the accuracy moves by a tenth of a per cent after that


def majority(training: Part, validation: Part) -> Row:
    """Always the class that most training pictures have."""
    most = int(np.bincount(training.classes).argmax())
    return Row(name="majority class", kind="baseline", correct=int((validation.classes == most).sum()),
               validated=len(validation), pictures=len(training), seconds=0.0)


def linear_probe(training: Part, validation: Part, *, seed: int) -> Row:
    """Logistic regression on the pixels of small copies."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    started = time.monotonic()
    part = training.subset(_MOST, seed=seed)
    inputs, mean, spread = _features(part.pixels)
    probe = LogisticRegression(C=0.01, max_iter=_ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is stopped early on purpose
        probe.fit((inputs - mean) / spread, part.classes)
    asked = (_features(validation.pixels)[0] - mean) / spread
    correct = int((probe.predict(asked) == validation.classes).sum())
    return Row(name="linear probe", kind="baseline", correct=correct, validated=len(validation), pictures=len(part),
               seconds=time.monotonic() - started)


def _features(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Pixels float32 (N, D), their mean and deviation (D,); a pixel that never changes counts as spread by one."""
    rows = smaller(pixels, min(_SIDE, pixels.shape[1])).reshape(len(pixels), -1).astype(np.float32)
    spread = rows.std(axis=0)
    return rows, rows.mean(axis=0), np.where(spread > 0, spread, np.float32(1.0))
