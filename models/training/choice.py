"""Which network is trained, and how: named by the order, or chosen by the machine."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.architectures import table
from models.data.balance import are_unequal
from models.training import auto, leaderboard
from models.training.learning_curve import Curve
from models.training.material import Material
from models.training.order import Order
from models.training.precision import faster
from models.training.recipe import Recipe
from models.training.starting import Start, version_of

_BALANCE = 0.5  # wholly equal classes would make small ones the answer too often, and confidences wrong
_MOST_EPOCHS = 100  # a small data set is not gone through more often than this, whatever the budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A network and a recipe; `why` explains them, `leaderboard` is what they were chosen from, `tries` what each of
    several starts came to."""

    architecture: str
    build: Callable[[int], Any] = field(compare=False)
    recipe: Recipe
    precision: str
    why: str
    leaderboard: tuple[Mapping[str, Any], ...] = ()
    curve: Curve | None = None
    is_fine_tuned: bool = False
    start: Start | None = field(default=None, compare=False)
    tries: tuple[Mapping[str, Any], ...] = ()


def choose(order: Order, material: Material, *, ends_at: float, say: Callable[[str], None]) -> Choice:
    """The choice for an order, to be trained until `ends_at` (time.monotonic())."""
    recipe = Recipe(epochs=_MOST_EPOCHS, flip=bool(order.flip), seed=order.seed, batch_size=_batch(len(material.train)),
                    balance=_BALANCE if are_unequal(material.data.counts()) else 0.0, erase=order.erase,
                    distort=order.distort)
    if recipe.balance:
        say("Pictures of small classes count more in training, by the square root of what would make classes equal.")
    if order.architecture == "auto" and order.start is None:
        return _by_machine(order, material, recipe, ends_at=ends_at, say=say)
    start = start_of(order, material)
    architecture = order.architecture if start is None else start.architecture
    build = builder(architecture, material, order.weights)
    recipe = recipe.suited(build(material.data.size)) if start is None else start.recipe(recipe)
    precision, seconds = faster(build, material.data.size, material.data.channels, recipe)
    say(f"{architecture} in {precision}: {1 / seconds:,.0f} pictures a second at {material.data.size} px")
    return Choice(architecture=architecture, build=build, recipe=recipe, precision=precision, start=start,
                  why="named by the command" if start is None else f"it is {start.version.reference}'s",
                  is_fine_tuned=order.weights is not None)


def start_of(order: Order, material: Material) -> Start | None:
    """The version to go on from, where the order names one; raises `ModelError` where that cannot be."""
    if order.start is None:
        return None
    start = Start(version_of(order.start, order.store))
    start.check(material)
    return start


def _by_machine(order: Order, material: Material, recipe: Recipe, *, ends_at: float, say: Callable[[str], None]
                ) -> Choice:
    may_flip = order.flip is None and _may_mirror(material.data.labels)
    found = auto.find(functools.partial(builder, material=material), material.training, material.validating, recipe,
                      budget_s=ends_at - time.monotonic(), may_flip=may_flip, say=say)
    rows = tuple(row.as_dict() for row in found.rows)
    say(leaderboard.as_text(sorted(rows, key=lambda row: row["accuracy"])))
    say(found.why)
    if found.curve is not None:
        say(found.curve.sentence(len(material.train)))
    return Choice(architecture=found.candidate.architecture, build=found.candidate.build, recipe=found.recipe,
                  precision=found.candidate.precision, why=found.why, leaderboard=rows, curve=found.curve)


def _may_mirror(labels: tuple[str, ...]) -> bool:
    """Not where the classes are letters or digits: a mirrored 2 is no 2. Elsewhere trying tells."""
    return not all(len(label) == 1 for label in labels)


def _batch(pictures: int) -> int:
    """128 as in the papers, less where an epoch would have few steps: fifty of them, or batches of 16."""
    return min(128, max(16, pictures // 50))


def builder(architecture: str, material: Material, weights: Path | None = None) -> Callable[[int], Any]:
    """What builds that network for this data, by side; with weights to start from it is frozen but for its head."""
    return functools.partial(_build, architecture, material.data.channels, len(material.data.labels), weights)


def _build(architecture: str, channels: int, classes: int, weights: Path | None, size: int) -> Any:
    options: dict[str, Any] = {"patch": _patch(size)} if architecture == "residual" else {}
    if table.find(architecture).takes_weights:
        options = {"weights": "none" if weights is None else str(weights), "trainable": weights is None}
    return table.build(architecture, size=size, channels=channels, classes=classes, **options)


def _patch(size: int) -> int:
    """The largest divisor of the side, up to 16, that leaves a map of 7 places or more; 1 where there is none."""
    return max(patch for patch in range(1, 17) if size % patch == 0 and (size // patch >= 7 or patch == 1))
