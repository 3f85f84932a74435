"""The sentence that reads as a training: an order in, a served version out.

    order -> material -> choice -> training -> temperature -> test, once -> version folder
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.adding import next_version
from models.calibration import calibrate, expected_calibration_error, negative_log_likelihood
from models.data.entries import Problem
from models.export import export_version
from models.interval import wilson
from models.spec import ModelSpec
from models.training.card import about
from models.training.choice import Choice, builder, choose, start_of
from models.training.loop import Epoch, predict
from models.training.material import Material, gather, tell
from models.training.order import Order
from models.training.referencing import Kept, reference_of
from models.training.report import report
from models.training.suspects import suspects
from models.training.tries import Try, Trying
from models.training.unfinished import Unfinished
from models.version import ModelVersion

log = logging.getLogger(__name__)

Say = Callable[[str], None]

_GOLDEN = 10
_FINISH_SHARE, _FINISH_MOST_S = 0.08, 90.0  # of the budget, for measuring, the export and the reference


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A trained network and what became of it: `validation` and `test` are probabilities before the temperature."""

    model: Any
    choice: Choice
    history: list[Epoch]
    temperature: float
    validation: NDArray[np.float32]
    test: NDArray[np.float32]
    seconds: float


def train(order: Order, *, say: Say, started: float) -> ModelVersion:
    """Train what `order` asks for and write it as the model's next version.

    Args:
        order: the source, the name, the budget.
        say: told what happens, a line at a time.
        started: time.monotonic() when the budget began to run.

    Raises:
        ModelError: the source, the architecture or the checkpoint cannot be used; says why.
    """
    material = gather(order, say=say)
    unfinished = Unfinished(order.work / order.name, _key(order, material))
    reserve_s = min(_FINISH_MOST_S, _FINISH_SHARE * order.budget_s)
    choice, spent_s = _chosen(order, material, unfinished, ends_at=started + order.budget_s - reserve_s, say=say,
                              started=started)
    within_s = order.budget_s - reserve_s - spent_s
    best = Trying(material, unfinished, say).run(choice, within_s=within_s, spent_s=spent_s)
    trained = finish(best, material, started=started, say=say)
    doubted = suspects(material, trained)
    tell(doubted, say)
    version = write(order, material, trained, doubted,
                    reference_of(order, material, best.model, within_s=reserve_s / 2, say=say))
    unfinished.remove()
    return version


def _chosen(order: Order, material: Material, unfinished: Unfinished, *, ends_at: float, started: float, say: Say
            ) -> tuple[Choice, float]:
    """The choice, made now or found again, and the seconds of the budget that are gone when the training begins."""
    kept = unfinished.read() if order.is_resumed else None
    if kept is not None:
        fields, spent_s = kept
        say(f"going on with {fields['architecture']}")
        build = builder(fields["architecture"], material, order.weights)
        return Choice(build=build, is_fine_tuned=order.weights is not None, start=start_of(order, material),
                      **fields), spent_s
    if order.is_resumed:
        say("there is nothing to go on from: beginning anew")
    unfinished.remove()
    choice = choose(order, material, ends_at=ends_at, say=say)
    spent_s = time.monotonic() - started
    unfinished.write(choice, spent_s)
    return choice, spent_s


def finish(best: Try, material: Material, *, started: float, say: Say) -> Trained:
    """Look at the test pictures, once."""
    test = predict(best.model, material.judging.pixels)
    measured = measure(test, material.judging.classes, best.temperature)
    say(f"test: {measured['pictures']:,} pictures, accuracy {measured['accuracy']:.2%}"
        f" ({measured['low']:.2%} to {measured['high']:.2%}), expected calibration error"
        f" {measured['calibration_error']:.4f} (before the temperature {measured['calibration_error_before']:.4f})")
    return Trained(best.model, best.choice, best.history, best.temperature, best.validation, test,
                   time.monotonic() - started)


def write(order: Order, material: Material, trained: Trained, doubted: Sequence[Problem], reference: Kept
          ) -> ModelVersion:
    """The version folder; `doubted` are the pictures whose labels the network doubts."""
    data = material.data
    spec = ModelSpec(name=order.name, version=next_version(order.store / order.name), labels=data.labels,
                     input_size=data.size, channels=data.channels, resize=data.resize,
                     temperature=trained.temperature, outputs={}, files={},
                     about=about(order, material, trained, doubted) | reference.about)
    extra = {**report(order, material, trained, spec), **reference.files}
    return export_version(trained.model, spec, golden(material, trained.validation), root=order.store, extra=extra)


def measure(probabilities: NDArray[np.float32], classes: NDArray[np.int64], temperature: float) -> dict[str, Any]:
    """What the card says of a part: counts, accuracy and its interval, log-loss, calibration before and after."""
    calibrated = calibrate(probabilities, temperature)
    right = int((probabilities.argmax(axis=1) == classes).sum())
    low, high = wilson(right, len(classes))
    return {
        "pictures": len(classes),
        "accuracy": round(right / len(classes), 5),
        "low": round(low, 5),
        "high": round(high, 5),
        "log_loss": round(negative_log_likelihood(calibrated, classes), 5),
        "calibration_error": round(expected_calibration_error(calibrated, classes), 5),
        "calibration_error_before": round(expected_calibration_error(probabilities, classes), 5),
    }


def golden(material: Material, validation: NDArray[np.float32]) -> dict[str, bytes]:
    """PNG files of validation pictures as the network sees them, of as many classes as there are, the clearest of each:
    a tie would fail on another machine for no reason."""
    part = material.validating
    ranked = np.sort(validation, axis=1)
    margins = ranked[:, -1] - ranked[:, -2]
    by_class = [[int(row) for row in np.argsort(-margins, kind="stable") if part.classes[row] == label]
                for label in range(len(material.data.labels))]
    turns = [rows[turn] for turn in range(max(map(len, by_class))) for rows in by_class if turn < len(rows)]
    return {f"picture-{number:02d}.png": png(part.pixels[row]) for number, row in enumerate(turns[:_GOLDEN])}


def png(pixels: NDArray[np.uint8]) -> bytes:
    """uint8 (S, S, C) as a PNG file."""
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(file, "PNG")
    return file.getvalue()


def _key(order: Order, material: Material) -> str:
    """What an unfinished training must agree with to be gone on with."""
    content = {"data": material.data.digest, "judge": material.judge.digest, "seed": order.seed, "flip": order.flip,
               "architecture": order.architecture, "size": material.data.size, "weights": str(order.weights or "")}
    if order.start is not None:
        content["from"] = order.start
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
