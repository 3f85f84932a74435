"""Inside the chosen network: which numbers of its recipe suit the data, by Optuna, on a subset."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from models.training.candidates import Candidate, affordable, attempt
from models.training.leaderboard import Row
from models.training.part import Part
from models.training.recipe import Recipe

log = logging.getLogger(__name__)

_TRIALS = 6  # at most; with fewer the default has not been compared with anything
_EPOCHS = 5


def search(candidate: Candidate, training: Part, validation: Part, *, within_s: float, may_flip: bool,
           say: Callable[[str], None]) -> tuple[Recipe, list[Row]]:
    """The best recipe found in the time, beginning with the candidate's own, and a row for each that was tried.

    The differences between trials are small and a validation part is noisy, so another recipe than the first wins only
    with more right answers than one standard error of their difference.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    ends_at, recipe = time.monotonic() + within_s, candidate.recipe
    pictures = affordable(candidate, within_s / _TRIALS, len(training), epochs=_EPOCHS)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=recipe.seed))
    first = {"peak": recipe.peak, "weight_decay": recipe.weight_decay, "erase": recipe.erase}
    study.enqueue_trial(first | ({"flip": False} if may_flip else {}))
    if may_flip:
        study.enqueue_trial(first | {"flip": True})
    tried: list[tuple[Row, Recipe]] = []
    while len(tried) < _TRIALS and time.monotonic() + _longest(tried) < ends_at:
        trial = study.ask()
        chosen = replace(recipe, **_suggested(trial, recipe, may_flip=may_flip))
        row = attempt(candidate, training, validation, replace(chosen, epochs=_EPOCHS), within_s=within_s / _TRIALS,
                      pictures=pictures, kind="search", name=f"{candidate.architecture}, {_shown(chosen)}")
        study.tell(trial, row.accuracy)
        say(f"  {row.name}: {row.accuracy:.2%}")
        tried.append((row, chosen))
    if not tried:
        return recipe, []
    return _best(tried), [row for row, _ in tried]


def _suggested(trial: Any, recipe: Recipe, *, may_flip: bool) -> dict[str, Any]:
    flip = trial.suggest_categorical("flip", [False, True]) if may_flip else recipe.flip
    peak, decay = recipe.peak, recipe.weight_decay
    return {"peak": trial.suggest_float("peak", peak / 8, peak * 3, log=True),
            "weight_decay": trial.suggest_float("weight_decay", decay / 8, decay * 4, log=True),
            "erase": trial.suggest_float("erase", 0.0, 0.5, step=0.25), "flip": flip}


def _longest(tried: list[tuple[Row, Recipe]]) -> float:
    return max((row.seconds for row, _ in tried), default=0.0)


def _best(tried: list[tuple[Row, Recipe]]) -> Recipe:
    first, best = tried[0], max(tried, key=lambda one: one[0].correct)
    error = (2 * first[0].accuracy * (1 - first[0].accuracy) / first[0].validated) ** 0.5
    is_clear = best[0].accuracy - first[0].accuracy > error
    return best[1] if is_clear else first[1]


def _shown(recipe: Recipe) -> str:
    mirrored = ", mirrored" if recipe.flip else ""
    return f"rate {recipe.peak:.2g}, decay {recipe.weight_decay:.2g}, erase {recipe.erase:g}{mirrored}"
