"""Wrong answers, the most confident first: where a label is wrong, or a model has learned something odd."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.evaluation.trust import as_served

MOST = 10_000
"""Mistakes that are kept; more would tell nothing and fill the file."""

SHOWN = 24
"""Mistakes with a thumbnail."""

_SIDE = 128  # pixels of a thumbnail at most
_SHARP_UP_TO = 64  # sides up to which PNG is smaller than JPEG is good


@dataclass(frozen=True, slots=True)
class Mistake:
    """A picture by its name, the places of truth and answer in the labels, and both calibrated probabilities.

    The probabilities are as the server answers them. `rank` is that of the truth: 2 is the next guess. `thumbnail` is a
    data URI of what the network saw, or empty.
    """

    picture: str
    truth: int
    answer: int
    confidence: float
    of_truth: float
    rank: int
    thumbnail: str = ""


def worst(probabilities: NDArray[np.floating], classes: NDArray[np.int64], names: Sequence[str],
          pixels: NDArray[np.uint8] | None) -> tuple[Mistake, ...]:
    """Up to `MOST` wrong rows of calibrated (N, C), the first `SHOWN` with thumbnails where `pixels` are given."""
    answers, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(answers != classes)
    rows = wrong[np.argsort(-confidence[wrong], kind="stable")][:MOST]
    of_truth = probabilities[rows, classes[rows]]
    said, said_of_truth = as_served(confidence[rows]), as_served(of_truth)
    ranks = 1 + (probabilities[rows] > of_truth[:, None]).sum(axis=1)
    return tuple(
        Mistake(names[row], int(classes[row]), int(answers[row]), float(said[number]), float(said_of_truth[number]),
                max(2, int(ranks[number])),
                "" if pixels is None or number >= SHOWN else thumbnail(pixels[row]))
        for number, row in enumerate(rows))


def thumbnail(pixels: NDArray[np.uint8]) -> str:
    """uint8 (S, S, C) as a data URI: PNG where small, else JPEG."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.BILINEAR)
    kind = "PNG" if max(image.size) <= _SHARP_UP_TO else "JPEG"
    file = io.BytesIO()
    image.save(file, kind, quality=85)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
