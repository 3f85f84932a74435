"""A training that may be stopped at any moment: its choice and its last epoch, in a folder of its own.

The choice is kept because it cost time and chance: a training that goes on must not choose again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.errors import ModelError
from models.training.checkpoint import Checkpoint
from models.training.choice import Choice
from models.training.learning_curve import Curve, Point
from models.training.recipe import Recipe

_FILE = "choice.json"


@dataclass(frozen=True, slots=True)
class Unfinished:
    """`folder` is one model's; `key` says of which data and order."""

    folder: Path
    key: str

    def checkpoint(self, stage: str = "epoch") -> Checkpoint:
        """Where the epochs of a stage are kept."""
        return Checkpoint(self.folder / stage, self.key)

    def write(self, choice: Choice, spent_s: float) -> None:
        """Keep what was chosen, and the seconds of the budget that were spent until then."""
        self.folder.mkdir(parents=True, exist_ok=True)
        content = {"key": self.key, "spent_s": spent_s, "architecture": choice.architecture, "why": choice.why,
                   "recipe": asdict(choice.recipe), "precision": choice.precision,
                   "leaderboard": [dict(row) for row in choice.leaderboard],
                   "curve": None if choice.curve is None else asdict(choice.curve)}
        new = self.folder / f"{_FILE}.new"
        new.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        new.replace(self.folder / _FILE)

    def read(self) -> tuple[Mapping[str, Any], float] | None:
        """The fields of the choice, all but its builder, and the seconds spent; None where there is nothing to go on
        from.

        Raises:
            ModelError: it is damaged, or of other data or another order.
        """
        path = self.folder / _FILE
        if not path.is_file():
            return None
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content.pop("key") != self.key:
                raise ModelError(f"{self.folder} holds a training of other pictures or options: start without --resume,"
                                 " which begins anew.")
            spent_s = float(content.pop("spent_s"))
            curve = content.pop("curve")
            points = () if curve is None else tuple(Point(**point) for point in curve.pop("points"))
            return {**content, "recipe": Recipe(**content["recipe"]), "leaderboard": tuple(content["leaderboard"]),
                    "curve": None if curve is None else Curve(points=points, **curve)}, spent_s
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
            raise ModelError(f"{path} is damaged ({exc}): start without --resume, which begins anew.") from exc

    def remove(self) -> None:
        """It is no longer needed."""
        shutil.rmtree(self.folder, ignore_errors=True)
