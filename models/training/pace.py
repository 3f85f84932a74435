"""How far a training is and how fast it goes, so that it ends in time whatever the machine does meanwhile.

The place 0..1 in the cycle of the learning rate is what counts, not the number of epochs: each epoch takes as large a
step towards 1 as the time that is left allows, so a training on a machine that slows down makes fewer epochs and still
ends with the small learning rates that make it good.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from models.training.recipe import Recipe


@dataclass(slots=True)
class Pace:
    """Where a training is: `epoch` epochs done, at `place` of the cycle, after `seconds`; it ends `within_s` seconds.

    `costs` are seconds of an epoch by side in pixels, the latest measured.
    """

    recipe: Recipe
    size: int
    within_s: float = math.inf
    epoch: int = 0
    place: float = 0.0
    seconds: float = 0.0
    costs: dict[int, float] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Whether the cycle is over."""
        return self.place >= 1.0

    @property
    def side(self) -> int:
        """The side of the pictures of the next epoch."""
        return self.recipe.side(self.size, self.place)

    def step(self) -> float:
        """How much of the cycle the next epoch takes: so that the planned epochs, or fewer in time, end at 1."""
        planned = max(1, self.recipe.epochs - self.epoch)
        left = min(float(planned), self.affordable())
        rounded = max(1, math.floor(left + 0.25))  # a quarter of an epoch is what a noisy estimate may be wrong by
        return (1.0 - self.place) / rounded

    def affordable(self) -> float:
        """Epochs that the time left pays for, at the measured cost."""
        if not self.costs or self.within_s == math.inf:
            return math.inf
        small = max(0.0, self.recipe.small - self.place) / max(1e-9, 1.0 - self.place)
        small_side = self.recipe.side(self.size, 0.0)
        cost = small * self.cost(small_side) + (1.0 - small) * self.cost(self.size)
        return max(0.0, self.within_s - self.seconds) / max(cost, 1e-9)

    def cost(self, side: int) -> float:
        """Seconds of an epoch at `side`: measured, else from the other side by the number of pixels."""
        if side in self.costs:
            return self.costs[side]
        known, seconds = next(iter(self.costs.items()))
        return seconds * (side / known) ** 2

    def left_s(self) -> float:
        """Seconds until the end at this pace; nan before the first epoch is measured."""
        if not self.costs:
            return math.nan
        epochs = round((1.0 - self.place) / self.step()) if not self.is_done else 0
        small = max(0.0, self.recipe.small - self.place) / max(1e-9, 1.0 - self.place)
        each = small * self.cost(self.recipe.side(self.size, 0.0)) + (1.0 - small) * self.cost(self.size)
        return epochs * each

    def advance(self, step: float, seconds: float) -> None:
        """An epoch is done."""
        self.costs[self.side] = seconds
        self.seconds += seconds
        self.epoch += 1
        self.place = min(1.0, self.place + step) if step < 1.0 - self.place - 1e-9 else 1.0
