"""Plain against residual networks at growing depth (He et al. 2015, figures 1 and 6).

The claim is about *training* error: a deeper plain network is worse at the very pictures it is trained on, so that it
is no overfitting; with shortcuts the deeper one is better. Nothing else differs: both have the same weights and start.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from models.data.labelled import Labelled
from models.errors import DataError
from models.training.augmentation import smaller
from models.training.loop import Epoch, Training
from models.training.part import Part
from models.training.recipe import Recipe

log = logging.getLogger(__name__)

_LAST = 5  # epochs whose mean training error is compared: one alone jumps


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How large the experiment is: sides, pictures (None for all), the narrowest width, depths, and the recipe."""

    size: int
    pictures: int | None
    judged: int | None
    width: int
    depths: tuple[int, ...]
    recipe: Recipe
    about: str


_PAPER = Recipe(schedule="steps", epochs=164, peak=0.1, weight_decay=1e-3, label_smoothing=0.0, flip=True, small=0.0)
"""Weight decay is the paper's 1e-4: decoupled from a gradient with momentum 0.9 it is ten times as large."""

SCALES = {
    "small": Scale(
        size=14, pictures=10_000, judged=2_000, width=8, depths=(20, 56),
        recipe=replace(_PAPER, epochs=40),
        about="10,000 pictures at 14 px, width 8, 40 epochs: some 25 minutes on two cores",
    ),
    "paper": Scale(
        size=32, pictures=None, judged=None, width=16, depths=(20, 56),
        recipe=_PAPER,
        about="the paper's recipe, 64,000 iterations of 128 pictures (164 epochs of 50,000): for a GPU",
    ),
}


@dataclass(frozen=True, slots=True)
class Network:
    """One of the four: its depth, whether it has shortcuts, and its errors by epoch (shares 0..1)."""

    depth: int
    is_residual: bool
    history: tuple[Epoch, ...]

    @property
    def name(self) -> str:
        """As in the table of architectures."""
        return f"{'resnet' if self.is_residual else 'plain'}-{self.depth}"

    @property
    def training_error(self) -> float:
        """Mean of the last epochs."""
        return float(np.mean([1 - epoch.accuracy for epoch in self.history[-_LAST:]]))

    @property
    def test_error(self) -> float:
        """Of the last epoch."""
        return 1 - (self.history[-1].validation_accuracy or 0.0)


def run(data: Labelled, scale: Scale, *, seed: int, say: Callable[[str], None]) -> list[Network]:
    """Train plain and residual networks of each depth, in turn; raises `DataError` without an official test part."""
    training, judged = parts(data, scale, seed=seed)
    return [_train(depth, is_residual, training, judged, scale, seed=seed, say=say)
            for depth in scale.depths for is_residual in (False, True)]


def parts(data: Labelled, scale: Scale, *, seed: int) -> tuple[Part, Part]:
    """What is trained on and what is judged, at the scale's side."""
    if data.parts is None or not (data.parts == 1).any():
        raise DataError(f"{data.source}: expected an official test part (a folder `test`, x_test, keras:NAME), on which"
                        " the errors are compared.")
    rows = [np.flatnonzero(data.parts == part) for part in (0, 1)]
    training, judged = (Part(data.pixels[row], data.classes[row]) for row in rows)
    training = training.subset(scale.pictures or len(training), seed=seed)
    judged = judged.subset(scale.judged or len(judged), seed=seed)
    size = min(scale.size, data.size)
    return Part(smaller(training.pixels, size), training.classes), Part(smaller(judged.pixels, size), judged.classes)


def finding(networks: Sequence[Network]) -> tuple[bool, str]:
    """Whether the claim was seen, and the sentence that says so."""
    plain = sorted((one for one in networks if not one.is_residual), key=lambda one: one.depth)
    residual = sorted((one for one in networks if one.is_residual), key=lambda one: one.depth)
    is_worse = plain[-1].training_error > plain[0].training_error
    is_better = residual[-1].training_error < plain[-1].training_error
    figures = ", ".join(f"{one.name} {one.training_error:.1%}" for one in (*plain, *residual))
    if is_worse and is_better:
        return True, f"Seen: the deeper plain network trains worse, shortcuts mend it. Training errors: {figures}."
    missing = "shortcuts did not help the deeper one" if is_worse else "the deeper plain network did not train worse"
    return False, f"Not seen in this run: {missing}. Training errors: {figures}."


def _train(depth: int, is_residual: bool, training: Part, judged: Part, scale: Scale, *, seed: int,
           say: Callable[[str], None]) -> Network:
    build = functools.partial(_build, depth=depth, residual=is_residual, width=scale.width,
                              channels=training.pixels.shape[3], classes=int(training.classes.max()) + 1)
    recipe = replace(scale.recipe, seed=seed)
    name, started = f"{'resnet' if is_residual else 'plain'}-{depth}", time.monotonic()

    def told(epoch: Epoch, left_s: float) -> None:
        say(f"{name}, epoch {epoch.number}: training error {1 - epoch.accuracy:.1%}, test error"
            f" {1 - (epoch.validation_accuracy or 0.0):.1%}, about {left_s / 60:.0f} min left")

    trained = Training(build, training, recipe, validation=judged, say=told)  # float32, as the paper: all four alike
    trained.run()
    say(f"{name}: {time.monotonic() - started:.0f} s")
    return Network(depth, is_residual, tuple(trained.history))


def _build(size: int, *, depth: int, residual: bool, width: int, channels: int, classes: int) -> Any:
    from models.architectures import resnet_small

    return resnet_small.build(size=size, channels=channels, classes=classes, depth=depth, residual=residual,
                              width=width)
