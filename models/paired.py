"""Whether one version is right more often than another on the same pictures, or only by chance.

Four counts enter: pictures that both, only one, only the other, and neither has right. Only where they differ tells
anything (McNemar 1947).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_Z_95 = 1.959964  # the normal distribution's 97.5 % point
_ADDED = 0.5  # to each of the four counts (Agresti and Min 2005, "Wald+2"): else no difference had no width


@dataclass(frozen=True, slots=True)
class Paired:
    """Pictures by who has them right: both, only A, only B, neither."""

    both: int
    only_a: int
    only_b: int
    neither: int

    @property
    def count(self) -> int:
        """How many pictures there are."""
        return self.both + self.only_a + self.only_b + self.neither

    @property
    def accuracy_a(self) -> float:
        """The share that A has right, 0..1."""
        return (self.both + self.only_a) / self.count

    @property
    def accuracy_b(self) -> float:
        """The share that B has right, 0..1."""
        return (self.both + self.only_b) / self.count

    @property
    def difference(self) -> float:
        """B's accuracy minus A's, -1..1."""
        return (self.only_b - self.only_a) / self.count

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the difference (Agresti and Min 2005, section 3), within -1..1."""
        count, a, b = self.count + 4 * _ADDED, self.only_a + _ADDED, self.only_b + _ADDED
        middle = (b - a) / count
        half = _Z_95 * math.sqrt(a + b - (b - a) ** 2 / count) / count
        return max(-1.0, middle - half), min(1.0, middle + half)

    @property
    def p_value(self) -> float:
        """McNemar's exact test: how likely chance alone makes them differ that much, 0..1; 1 where they do not."""
        from scipy.stats import binomtest

        differing = self.only_a + self.only_b
        return float(binomtest(self.only_a, differing).pvalue) if differing else 1.0
