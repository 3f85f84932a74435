"""A training on disk after each epoch: weights, optimizer, place in the cycle and history, complete or not at all."""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.errors import ModelError

if TYPE_CHECKING:
    from models.training.loop import Epoch
    from models.training.pace import Pace

_STATE, _ARRAYS = "progress.json", "weights.npz"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`folder` holds it; `key` says of what: another recipe, network or data set never goes on from it."""

    folder: Path
    key: str

    @property
    def exists(self) -> bool:
        """Whether there is one."""
        return (self.folder / _STATE).is_file()

    def write(self, model: Any, pace: Pace, history: list[Epoch]) -> None:
        """Replace what was there; a process that dies here leaves the old one."""
        new, old = self.folder.with_name(self.folder.name + ".new"), self.folder.with_name(self.folder.name + ".old")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        arrays: dict[str, Any] = {f"v{number}": np.asarray(value) for number, value in enumerate(_variables(model))}
        np.savez(new / _ARRAYS, **arrays)
        state = {"key": self.key, "epoch": pace.epoch, "place": pace.place, "seconds": pace.seconds,
                 "costs": {str(side): cost for side, cost in pace.costs.items()},
                 "history": [asdict(epoch) for epoch in history]}
        (new / _STATE).write_text(json.dumps(state), encoding="utf-8")
        shutil.rmtree(old, ignore_errors=True)
        if self.folder.exists():
            self.folder.rename(old)
        new.rename(self.folder)
        shutil.rmtree(old, ignore_errors=True)

    def recover(self) -> None:
        """Put back what a process left aside that died between the two renames."""
        old = self.folder.with_name(self.folder.name + ".old")
        if not self.folder.exists() and (old / _STATE).is_file():
            old.rename(self.folder)

    def read_pace(self, pace: Pace) -> list[Epoch]:
        """Set `pace` to where it was and return the history; raises `ModelError` when it belongs to something else."""
        from models.training.loop import Epoch

        try:
            state = json.loads((self.folder / _STATE).read_text(encoding="utf-8"))
            if state["key"] != self.key:
                raise ModelError(f"{self.folder} holds another training (its data, network or recipe differ): start"
                                 " without --resume, which begins anew.")
            pace.epoch, pace.place, pace.seconds = state["epoch"], state["place"], state["seconds"]
            pace.costs = {int(side): cost for side, cost in state["costs"].items()}
            return [Epoch(**epoch) for epoch in state["history"]]
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise ModelError(f"{self.folder} is damaged ({exc}): start without --resume, which begins anew.") from exc

    def read_weights(self, model: Any) -> None:
        """Give `model` and its optimizer the kept values; raises `ModelError` where they do not fit."""
        try:
            with np.load(self.folder / _ARRAYS, allow_pickle=False) as arrays:
                for number, variable in enumerate(_variables(model)):
                    variable.assign(arrays[f"v{number}"])
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as exc:
            raise ModelError(f"{self.folder} is damaged ({exc}): start without --resume, which begins anew.") from exc

    def remove(self) -> None:
        """It is no longer needed."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _variables(model: Any) -> list[Any]:
    """All that a step changes: weights, statistics, the optimizer's memory, and where dropout's chance stands."""
    return [*model.variables, *model.optimizer.variables]
