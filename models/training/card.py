"""What `model.json` says about how a version was made."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from models.training.material import KEPT, TOGETHER

if TYPE_CHECKING:
    from models.data.entries import Problem
    from models.training.loop import Epoch
    from models.training.material import Material
    from models.training.order import Order
    from models.training.train import Trained

_PROBLEMS = 10  # of a kind that are quoted


def about(order: Order, material: Material, trained: Trained, doubted: Sequence[Problem]) -> dict[str, Any]:
    """Data, choice, recipe, measured figures, command, time and machine: built-in types alone."""
    import keras

    from models.training.train import measure

    choice, data = trained.choice, material.data
    measured = {"validation": measure(trained.validation, material.validating.classes, trained.temperature),
                "test": measure(trained.test, material.judging.classes, trained.temperature)}
    return {
        "title": f"{order.name}: {choice.architecture}, trained on {last(data.source)}",
        "accuracy": measured["test"]["accuracy"],
        "measured": measured,
        "data": {"source": last(data.source), "test": KEPT if order.test is None else last(order.test),
                 "sha256": data.digest, "pictures": len(data), "trained_on": len(material.train),
                 "classes": data.counts(), **({"near_duplicates": TOGETHER} if material.is_dealt else {})},
        **({"note": order.note} if order.note else {}),
        "problems": _problems(material, doubted),
        "architecture": choice.architecture,
        "why": choice.why,
        **({} if choice.start is None else {"from": choice.start.about()}),
        "leaderboard": [dict(row) for row in choice.leaderboard],
        "learning_curve": None if choice.curve is None else asdict(choice.curve),
        "recipe": asdict(choice.recipe),
        **({"tries": [dict(one) for one in choice.tries]} if choice.tries else {}),
        "precision": choice.precision,
        "epochs": len(trained.history),
        "history": [_rounded(epoch) for epoch in trained.history],
        "training_s": round(sum(epoch.seconds for epoch in trained.history)),
        "command": order.command,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "keras": f"{keras.__version__}, {keras.backend.backend()}",
    }


def _rounded(epoch: Epoch) -> dict[str, Any]:
    return {name: round(value, 5) if isinstance(value, float) else value for name, value in asdict(epoch).items()}


def _problems(material: Material, suspicions: Sequence[Problem]) -> dict[str, Any]:
    """What was odd about the pictures: how many of each kind, and the first of each kind in words."""
    by_kind: dict[str, list[str]] = {}
    for problem in (*material.problems, *suspicions):
        by_kind.setdefault(problem.kind, []).append(str(problem))
    said = [text for texts in by_kind.values() for text in texts[:_PROBLEMS]]
    for source in {material.data.source, material.judge.source}:
        said = [text.replace(source, last(source)) for text in said]
    return {"counts": {kind: len(texts) for kind, texts in by_kind.items()}, "first": said}


def last(source: str) -> str:
    """The name of a file or folder without where it lies here: others have it elsewhere."""
    return PurePath(source).name
