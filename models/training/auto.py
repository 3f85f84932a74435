"""`--architecture auto`: a closed list, a wall-clock budget that is kept, and a leaderboard that explains the choice.

    baselines (seconds) -> each network of the list on a subset -> its recipe by search -> learning curve
    -> at least 60 % of the budget for the winner
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from models.interval import wilson
from models.training import baselines, candidates
from models.training.candidates import Candidate, attempt
from models.training.leaderboard import Row
from models.training.learning_curve import Curve, Point, fit
from models.training.part import Part
from models.training.recipe import Recipe
from models.training.search import search

log = logging.getLogger(__name__)

_LIST, _SEARCH, _CURVE = 0.16, 0.14, 0.05
"""Shares of the budget; what is left, 0.6 and more, belongs to the winner."""

_ENOUGH_S = 60.0  # a share below this tells nothing: the step is left out, and its time goes to the winner
_VALIDATED = 2000  # pictures that tell candidates apart to a per cent; asking all would take the time of training


@dataclass(frozen=True, slots=True)
class Found:
    """The winner with its recipe, all that was tried, and what more labels would bring."""

    candidate: Candidate
    recipe: Recipe
    rows: tuple[Row, ...]
    curve: Curve | None
    why: str


def find(build: Callable[[str], Callable[[int], object]], training: Part, validation: Part, recipe: Recipe, *,
         budget_s: float, may_flip: bool, say: Callable[[str], None]) -> Found:
    """Choose within the shares of `budget_s` that are not the winner's."""
    seen = validation.subset(_VALIDATED, seed=recipe.seed)
    rows = [baselines.majority(training, seen), baselines.linear_probe(training, seen, seed=recipe.seed)]
    for row in rows:
        say(f"{row.name}: {row.accuracy:.2%}")
    tried = _list(build, training, seen, recipe, within_s=_LIST * budget_s, say=say)
    rows += [row for _, row in tried]
    candidate, best = max(tried, key=lambda one: one[1].accuracy)
    recipe = candidate.recipe
    if _SEARCH * budget_s >= _ENOUGH_S:
        say(f"searching a recipe for {candidate.architecture}:")
        recipe, searched = search(candidate, training, seen, within_s=_SEARCH * budget_s, may_flip=may_flip, say=say)
        rows += searched
    curve = None
    if _CURVE * budget_s >= _ENOUGH_S:
        curve = _curve(min((one for one, _ in tried), key=lambda one: one.seconds), training, seen,
                       within_s=_CURVE * budget_s)
    return Found(candidate, recipe, tuple(rows), curve, _why(best, rows, recipe))


def _list(build: Callable[[str], Callable[[int], object]], training: Part, seen: Part, recipe: Recipe, *,
          within_s: float, say: Callable[[str], None]) -> list[tuple[Candidate, Row]]:
    """Every network of the list in turn; with little time only the first."""
    ends_at = time.monotonic() + within_s
    names: Sequence[str] = candidates.names(training.pixels.shape[1])
    tried: list[tuple[Candidate, Row]] = []
    for number, name in enumerate(names):
        slice_s = (ends_at - time.monotonic()) / (len(names) - number)
        if tried and slice_s < _ENOUGH_S / 4:
            say(f"{name}: left out, the budget is too small for it")
            continue
        candidate = candidates.measured(name, build(name), training, recipe)
        row = attempt(candidate, training, seen, candidate.recipe, within_s=max(slice_s, 10.0))
        say(f"{name}: {row.accuracy:.2%} after {row.epochs} epochs of {row.pictures:,} pictures,"
            f" {1 / candidate.seconds:,.0f} pictures/s in {candidate.precision}")
        tried.append((candidate, row))
    return tried


def _curve(candidate: Candidate, training: Part, seen: Part, *, within_s: float) -> Curve | None:
    """The fastest network at an eighth, a quarter and half of what it can be trained on in that time."""
    most = candidates.affordable(candidate, within_s * 4 / 7, 2 * len(training)) // 2
    points = []
    for share in (8, 4, 2):
        count = min(2 * most, len(training)) // share
        row = attempt(candidate, training, seen, candidate.recipe, within_s=within_s / share * 8 / 7, pictures=count)
        points.append(Point(row.pictures, 1 - row.accuracy, row.validated))
    return fit(candidate.architecture, points)


def _why(best: Row, rows: Sequence[Row], recipe: Recipe) -> str:
    others = sorted((row for row in rows if row.kind != "search" and row is not best), key=lambda row: -row.accuracy)
    low, high = wilson(best.correct, best.validated)
    text = (f"{best.name} was best on {best.validated:,} validation pictures in equal time: {best.accuracy:.1%}"
            f" ({low:.1%} to {high:.1%})")
    if others:
        text += f"; next {others[0].name} with {others[0].accuracy:.1%}"
    mirrored = "; mirrored pictures helped" if recipe.flip and any(row.kind == "search" for row in rows) else ""
    return text + mirrored
