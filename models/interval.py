"""How sure a share is that was counted on few pictures."""

from __future__ import annotations

import math


def wilson(correct: int, count: int, z: float = 1.959964) -> tuple[float, float]:
    """The 95 % interval 0..1 of a share (Wilson 1927): unlike the usual one it is right for few pictures and near 1."""
    if count == 0:
        return 0.0, 1.0
    share = correct / count
    middle = share + z * z / (2 * count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    total = 1 + z * z / count
    return max(0.0, (middle - half) / total), min(1.0, (middle + half) / total)
