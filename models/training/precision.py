"""Which arithmetic is faster here: measured, because it depends on the processor, not on a list of processors."""

from __future__ import annotations

import logging
import math
import time

import numpy as np

from models.training.loop import Build, compiled, with_precision
from models.training.recipe import Recipe

log = logging.getLogger(__name__)

POLICIES = ("float32", "mixed_bfloat16")
"""Dtype policies of Keras; bfloat16 has the range of float32, so the loss needs no scaling."""

_BATCHES = 8
_CLEARLY = 0.9  # of the time; what is no faster than this is not worth eight bits of mantissa less


def seconds_a_picture(build: Build, size: int, channels: int, recipe: Recipe) -> dict[str, float]:
    """Policy -> seconds one training picture takes: the best of several batches, measured in turns, since a neighbour
    on the machine would otherwise slow one and not the other."""
    models = {policy: compiled(with_precision(build, size, policy), recipe) for policy in POLICIES}
    classes = next(iter(models.values())).output_shape[-1]
    pixels = np.random.default_rng(0).integers(0, 256, (recipe.batch_size, size, size, channels)).astype(np.float32)
    truth = np.eye(classes, dtype=np.float32)[np.arange(len(pixels)) % classes]
    best = dict.fromkeys(POLICIES, math.inf)
    for turn in range(1 + _BATCHES):
        for policy, model in models.items():
            started = time.perf_counter()
            model.train_on_batch(pixels, truth)
            if turn:  # the first one compiles
                best[policy] = min(best[policy], time.perf_counter() - started)
    return {policy: seconds / len(pixels) for policy, seconds in best.items()}


def faster(build: Build, size: int, channels: int, recipe: Recipe) -> tuple[str, float]:
    """The faster policy and its seconds a picture."""
    times = seconds_a_picture(build, size, channels, recipe)
    log.info("seconds a picture: %s", times)
    exact, half = POLICIES
    chosen = half if times[half] < _CLEARLY * times[exact] else exact
    return chosen, times[chosen]
