"""Keys of what pictures look like, for finding pictures that are there twice: of the picture alone, without a model.

They go the way of every answer, with a fingerprint in the place of a network: read once, decoded in quarantine where
that is due, joined when asked for twice, stored, pending at the deadline. All pictures are read at one size, whatever
the models of the server want, so the key of a picture is always the same. Nothing is made before the first is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.fingerprint import fingerprint
from models.picture import DECODE_POLICY
from models.spec import ModelSpec
from models.version import ModelVersion
from server.engine import Outputs
from server.ranking import Rankings
from server.served_model import ServedModel

if TYPE_CHECKING:
    from server.classify import Outcome
    from server.settings import Settings

_SIZE, _RESIZE = 224, "squash-bilinear-v1"  # what models/fingerprint.py was measured with
WORDS = 4
"""Sixteen bits each of a key, which has 60."""

_DIGITS = 15

KEYS = f"fingerprint-1 {DECODE_POLICY} {_RESIZE} {_SIZE}"
"""The owner of stored keys, as the digest of a version is of its answers."""

_SHARE_OF_CACHE = 8  # one eighth as much memory as a model's answers


def fingerprint_version() -> ModelVersion:
    """How pictures are read for fingerprints; there is no folder."""
    spec = ModelSpec(name="fingerprint", version="1", labels=tuple(map(str, range(WORDS))), input_size=_SIZE,
                     channels=3, resize=_RESIZE, outputs={}, files={}, digest=KEYS)
    return ModelVersion(Path(), spec)


class FingerprintEngine:
    """Makes keys where an engine would run a network."""

    name, max_batch, threads = "fingerprint", 8, 1

    def run(self, pixels: NDArray[np.uint8]) -> Outputs:
        """uint8 (N, 224, 224, 3) -> "keys" (N, 4), 16 bits each."""
        keys = [int(fingerprint(one), 16) for one in pixels]
        words = [[key >> shift & 0xFFFF for shift in (48, 32, 16, 0)] for key in keys]
        return {"keys": np.array(words, np.float32)}

    def warm_up(self) -> None:
        """There is nothing to warm."""


class Fingerprints(ServedModel):
    """The keys at work; they are kept where a model's classes are, in four words."""

    def __init__(self, settings: Settings, **shared: Any) -> None:
        smaller = replace(settings, cache_mb=max(1, settings.cache_mb // _SHARE_OF_CACHE))
        super().__init__(fingerprint_version(), FingerprintEngine(), settings=smaller, **shared)

    def _read(self, outputs: Mapping[str, NDArray[np.float32]], rows: int) -> tuple[Rankings, NDArray[np.float32]]:
        words = outputs["keys"].astype(np.uint16)
        return Rankings(words, np.zeros(words.shape, np.float16)), np.empty((rows, 0), np.float32)


def keys_of(outcome: Outcome) -> list[str | None]:
    """The key of each row of a column that `Fingerprints` answered: 15 hexadecimal digits."""
    words = outcome.rankings.order.astype(np.uint64)
    whole = (words << np.array([48, 32, 16, 0], np.uint64)).sum(axis=1, dtype=np.uint64).tolist()
    texts = [f"{key:0{_DIGITS}x}" for key in whole]
    return [texts[place] if place >= 0 else None for place in outcome.rows.tolist()]
