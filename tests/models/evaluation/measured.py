"""Evaluations that tests need: answers of a network that never was, with what is planted in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.evaluation.evaluation import Evaluation, Subject, evaluate

SUBJECT = Subject("どうぶつ@2", "写真 <春>", "its test part", "onnxruntime")
LABELS = ("いぬ", "<b>cat</b>", "très & long", "a,b\n\"c\"")


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """By row."""
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def drawn(count: int, classes: int, *, sharpness: float = 2.0, seed: int = 7
          ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Probabilities (N, C) that are true, and classes drawn by them."""
    random = np.random.default_rng(seed)
    true = softmax(random.normal(size=(count, classes)) * sharpness)
    classes_of = (true.cumsum(axis=1) < random.random((count, 1))).sum(axis=1).clip(max=classes - 1)
    return true, classes_of.astype(np.int64)


def measured(count: int = 400, labels: Sequence[str] = LABELS, *, temperature: float = 1.0) -> Evaluation:
    """An evaluation of drawn answers, with grey pictures."""
    true, classes = drawn(count, len(labels))
    pixels = np.random.default_rng(1).integers(0, 256, (count, 8, 8, 1), dtype=np.uint8)
    names = [f"写真/{row}.png" for row in range(count)]
    return evaluate(true.astype(np.float32), classes, labels, temperature, subject=SUBJECT, names=names, pixels=pixels)


def certain(answers: Sequence[int], classes: Sequence[int], labels: Sequence[str] = ("a", "b", "c")) -> Evaluation:
    """A network that is always sure."""
    rows = np.eye(len(labels), dtype=np.float32)[list(answers)]
    return evaluate(rows, np.array(classes, np.int64), labels, subject=SUBJECT)
