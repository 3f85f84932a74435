"""How good the models are, as tables: from `run.py models evaluate`, or from the evaluation a version carries."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from workbooks.authoring.errors import AuthoringError
from workbooks.authoring.fields import Datatype
from workbooks.gathering.classified import MODEL

_INTERVAL: dict[str, Datatype] = {"": "real", " low": "real", " high": "real"}


def _with_interval(*names: str) -> dict[str, Datatype]:
    return {name + ending: kind for name in names for ending, kind in _INTERVAL.items()}


CONFUSION: Mapping[str, Datatype] = {MODEL: "string", "Truth": "string", "Predicted": "string", "Pictures": "integer",
                                     "Share of truth": "real"}
CLASSES: Mapping[str, Datatype] = {MODEL: "string", "Class": "string", "Pictures": "integer", "Answers": "integer",
                                   "Correct": "integer", **_with_interval("Precision", "Recall", "F1")}
RELIABILITY: Mapping[str, Datatype] = {MODEL: "string", "Line": "string", "Confidence": "real", "Accuracy": "real",
                                       "Accuracy low": "real", "Accuracy high": "real", "Pictures": "integer"}
COVERAGE: Mapping[str, Datatype] = {MODEL: "string", "Threshold": "real", "Coverage": "real", "Accuracy": "real",
                                    "Accuracy low": "real", "Accuracy high": "real", "Pictures": "integer"}
SUMMARY: Mapping[str, Datatype] = {MODEL: "string", "Accuracy": "real", "Accuracy low": "real", "Accuracy high": "real",
                                   "Pictures": "integer", "Wrong": "integer", "Calibration error": "real",
                                   "Log-loss": "real"}
LEADERBOARD: Mapping[str, Datatype] = {MODEL: "string", "Network": "string", "Kind": "string", "Accuracy": "real",
                                       "Accuracy low": "real", "Accuracy high": "real", "Pictures": "integer",
                                       "Seconds": "real"}
DEPTH: Mapping[str, Datatype] = {"Network": "string", "Depth": "integer", "Shortcuts": "string", "Epoch": "integer",
                                 "Training error": "real", "Test error": "real"}
TRUE, BEFORE, AFTER = "true confidence", "before calibration", "as served"
"""The lines of the reliability diagram."""

Rows = dict[str, list[dict[str, Any]]]


def evaluation(model: str, source: str, store: Path) -> dict[str, Any] | None:
    """What is known of a model: measured on `source` now, else what its newest version carries, else None.

    Raises:
        AuthoringError: `models evaluate` cannot measure it; the text is its own.
    """
    if source:
        command = [sys.executable, "-m", "server.models_cli", "evaluate", model, source, "--json",
                   "--store", str(store)]
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
        if done.returncode != 0:
            raise AuthoringError(f"{model} cannot be measured on {source}: {done.stderr.strip()}")
        found: dict[str, Any] = json.loads(done.stdout)
        return found
    carried = sorted((store / model).glob("*/evaluation.json"), key=lambda path: path.parent.name.zfill(9))
    return json.loads(carried[-1].read_text(encoding="utf-8")) if carried else None


def quality_rows(model: str, found: Mapping[str, Any]) -> Rows:
    """The rows an evaluation adds to each table."""
    labels = found["labels"]
    classes = {labels[number]: one["pictures"] for number, one in enumerate(found["classes"])}
    return {
        "confusion": [{MODEL: model, "Truth": labels[truth], "Predicted": labels[answer], "Pictures": count,
                       "Share of truth": round(count / max(1, classes[labels[truth]]), 6)}
                      for truth, answer, count in found["confusion"]],
        "classes": [_class(model, one) for one in found["classes"]],
        "reliability": list(_reliability(model, found)),
        "coverage": [{MODEL: model, "Threshold": one["threshold"], "Coverage": one["coverage"],
                      "Pictures": one["pictures"], **_share("Accuracy", one["accuracy"])} for one in found["coverage"]],
        "summary": [{MODEL: model, **_share("Accuracy", found["accuracy"]), "Pictures": found["pictures"],
                     "Wrong": found["wrong"], "Calibration error": found["after"]["calibration_error"],
                     "Log-loss": found["after"]["log_loss"]}],
    }


def leaderboard_rows(model: str, about: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What was tried when the model was trained; nothing where it was not chosen from several."""
    return [{MODEL: model, "Network": one["name"], "Kind": one["kind"], "Accuracy": one["accuracy"],
             "Accuracy low": one["low"], "Accuracy high": one["high"], "Pictures": one["pictures"],
             "Seconds": one["seconds"]} for one in about.get("leaderboard") or []]


def _share(name: str, share: Mapping[str, Any]) -> dict[str, Any]:
    return {name: share["value"], f"{name} low": share["low"], f"{name} high": share["high"]}


def _class(model: str, one: Mapping[str, Any]) -> dict[str, Any]:
    row = {MODEL: model, "Class": one["label"], "Pictures": one["pictures"], "Answers": one["answers"],
           "Correct": one["correct"]}
    for name in ("precision", "recall", "f1"):
        row |= _share(name.capitalize(), one[name])
    return row


def _reliability(model: str, found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Both lines, and the diagonal on which confidence is true."""
    for line, key in ((BEFORE, "reliability_before"), (AFTER, "reliability_after")):
        for one in found[key]:
            yield {MODEL: model, "Line": line, "Confidence": one["confidence"], "Pictures": one["pictures"],
                   **_share("Accuracy", one["accuracy"])}
    for end in (0.0, 1.0):
        yield {MODEL: model, "Line": TRUE, "Confidence": end, "Accuracy": end, "Accuracy low": None,
               "Accuracy high": None, "Pictures": None}
