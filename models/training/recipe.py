"""How a network is trained: every number that was chosen, as one value that is stored with the model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

_WARM_UP = 0.25  # the share of the cycle in which the learning rate rises
_FIRST, _LAST = 1 / 25, 1 / 1000  # of its peak


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One cycle of the learning rate (Smith 2018, "A disciplined approach to neural network hyper-parameters"), the
    first part of it on smaller pictures.

    `optimizer` is "sgd" (with Nesterov's momentum), or "adamw" (Loshchilov and Hutter 2019) for networks without batch
    normalization, which the rates of the former blow up. `peak` is the highest learning rate. `weight_decay` is
    decoupled from the gradient: with momentum m it acts as an L2 term of `weight_decay * (1 - m)`. `shift` is the share
    of the side by which pictures are moved at most, `erase` the share of the side of a square that is blanked out
    (DeVries and Taylor 2017, "Cutout"), `flip` mirrors half of them left to right, `distort` 0..1 is how much they are
    turned, zoomed and sheared (`models.training.distortion`). `small` is the share of the cycle
    that runs on pictures of `small_side` of the side: a network that ends in an average takes any size, and half the
    side is a quarter of the work. With `balance` b a picture of a class
    counts as the b-th power of what would make all classes count the same: 0 not at all, 1 wholly (Mahajan et al. 2018,
    "Exploring the Limits of Weakly Supervised Pretraining", section 2.2, draw pictures by the square root). With the
    `schedule` "steps" the rate is the peak, from half of the way on a tenth and from three quarters on a hundredth of
    it (He et al. 2015, section 4.2: 32k and 48k of 64k iterations).
    """

    schedule: str = "cycle"
    optimizer: str = "sgd"
    epochs: int = 20
    batch_size: int = 128
    peak: float = 0.2
    momentum: float = 0.9
    weight_decay: float = 5e-3
    label_smoothing: float = 0.05
    shift: float = 1 / 8
    flip: bool = False
    erase: float = 0.0
    distort: float = 0.0
    small: float = 0.5
    small_side: float = 0.625
    balance: float = 0.0
    seed: int = 1

    def suited(self, model: Any) -> Recipe:
        """The recipe, or the same with AdamW and its usual numbers where the network has no batch normalization."""
        import keras

        if any(isinstance(layer, keras.layers.BatchNormalization) for layer in layers(model)):
            return self
        return replace(self, optimizer="adamw", peak=1.5e-3, weight_decay=0.02)

    def calmer(self) -> Recipe:
        """A quarter of the learning rate, for a training that came apart."""
        return replace(self, peak=self.peak / 4)

    def learning_rate(self, place: float) -> float:
        """The learning rate at a place 0..1 of the way: up on a line and down on half a cosine, or in steps."""
        if self.schedule == "steps":
            return self.peak / (1 if place < 0.5 else 10 if place < 0.75 else 100)
        if place < _WARM_UP:
            return self.peak * (_FIRST + (1 - _FIRST) * place / _WARM_UP)
        falling = (min(place, 1.0) - _WARM_UP) / (1 - _WARM_UP)
        return self.peak * (_LAST + (1 - _LAST) * (1 + math.cos(math.pi * falling)) / 2)

    def side(self, size: int, place: float) -> int:
        """The side in pixels that pictures of `size` have at a place of the cycle; even, so that halving is exact."""
        return size if place >= self.small - 1e-9 else min(size, max(8, 2 * round(size * self.small_side / 2)))


def layers(model: Any) -> Iterator[Any]:
    """Every layer, those of networks inside the network included."""
    for layer in model.layers:
        yield layer
        if hasattr(layer, "layers"):
            yield from layers(layer)
