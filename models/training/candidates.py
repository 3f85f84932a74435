"""The closed list that `auto` chooses from, and what one of them reaches on a subset in a slice of the time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from models.training.leaderboard import Row
from models.training.loop import DivergedError, Training, predict
from models.training.part import Part
from models.training.precision import faster
from models.training.recipe import Recipe

log = logging.getLogger(__name__)

SMALL = ("residual", "resnet-20", "cnn", "wrn-16-4")
"""For pictures of up to 64 pixels: three blocks on patches, which learn in seconds, the paper's smallest residual net,
the talk's tutorial net, and a wide one."""

LARGE = ("residual", "resnet-20", "mobilenetv2")
"""For larger pictures, without weights to start from: what a few hundred pictures can teach at all."""

_SMALL_SIDE = 64
_EPOCHS = 6  # in a slice: fewer say more about the first steps than about the network
_FEWEST = 500  # pictures; below that all networks look alike


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network that was measured: how to build it, a recipe it bears, its precision and its seconds a picture."""

    architecture: str
    build: Callable[[int], Any]
    recipe: Recipe
    precision: str
    seconds: float


def names(size: int) -> tuple[str, ...]:
    """The list for pictures of that side."""
    return SMALL if size <= _SMALL_SIDE else LARGE


def measured(architecture: str, build: Callable[[int], Any], part: Part, recipe: Recipe) -> Candidate:
    """The candidate with the speed it has on this machine."""
    size, channels = part.pixels.shape[1], part.pixels.shape[3]
    suited = recipe.suited(build(size))
    precision, seconds = faster(build, size, channels, suited)
    return Candidate(architecture, build, suited, precision, seconds)


def affordable(candidate: Candidate, within_s: float, available: int, *, epochs: int = _EPOCHS) -> int:
    """How many pictures the candidate can be trained on in that time, some epochs long; at least `_FEWEST`."""
    return min(available, max(_FEWEST, int(within_s / (epochs * candidate.seconds))))


def attempt(candidate: Candidate, training: Part, validation: Part, recipe: Recipe, *, within_s: float,
            pictures: int | None = None, kind: str = "candidate", name: str | None = None) -> Row:
    """Train on a subset for a slice of the time; what it reaches on the validation pictures."""
    started = time.monotonic()
    count = pictures or affordable(candidate, within_s, len(training))
    part = training.subset(count, seed=recipe.seed)
    run = Training(candidate.build, part, replace(recipe, epochs=max(_EPOCHS, recipe.epochs if pictures else _EPOCHS)),
                   within_s=within_s, precision=candidate.precision)
    correct, note, parameters = 0, "", None
    try:
        model = run.run()
        correct = int((predict(model, validation.pixels).argmax(axis=1) == validation.classes).sum())
        parameters = model.count_params()
    except DivergedError as exc:
        note = str(exc)
    return Row(name=name or candidate.architecture, kind=kind, validated=len(validation), pictures=len(part),
               correct=correct, epochs=len(run.history), seconds=time.monotonic() - started, parameters=parameters,
               pictures_a_second=1 / candidate.seconds, note=note)
