"""The training loop: a network builder and a part of the data enter, a trained network and its history leave.

Backend-neutral: Keras's own `fit` gets prepared pieces of an epoch, one after the other, and the learning rate is set
between them (a rate set inside `fit` is not seen by every backend). Every choice of chance comes from the seed and the
epoch's number, so a training that goes on from a checkpoint sees the pictures it would have seen.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.data.balance import class_weights
from models.training.augmentation import augment, smaller
from models.training.checkpoint import Checkpoint
from models.training.look import Look
from models.training.pace import Pace
from models.training.part import Part
from models.training.recipe import Recipe, layers

log = logging.getLogger(__name__)

class DivergedError(ArithmeticError):
    """A training whose loss is no longer a number."""


Build = Callable[[int], Any]
"""Side in pixels -> a fresh network for pictures of that side, always with the same weights' shapes."""

_PIECE_BATCHES = 16  # between two settings of the learning rate: its steps are finer than anybody can measure
_PREDICT_BATCH = 256
_BATCH_NORM_MOMENTUM = 0.9
"""Keras's 0.99 follows trainings of many thousand steps; after two hundred its statistics are still those of the start,
and the network answers nonsense."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """One line of the history: what the training saw, and how validation pictures fared after it."""

    number: int
    side: int
    learning_rate: float
    loss: float
    accuracy: float
    validation_accuracy: float | None
    seconds: float


@dataclass(slots=True)
class Training:
    """A training under way: `run` does what is left of it.

    Args:
        build: makes the network; also asked for smaller sides, where the recipe has a small phase.
        data: what is trained on, pixels at the full side.
        recipe: how.
        within_s: seconds it may take, checkpoints and validation included.
        validation: looked at after each epoch, for the progress alone; nothing is chosen by it.
        checkpoint: where each epoch is kept, and found again.
        precision: the dtype policy of Keras to compute in; weights stay float32.
        say: told about each epoch, with the seconds left.
        start: the weights to begin with, as `get_weights` of the network has them; the builder's own without.
    """

    build: Build
    data: Part
    recipe: Recipe
    within_s: float = math.inf
    validation: Part | None = None
    checkpoint: Checkpoint | None = None
    precision: str = "float32"
    say: Callable[[Epoch, float], None] = lambda _epoch, _left: None
    start: list[NDArray[np.float32]] | None = None
    history: list[Epoch] = field(default_factory=list)
    _weights: NDArray[np.float32] | None = None
    _model: Any = None
    _side: int = 0
    _pixels: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 1, 1, 1), np.uint8))
    _look: Look = field(default_factory=Look)

    def run(self) -> Any:
        """The trained network at the full side in float32, without an optimizer."""
        size = self.data.pixels.shape[1]
        if not _takes(self.build, size, self.recipe.side(size, 0.0)):
            self.recipe = replace(self.recipe, small=0.0)
        self._weights = _class_weights(self.data.classes, self.recipe.balance)
        pace = Pace(self.recipe, size, self.within_s)
        self._resume(pace)
        while not pace.is_done:
            began = time.monotonic()
            self._at_side(pace.side)
            started = time.monotonic()
            pace.seconds += started - began
            step = pace.step()
            loss, accuracy, rate = self._epoch(pace.epoch, pace.place, step)
            seen = None if self.validation is None else self._validate(self.validation)
            side = pace.side
            pace.advance(step, time.monotonic() - started)
            epoch = Epoch(pace.epoch, side, rate, loss, accuracy, seen, time.monotonic() - started)
            if not math.isfinite(loss):
                raise DivergedError(f"the loss is {loss} in epoch {epoch.number}")
            self.history.append(epoch)
            if self.checkpoint is not None:
                self.checkpoint.write(self._model, pace, self.history)
            self.say(epoch, pace.left_s())
        return self._finished(size)

    def _resume(self, pace: Pace) -> None:
        """Go on where the checkpoint ends, if there is one."""
        if self.checkpoint is None:
            return
        self.checkpoint.recover()
        if not self.checkpoint.exists:
            return
        self.history = self.checkpoint.read_pace(pace)
        if self.history:
            self._at_side(self.history[-1].side)
            self.checkpoint.read_weights(self._model)

    def _at_side(self, side: int) -> None:
        """The network and the pictures at `side`; the weights go over, the optimizer's momentum starts afresh."""
        import keras

        if side == self._side:
            return
        weights = self.start if self._model is None else self._model.get_weights()
        if self._model is None:
            keras.utils.set_random_seed(self.recipe.seed)
        self._model = compiled(with_precision(self.build, side, self.precision), self.recipe)
        if weights is not None:
            self._model.set_weights(weights)
        self._pixels, self._side = smaller(self.data.pixels, side), side
        self._look = Look.of(self._pixels)
        self._compile()

    def _compile(self) -> None:
        """Do now what Keras does at the first step, which moves nothing at a learning rate of 0: an epoch that takes
        long only because it is the first would be taken for what all of them cost."""
        rows = np.arange(self._batch)
        self._model.optimizer.learning_rate = 0.0
        self._fit(rows, *self._prepare(rows, np.random.default_rng(0)))

    @property
    def _batch(self) -> int:
        return min(self.recipe.batch_size, len(self.data))

    def _epoch(self, number: int, place: float, step: float) -> tuple[float, float, float]:
        """One pass over the data in random order; mean loss and accuracy of its pieces, and its last learning rate."""
        random = np.random.default_rng((self.recipe.seed, number))
        pieces = list(_pieces(len(self.data), self._batch, random))
        losses, accuracies, rate = [], [], 0.0
        with ThreadPoolExecutor(1, "augment") as ahead:
            upcoming = ahead.submit(self._prepare, pieces[0], random)
            for position in range(len(pieces)):
                inputs, truth = upcoming.result()
                if position + 1 < len(pieces):
                    upcoming = ahead.submit(self._prepare, pieces[position + 1], random)
                rate = self.recipe.learning_rate(place + step * (position + 0.5) / len(pieces))
                self._model.optimizer.learning_rate = rate
                seen = self._fit(pieces[position], inputs, truth)
                losses.append(seen["loss"][0])
                accuracies.append(seen["accuracy"][0])
        return float(np.mean(losses)), float(np.mean(accuracies)), rate

    def _fit(self, rows: NDArray[np.int64], inputs: NDArray[np.float32], truth: NDArray[np.float32]
             ) -> dict[str, list[float]]:
        """Some steps; Keras's history of them."""
        weights = None if self._weights is None else self._weights[self.data.classes[rows]]
        seen: dict[str, list[float]] = self._model.fit(inputs, truth, sample_weight=weights, shuffle=False, verbose=0,
                                                       batch_size=self._batch).history
        return seen

    def _prepare(self, rows: NDArray[np.int64], random: np.random.Generator
                 ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        pixels = augment(self._pixels[rows], self.recipe, random, self._look)
        classes = self._model.output_shape[-1]
        return pixels.astype(np.float32), np.eye(classes, dtype=np.float32)[self.data.classes[rows]]

    def _validate(self, part: Part) -> float:
        pixels = smaller(part.pixels, self._side)
        answers = self._model.predict(pixels.astype(np.float32), batch_size=_PREDICT_BATCH, verbose=0)
        return float((answers.argmax(axis=1) == part.classes).mean())

    def _finished(self, size: int) -> Any:
        import keras

        weights = self._model.get_weights()
        keras.utils.clear_session(free_memory=False)  # Keras counts on in the names of layers: addresses have them
        model = with_precision(self.build, size, "float32")
        model.set_weights(weights)
        return model


def _class_weights(classes: NDArray[np.int64], balance: float) -> NDArray[np.float32] | None:
    """What a picture of each class counts, 1 on average; None where all count the same."""
    if not balance:
        return None
    weights = class_weights(classes, int(classes.max()) + 1) ** balance
    weights /= weights[classes].mean()
    return weights.astype(np.float32)


def _takes(build: Build, size: int, side: int) -> bool:
    """Whether the network has the same weights at another side: one with a dense layer behind its map has not."""
    if side == size:
        return True
    return bool([tuple(weight.shape) for weight in build(size).weights] ==
                [tuple(weight.shape) for weight in build(side).weights])


def with_precision(build: Build, side: int, precision: str) -> Any:
    """The network built under a dtype policy; what Keras builds elsewhere keeps its own."""
    import keras

    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(precision)
    try:
        return build(side)
    finally:
        keras.mixed_precision.set_dtype_policy(before)


def compiled(model: Any, recipe: Recipe) -> Any:
    """The network with its loss and its optimizer, its probabilities alone as output."""
    import keras

    trained = keras.Model(model.input, model.output["probabilities"])
    for layer in layers(trained):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = min(layer.momentum, _BATCH_NORM_MOMENTUM)
    if recipe.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(recipe.peak, momentum=recipe.momentum, nesterov=True,
                                         weight_decay=recipe.weight_decay)
    else:
        optimizer = keras.optimizers.AdamW(recipe.peak, weight_decay=recipe.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    trained.compile(optimizer=optimizer, metrics=["accuracy"],
                    loss=keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
                    jit_compile=False if keras.backend.backend() == "tensorflow" else "auto")
    return trained


def predict(model: Any, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Probabilities float32 (N, classes) before the temperature; the pictures become numbers a batch at a time."""
    batches = (pixels[start:start + _PREDICT_BATCH] for start in range(0, len(pixels), _PREDICT_BATCH))
    parts = [np.asarray(model.predict_on_batch(batch.astype(np.float32))["probabilities"]) for batch in batches]
    return np.concatenate(parts).astype(np.float32)


def _pieces(rows: int, batch: int, random: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """The rows in random order, in pieces of whole batches; what makes no whole batch waits for another epoch."""
    order = random.permutation(rows)[:rows - rows % batch]
    for start in range(0, len(order), batch * _PIECE_BATCHES):
        yield order[start:start + batch * _PIECE_BATCHES]
