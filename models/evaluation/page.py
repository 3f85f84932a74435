"""One HTML file that shows an evaluation: nothing in it is fetched from elsewhere, and it runs no script.

An `Evaluation` and what `model.json` says about the version enter, text leaves. Jinja escapes every name: labels and
file names come from strangers.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from models.evaluation import chart, plots
from models.evaluation.confusion_chart import heat_map, most_confused
from models.evaluation.evaluation import Evaluation
from models.evaluation.mistakes import SHOWN
from models.evaluation.per_class import ClassFigures, Share

_FOLDER = Path(__file__).resolve().parent
_DRAWN = 40  # classes with drawn intervals, the worst; a thousand drawings would make the page slow
_PAIRS = 12


def page(found: Evaluation, about: Mapping[str, Any] | None = None) -> str:
    """The page; `about` is that of `model.json`: what it has of a leaderboard, a learning curve, a history and problems
    of the data is shown."""
    about = about or {}
    environment = Environment(loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(percent=_percent, share=_share, score="{:.4f}".format, thousands="{:,}".format,
                               interval=_interval, shortened=chart.shortened)
    ranked = sorted((one for one in found.classes if one.pictures or one.answers), key=_badness)
    return environment.get_template("page.html").render(
        found=found, about=about, heat=Markup(heat_map(found)), pairs=most_confused(found, _PAIRS),  # noqa: S704 - escaped there
        drawn=ranked[:_DRAWN], start=_start(ranked[:_DRAWN]), plain=ranked[_DRAWN:],
        missing=[one.label for one in found.classes if not one.pictures], shown=found.mistakes[:SHOWN],
        reliability=[(name, scores, Markup(plots.reliability_chart(bins, name)))  # noqa: S704 - escaped there
                     for name, scores, bins in (("before", found.before, found.reliability_before),
                                                ("after", found.after, found.reliability_after))],
        example=next((one for one in found.suggestions if one.point and one.point.threshold), None),
        coverage=Markup(plots.coverage_chart(found)),  # noqa: S704 - escaped there
        learning=_drawn(partial(_learning, about)), history=_drawn(partial(_history, about)),
        leaderboard=_leaderboard(about), problems=_problems(about), made=_made(about))


def _badness(one: ClassFigures) -> tuple[float, int]:
    """Worst first; what has no pictures says least."""
    return (2.0 if one.f1.value is None or not one.pictures else one.f1.value, -one.pictures)


def _start(drawn: list[ClassFigures]) -> float:
    """Where the lines of the table begin: the tenth below all their intervals, so that short ones can be seen."""
    lows = [one.low for figures in drawn for one in (figures.recall, figures.precision) if one.value is not None]
    return min(0.9, math.floor(10 * min(lows, default=0.0)) / 10)


def _percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{value:.{digits}%}"


def _share(one: Share, digits: int = 2) -> str:
    return f"{one.low:.{digits}%} to {one.high:.{digits}%}"


def _interval(one: Share, start: float = 0.0) -> Markup:
    return Markup(chart.interval(one.value, one.low, one.high, start))  # noqa: S704 - numbers alone


def _drawn(draw: Callable[[], str]) -> Markup:
    """A drawing of what a card says, empty where it says nothing or another maker says it otherwise."""
    with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError):
        return Markup(draw())  # noqa: S704 - escaped there
    return Markup()


def _learning(about: Mapping[str, Any]) -> str:
    return plots.learning_chart(about["learning_curve"], int(about["data"]["trained_on"]))


def _history(about: Mapping[str, Any]) -> str:
    return plots.history_chart(about["history"]) if len(about["history"]) > 1 else ""


def _leaderboard(about: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Its rows, best first, with the interval drawn."""
    rows = about.get("leaderboard") or []
    with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError):
        return [{**row, "drawn": _interval(Share(row["accuracy"], row["low"], row["high"])),
                 "parameters": row["parameters"], "epochs": row["epochs"], "note": row["note"]}
                for row in sorted(rows, key=lambda row: -row["accuracy"])]
    return []


def _problems(about: Mapping[str, Any]) -> Mapping[str, Any]:
    """What was odd about the training pictures: counts by kind, and the first in words."""
    problems = about.get("problems")
    if not isinstance(problems, Mapping) or not isinstance(problems.get("counts"), Mapping):
        return {}
    return {"counts": problems["counts"], "first": problems.get("first", [])}


def _made(about: Mapping[str, Any]) -> dict[str, str]:
    """What the card says in texts, in the order that people ask for it."""
    data = about.get("data")
    facts = {"architecture": about.get("architecture"), "why this one": about.get("why"),
             "trained on": data.get("source") if isinstance(data, Mapping) else None,
             "training pictures": data.get("trained_on") if isinstance(data, Mapping) else None,
             "command": about.get("command"), "made": about.get("created"), "machine": about.get("machine")}
    return {name: f"{fact:,}" if isinstance(fact, int) else str(fact) for name, fact in facts.items() if fact}
