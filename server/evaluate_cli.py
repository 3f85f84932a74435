"""`run.py models evaluate`: how good a version is on labelled pictures, in a few lines, as tables and as a page."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import Any

from models import cli
from models.data.reading import Wishes
from models.errors import ModelError
from models.evaluation.evaluation import Evaluation
from models.evaluation.files import PAGE_FILE, write
from models.evaluation.judging import PARTS, Judges, judges
from models.evaluation.trust import Point
from models.registry import Registry

_WEAKEST = 3
_PROBLEMS = 5


def add_evaluate(verbs: cli.Verbs) -> None:
    """The verb and its arguments."""
    verb = verbs.add_parser("evaluate", help="how good a version is on labelled pictures: figures, tables, a page")
    verb.add_argument("name", metavar="NAME[@VERSION]", type=cli.reference)
    verb.add_argument("source", metavar="SOURCE", help="labelled pictures as for `run.py train`, or sklearn:digits")
    verb.add_argument("--out", type=Path, metavar="DIR",
                      help="where the files go (default: NAME-VERSION-evaluation; none with --json)")
    verb.add_argument("--json", action="store_true", help="print everything as JSON instead of a few lines")
    verb.add_argument("--part", choices=("all", *PARTS), help="which pictures of the source (default: the test part"
                      " where there is one, else all)")
    verb.add_argument("--labels", metavar="FILE|A,B,C", help="what the source's classes are called in the model, in the"
                      " source's order")
    verb.add_argument("--image-column", metavar="NAME", help="a table's column of paths")
    verb.add_argument("--label-column", metavar="NAME", help="a table's column of classes")
    verb.add_argument("--pictures", type=Path, metavar="DIR", help="where pictures that a table names are looked for")
    verb.add_argument("--cache", type=Path, metavar="DIR", help="keep prepared pixels there instead of in memory")
    verb.add_argument("--engine", choices=("auto", "onnx", "keras"), default="auto", help="default: as served")
    verb.set_defaults(verb=_evaluate)


def _evaluate(arguments: argparse.Namespace) -> None:
    from server.errors import SettingsError
    from server.evaluate import measure
    from server.settings import Settings

    logging.getLogger("server").addHandler(logging.NullHandler())  # what matters is said in one sentence
    version = Registry([arguments.store]).resolve(arguments.name)
    wishes = Wishes(image_column=arguments.image_column, label_column=arguments.label_column, images=arguments.pictures)
    asked = judges(version, arguments.source, labels=arguments.labels, part=arguments.part, wishes=wishes,
                   cache=arguments.cache)
    try:
        found = measure(version, asked, settings=Settings(store=arguments.store, engine=arguments.engine), tell=_tell)
    except SettingsError as exc:
        raise ModelError(str(exc)) from exc
    spec = version.spec
    out = arguments.out or (None if arguments.json else Path(f"{spec.name}-{spec.version}-evaluation"))
    if out is not None:
        write(out, found, spec.about)
    lines = [json.dumps(_plain(found), ensure_ascii=False)] if arguments.json else _lines(found, asked, out)
    print("\n".join(lines).encode("utf-8", "backslashreplace").decode())  # a file's name may be no Unicode


def _tell(done: int, count: int) -> None:
    if sys.stderr.isatty():
        print(f"{done:,} of {count:,} pictures", file=sys.stderr)


def _plain(found: Evaluation) -> dict[str, Any]:
    """Without the thumbnails, which nobody reads in a terminal."""
    content = found.as_dict()
    for one in content["mistakes"]:
        one.pop("thumbnail")
    return content


def _lines(found: Evaluation, asked: Judges, out: Path | None) -> list[str]:
    """The figures that matter most."""
    accuracy, after = found.accuracy, found.after
    return [
        f"{found.subject.model} on {found.subject.source}, {found.subject.part}, run by {found.subject.engine}",
        f"accuracy {accuracy.value:.2%}, 95 % interval {accuracy.low:.2%} to {accuracy.high:.2%}",
        f"wrong: {found.wrong:,} of {found.pictures:,} pictures",
        f"expected calibration error {after.calibration_error:.4f}, {found.before.calibration_error:.4f} uncalibrated",
        f"log-loss {after.log_loss:.4f}, Brier score {after.brier:.4f}",
        *_weakest(found), *_thresholds(found), *_problems(asked),
        *([] if out is None else [f"{out / PAGE_FILE} shows all of it; tables for Tableau are beside it"]),
    ]


def _weakest(found: Evaluation) -> list[str]:
    """Classes that are not always right."""
    wrong = [one for one in found.classes if one.pictures and one.f1.value != 1]
    ranked = sorted(wrong, key=lambda one: one.f1.value or 0)
    named = ", ".join(f"{one.label} (F1 {one.f1.value or 0:.1%})" for one in ranked[:_WEAKEST])
    return [f"weakest classes: {named}"] if named else []


def _thresholds(found: Evaluation) -> list[str]:
    return [f"for {one.target:.0%} accuracy: {_threshold(one.point)}" for one in found.suggestions]


def _threshold(point: Point | None) -> str:
    if point is None:
        return "no threshold of image_needs_review reaches it"
    if point.threshold == 0:
        return "nobody need look at any picture"
    return f"a threshold of {point.threshold:.6g} in image_needs_review, {point.coverage:.1%} answered alone"


def _problems(asked: Judges) -> list[str]:
    """What was left out or odd, the first few."""
    problems = asked.data.problems
    more = [f"... and {len(problems) - _PROBLEMS:,} more"] if len(problems) > _PROBLEMS else []
    return [f"{problem.kind}: {problem}" for problem in problems[:_PROBLEMS]] + more
