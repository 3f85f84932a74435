"""Going on from weights that somebody else trained: first the new dense layer alone, then everything, gently.

Random weights at the end would send large gradients through all that was learned; so the rest stands still until they
are no longer random, and then moves at a tenth of the learning rate, its batch normalization as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from models.architectures.backbone import thaw
from models.training.choice import Choice
from models.training.loop import Epoch, Training
from models.training.material import Material
from models.training.unfinished import Unfinished

_HEAD_SHARE = 0.3  # of the time; a dense layer on features that stand still needs few epochs
_HEAD_EPOCHS = 20


@dataclass(frozen=True, slots=True)
class FineTuning:
    """The two stages of one training; `run` does what is left of them."""

    choice: Choice
    material: Material
    unfinished: Unfinished
    within_s: float
    say: Callable[[Epoch, float], None]

    def run(self) -> tuple[Any, list[Epoch]]:
        """The network, and the epochs of both stages."""
        recipe = replace(self.choice.recipe, small=0.0)
        head = self._training(self.choice.build, replace(recipe, epochs=min(recipe.epochs, _HEAD_EPOCHS)),
                              within_s=_HEAD_SHARE * self.within_s, stage="head")
        weights = head.run().get_weights()
        spent_s = sum(epoch.seconds for epoch in head.history)
        whole = self._training(self._thawed, replace(recipe, peak=recipe.peak / 10), stage="epoch",
                               within_s=self.within_s - spent_s)
        whole.start = weights
        model = whole.run()
        return model, [*head.history, *whole.history]

    def _training(self, build: Callable[[int], Any], recipe: Any, *, within_s: float, stage: str) -> Training:
        return Training(build, self.material.training, recipe, within_s=within_s, validation=self.material.validating,
                        checkpoint=self.unfinished.checkpoint(stage), precision=self.choice.precision, say=self.say)

    def _thawed(self, side: int) -> Any:
        model = self.choice.build(side)
        thaw(model)
        return model
