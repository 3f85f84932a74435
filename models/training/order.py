"""What somebody asked to have trained, checked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from models.data.reading import Wishes
from models.errors import ModelError

_BUDGET = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(s|m|min|h)?", re.IGNORECASE)
_UNIT_S = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
LEAST_S = 30.0
"""Below this nothing can be trained: Keras alone may take half of it to start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One `run.py train`: where the pictures are, what the model is called, and what it may cost.

    `test` is a source of its own that judges in place of a part of `source`. `labels` are the classes' names in the
    order that the source has them, as `a,b,c` or a file with one a line. `flip` is None where the data decides,
    `erase` the share of the side of a square that is blanked out, `distort` 0..1 how much pictures are turned, zoomed
    and sheared. `start` is a version to go on from. `note` is kept with the version as it is. `work` is the folder of
    checkpoints. `report` is where the evaluation's page goes, else into the version.
    """

    source: str
    name: str
    store: Path
    work: Path
    budget_s: float = 1800.0
    architecture: str = "auto"
    size: int | None = None
    weights: Path | None = None
    test: str | None = None
    labels: str | None = None
    flip: bool | None = None
    erase: float = 0.0
    distort: float = 0.0
    start: str | None = None
    seed: int = 1
    is_resumed: bool = False
    wishes: Wishes = field(default_factory=Wishes)
    command: str = ""
    note: str = ""
    report: Path | None = None


def seconds_of(text: str) -> float:
    """Seconds of "45s", "30m", "2h" or a number of minutes; raises `ModelError`."""
    match = _BUDGET.fullmatch(text.strip())
    seconds = float(match[1]) * _UNIT_S[(match[2] or "m").lower()] if match else 0.0
    if not LEAST_S <= seconds <= 30 * 86_400:
        raise ModelError(f"--budget {text}: expected a time such as 45s, 30m or 2h, at least {LEAST_S:.0f} s.")
    return seconds
