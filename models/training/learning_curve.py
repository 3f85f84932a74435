"""What more labels would bring: accuracy at growing subsets, and the line through them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Point:
    """An error rate 0..1 (share of `validated` pictures) after training on `pictures`."""

    pictures: int
    error: float
    validated: int


@dataclass(frozen=True, slots=True)
class Curve:
    """error = scale * pictures ** -exponent through points of one network (Hestness et al. 2017, "Deep Learning Scaling
    is Predictable, Empirically"); `points` by growing size."""

    network: str
    points: tuple[Point, ...]
    exponent: float
    scale: float

    def error_at(self, pictures: int) -> float:
        """The error rate that the line has there, 0..1."""
        return float(min(1.0, self.scale * pictures ** -self.exponent))

    def sentence(self, pictures: int) -> str:
        """What twice as many labelled pictures as `pictures` would bring, by this line."""
        now, twice = self.error_at(pictures), self.error_at(2 * pictures)
        if self.exponent < 0.02:
            return f"more pictures bring little: with {self.network} the error hardly falls as they grow in number"
        return (f"twice as many labelled pictures would lower the error by about {1 - twice / max(now, 1e-9):.0%}"
                f" (with {self.network}: {', '.join(f'{p.pictures:,} -> {p.error:.1%}' for p in self.points)})")


def fit(network: str, points: Sequence[Point]) -> Curve | None:
    """The line through two points or more, by least squares of the logarithms; None for fewer.

    An error of none counts as half a picture: its logarithm would be infinite.
    """
    kept = sorted(points, key=lambda point: point.pictures)
    if len({point.pictures for point in kept}) < 2:
        return None
    sizes = np.log([point.pictures for point in kept])
    errors = np.log([max(point.error, 0.5 / point.validated) for point in kept])
    slope, offset = np.polyfit(sizes, errors, 1)
    return Curve(network, tuple(kept), max(0.0, float(-slope)), math.exp(float(offset)) if slope < 0 else
                 math.exp(float(errors.mean())))
