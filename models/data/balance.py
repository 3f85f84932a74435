"""How unequal the classes are, and weights to train on them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

_UNEQUAL = 3.0  # times as many pictures in the largest class as in the smallest, from which it is worth a sentence


def class_weights(classes: NDArray[np.int64], count: int, *, most: float = 10.0) -> NDArray[np.float64]:
    """A weight for each of `count` classes: inversely proportional to its pictures, 1 on average over the pictures.

    The formula is scikit-learn's `class_weight="balanced"`, n / (classes * pictures of the class), bounded to
    `most` times the smallest weight, so that one odd picture of a tiny class does not steer the training.
    """
    pictures = np.bincount(classes, minlength=count)
    if not pictures.all():
        raise ValueError(f"classes {np.flatnonzero(pictures == 0).tolist()} have no pictures")
    weights = np.minimum(pictures.max() / pictures, most)
    scaled: NDArray[np.float64] = weights * len(classes) / (weights * pictures).sum()
    return scaled


def are_unequal(counts: Mapping[str, int]) -> bool:
    """Whether the largest class has so many more pictures than the smallest that it is worth a sentence."""
    return max(counts.values()) >= _UNEQUAL * min(counts.values())


def imbalance(counts: Mapping[str, int]) -> str:
    """One sentence about pictures per class: equal enough, or how unequal and what that means."""
    small, large = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    fewest, most = counts[small], counts[large]
    said = f"{fewest:,} pictures in every class" if fewest == most else (
        f"from {fewest:,} pictures ({small}) to {most:,} ({large}) a class")
    if not are_unequal(counts):
        return f"Classes are about equal: {said}."
    share = most / sum(counts.values())
    return (f"Classes are unequal: {said}; always answering {large} would be right in {share:.0%}, so look at the "
            "accuracy of each class.")
