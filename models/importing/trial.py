"""Every plausible scaling tried on pictures whose classes are known: the table, the choice, and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.calibration import negative_log_likelihood
from models.importing.scalings import Scaling

_BATCH = 16  # pictures as numbers at once: 400 of 600 pixels a side would be 1.7 GB

Answer = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Scaled pixels float32 (N, S, S, C) -> probabilities float32 (N, labels)."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """How one scaling did: the share that is right, which pictures those are, and the log loss."""

    scaling: Scaling
    is_right: NDArray[np.bool_]
    log_loss: float

    @property
    def accuracy(self) -> float:
        """0..1."""
        return float(self.is_right.mean())


@dataclass(frozen=True, slots=True)
class Trial:
    """The outcomes, the best first."""

    outcomes: tuple[Outcome, ...]
    classes: int

    @property
    def best(self) -> Outcome:
        """The most right answers; of equals the least log loss."""
        return self.outcomes[0]

    @property
    def rivals(self) -> tuple[Outcome, ...]:
        """The others whose difference from the best is within noise."""
        return tuple(one for one in self.outcomes[1:] if not is_clearly_better(self.best.is_right, one.is_right))

    def table(self) -> list[str]:
        """One line for each scaling, the best first."""
        width = max(len(one.scaling.title) for one in self.outcomes)
        names = max(len(one.scaling.name) for one in self.outcomes)
        head = f"{'PIXELS'.ljust(width)}  {'--scale'.ljust(names)}  ACCURACY"
        rows = [f"{one.scaling.title.ljust(width)}  {one.scaling.name.ljust(names)}  {one.accuracy:8.1%}"
                for one in self.outcomes]
        return [head, *rows]

    def warnings(self) -> list[str]:
        """What the user should doubt."""
        said = []
        pictures = len(self.best.is_right)
        if self.rivals:
            rivals = ", ".join(f"{one.scaling.title} ({one.accuracy:.1%})" for one in self.rivals)
            said.append(f"{self.best.scaling.title} and {rivals} are within noise on {pictures} pictures: "
                        "give --check more pictures, or --scale where you know it.")
        if self.best.accuracy < 2 / self.classes and self.best.accuracy < 0.9:
            said.append(f"The best scaling is right on {self.best.accuracy:.1%} of {pictures} pictures, hardly more "
                        f"than guessing among {self.classes} labels: look at the order of the labels.")
        return said

    def doubts_about(self, scaling: Scaling) -> list[str]:
        """What speaks against a scaling that the user named."""
        if scaling in [one.scaling for one in (self.best, *self.rivals)]:
            return []
        named = next(one for one in self.outcomes if one.scaling == scaling)
        best = f"{self.best.scaling.name} on {self.best.accuracy:.1%} of {len(self.best.is_right)} pictures"
        return [f"--scale {scaling.name} is right on {named.accuracy:.1%}, {best}."]

    def about(self) -> dict[str, Any]:
        """For `about` of model.json."""
        tried = {one.scaling.name: round(one.accuracy, 5) for one in self.outcomes}
        return {"pictures": len(self.best.is_right), "tried": tried,
                "within_noise": [one.scaling.name for one in self.rivals]}


def try_scalings(answer: Answer, rows: Mapping[str, Scaling], pixels: NDArray[np.uint8],
                 classes: NDArray[np.int64], labels: int) -> Trial:
    """Ask for all pictures by every scaling."""
    outcomes = []
    for scaling in rows.values():
        parts = [answer(scaling(pixels[start:start + _BATCH])) for start in range(0, len(pixels), _BATCH)]
        probabilities = np.concatenate(parts)
        is_right = probabilities.argmax(axis=1) == classes
        outcomes.append(Outcome(scaling, is_right, negative_log_likelihood(probabilities, classes)))
    return Trial(tuple(sorted(outcomes, key=lambda one: (-one.accuracy, one.log_loss))), labels)


def is_clearly_better(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> bool:
    """Whether two standard errors part them: a sign test on the pictures that only one gets right (McNemar 1947)."""
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    return only_first - only_second > 2 * math.sqrt(only_first + only_second)
