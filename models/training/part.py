"""Pictures with their classes: what training, validation and measuring take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """`pixels` uint8 (N, S, S, C) and `classes` int64 (N,)."""

    pixels: NDArray[np.uint8]
    classes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.classes)

    def take(self, rows: NDArray[np.int64]) -> Part:
        """Those rows."""
        return Part(self.pixels[rows], self.classes[rows])

    def subset(self, count: int, *, seed: int) -> Part:
        """`count` of them by chance, each class by its share, at least one of each; all of them where there are fewer.
        """
        if count >= len(self):
            return self
        random = np.random.default_rng(seed)
        rows: list[NDArray[np.int64]] = []
        for label in np.unique(self.classes):
            members = np.flatnonzero(self.classes == label)
            rows.append(random.permutation(members)[:max(1, round(count * len(members) / len(self)))])
        return self.take(np.sort(np.concatenate(rows)))
