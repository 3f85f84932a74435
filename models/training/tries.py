"""The trained network within its time: one training, begun again calmer where it comes apart, and others where the time
pays for them.

A few hundred pictures are learnt long before the budget is spent, and which of many equal networks chance finds decides
about a picture in a hundred: what is left goes to other starts, and validation pictures say which was best.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.calibration import calibrate, fit_temperature, negative_log_likelihood
from models.errors import ModelError
from models.training.choice import Choice
from models.training.fine_tuning import FineTuning
from models.training.loop import DivergedError, Epoch, Training, predict
from models.training.material import Material
from models.training.unfinished import Unfinished

MOST = 3  # more of them choose by what validation pictures happen to be
_SLACK = 1.2  # a start may take so much longer than the one before it


@dataclass(frozen=True, slots=True, eq=False)
class Try:
    """A network from one start, its choice with that start's seed, what it says of the validation pictures (float32
    (N, C), before the temperature), the temperature that suits them, and their log-loss with it."""

    model: Any
    choice: Choice
    history: list[Epoch]
    validation: NDArray[np.float32]
    temperature: float
    log_loss: float

    @property
    def seconds(self) -> float:
        """What its epochs took."""
        return sum(epoch.seconds for epoch in self.history)

    def as_dict(self) -> dict[str, Any]:
        """What the card says of it."""
        return {"seed": self.choice.recipe.seed, "epochs": len(self.history), "seconds": round(self.seconds),
                "log_loss": round(self.log_loss, 5)}


@dataclass(frozen=True, slots=True)
class Trying:
    """What all tries have in common; `run` trains within the time."""

    material: Material
    unfinished: Unfinished
    say: Callable[[str], None]

    def run(self, choice: Choice, *, within_s: float, spent_s: float) -> Try:
        """The best of the tries that the time pays for, said in its choice.

        Args:
            choice: the network and its recipe.
            within_s: seconds for all of it.
            spent_s: seconds of the budget that are gone, to be kept with what is unfinished.

        Raises:
            ModelError: it comes apart however small the learning rate.
        """
        ends_at = time.monotonic() + within_s
        first = self._first(choice, within_s=within_s, spent_s=spent_s)
        tries = self._with_others(first, min(ends_at - time.monotonic(), within_s - first.seconds))
        best = min(tries, key=lambda one: one.log_loss)
        if len(tries) == 1:
            return best
        self.say(f"the start with seed {best.choice.recipe.seed} was best: validation log-loss "
                 + ", ".join(f"{one.log_loss:.4f}" for one in tries))
        return replace(best, choice=replace(best.choice, tries=tuple(one.as_dict() for one in tries)))

    def _with_others(self, first: Try, left_s: float) -> list[Try]:
        """The first and as many others as `left_s` seconds pay for."""
        tries = [first]
        while self._is_worth_another(tries, left_s):
            began = time.monotonic()
            another = self._another(first.choice, number=len(tries) + 1, within_s=left_s)
            if another is None:
                break
            tries.append(another)
            left_s -= max(another.seconds, time.monotonic() - began)
        return tries

    def _first(self, choice: Choice, *, within_s: float, spent_s: float) -> Try:
        """A training that comes apart begins again, calmer, in the time that is left."""
        began = time.monotonic()
        ends_at = began + within_s
        for attempts_left in (2, 1, 0):
            try:
                return self._attempt(choice, within_s=within_s, stage="epoch")
            except DivergedError as exc:
                if not attempts_left:
                    raise ModelError(f"{choice.architecture} cannot be trained on these pictures: {exc} at a learning"
                                     f" rate of {choice.recipe.peak:g}; choose another --architecture.") from exc
                within_s, choice = ends_at - time.monotonic(), replace(choice, recipe=choice.recipe.calmer())
                self.say(f"the training came apart ({exc}): beginning again with a learning rate of"
                         f" {choice.recipe.peak:g}")
                for stage in ("head", "epoch"):
                    self.unfinished.checkpoint(stage).remove()
                self.unfinished.write(choice, spent_s + time.monotonic() - began)
        raise AssertionError

    @staticmethod
    def _is_worth_another(tries: list[Try], left_s: float) -> bool:
        """From starts of chance alone: weights from elsewhere are the same each time."""
        choice = tries[0].choice
        is_chance = choice.start is None and not choice.is_fine_tuned
        return is_chance and len(tries) < MOST and left_s > _SLACK * max(one.seconds for one in tries)

    def _another(self, choice: Choice, *, number: int, within_s: float) -> Try | None:
        """From another seed; None where it comes apart, since there is one that did not."""
        recipe = replace(choice.recipe, seed=choice.recipe.seed + number - 1)
        self.say(f"time is left: start {number}, with seed {recipe.seed}")
        try:
            return self._attempt(replace(choice, recipe=recipe), within_s=within_s, stage=f"start-{number}")
        except DivergedError as exc:
            self.say(f"start {number} came apart ({exc})")
            return None

    def _attempt(self, choice: Choice, *, within_s: float, stage: str) -> Try:
        """One training: from a start of its own, or fine-tuned from weights."""

        def told(epoch: Epoch, left_s: float) -> None:
            self.say(_line(epoch, left_s))

        if choice.is_fine_tuned:
            model, history = FineTuning(choice, self.material, self.unfinished, within_s, told).run()
        else:
            training = Training(choice.build, self.material.training, choice.recipe,
                                validation=self.material.validating, within_s=within_s,
                                checkpoint=self.unfinished.checkpoint(stage), precision=choice.precision, say=told,
                                start=None if choice.start is None else choice.start.weights(choice.build))
            model, history = training.run(), training.history
        return self._judged(model, choice, history)

    def _judged(self, model: Any, choice: Choice, history: list[Epoch]) -> Try:
        part = self.material.validating
        answers = predict(model, part.pixels)
        temperature = round(fit_temperature(answers, part.classes), 5)
        loss = negative_log_likelihood(calibrate(answers, temperature), part.classes)
        return Try(model, choice, history, answers, temperature, loss)


def _line(epoch: Epoch, left_s: float) -> str:
    seen = "" if epoch.validation_accuracy is None else f", validation {epoch.validation_accuracy:.2%}"
    return (f"epoch {epoch.number}: {epoch.side} px, loss {epoch.loss:.4f}, accuracy {epoch.accuracy:.2%}{seen},"
            f" {epoch.seconds:.0f} s, about {left_s / 60:.1f} min left")
