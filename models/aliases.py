"""What the aliases of one model mean, and meant before: `aliases.json` and `alias-history.json` beside its versions.

`aliases.json` is an object of texts, alias -> version. The history has a file of its own, alias -> the versions it
meant before, the last one last. Both are exchanged whole, so a reader never meets half a file; writers take turns
behind a lock. An entry is written to the history before its alias moves on and taken out after it moved back: a writer
that is killed in between leaves an entry equal to the alias, which is passed over.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from models.errors import ModelError
from models.names import name_fault, normal

ALIAS_FILE = "aliases.json"
HISTORY_FILE = "alias-history.json"
LOCK_FILE = ".aliases.lock"
REMEMBERED = 50
"""How many earlier targets of an alias are kept."""

_WAIT_S = 10.0  # for another writer: each of them takes milliseconds
_TRIES, _AGAIN_S = 50, 0.02  # Windows does not exchange a file while somebody reads it


@dataclass(frozen=True, slots=True)
class Aliases:
    """The aliases in the folder of one model; nothing is kept, each question reads the files."""

    folder: Path

    def read(self) -> dict[str, str]:
        """Alias -> version; empty without the file.

        Raises:
            ModelError: the file is no JSON object of texts.
        """
        content = self._object(ALIAS_FILE)
        if not all(isinstance(value, str) for value in content.values()):
            raise ModelError(f'{self._where(ALIAS_FILE)}: expected an object of texts such as {{"champion": "1"}}.')
        for alias in content:
            fault = name_fault(alias)
            if fault:
                raise ModelError(f"{self._where(ALIAS_FILE)}: the alias {alias!r} {fault}.")
        return {normal(alias): normal(target) for alias, target in content.items()}

    def history(self) -> dict[str, list[str]]:
        """Alias -> what it meant before, the last one last; empty without the file.

        Raises:
            ModelError: the file is no JSON object of lists of texts.
        """
        content = self._object(HISTORY_FILE)
        for targets in content.values():
            if not isinstance(targets, list) or not all(isinstance(target, str) for target in targets):
                raise ModelError(f"{self._where(HISTORY_FILE)}: expected an object of lists of texts; delete the file"
                                 " to begin a new history.")
        return {normal(alias): [normal(target) for target in targets] for alias, targets in content.items()}

    def before(self, alias: str) -> list[str]:
        """What `alias` meant before, the last one last, without what it means now at the end of it."""
        targets, now = self.history().get(alias, []), self.read().get(alias)
        while targets and targets[-1] == now:
            targets.pop()
        return targets

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """The right to change the files, until the end of the block.

        Raises:
            ModelError: another writer has it, or the folder cannot be written.
        """
        lock = FileLock(self.folder / LOCK_FILE)
        try:
            lock.acquire(timeout=_WAIT_S)
        except Timeout as exc:
            raise ModelError(f"Another command is changing the aliases of {self.folder.name}: try again.") from exc
        except (OSError, NotImplementedError) as exc:
            raise ModelError(f"{self.folder} cannot be written ({exc}): mend its rights.") from exc
        try:
            yield
        finally:
            lock.release()

    def move_on(self, alias: str, target: str | None, *, before: str | None) -> None:
        """Let `alias` mean `target`, None for nothing, and remember `before`; inside `writing`."""
        if before is not None:
            self._write(HISTORY_FILE, self.history() | {alias: [*self.before(alias), before][-REMEMBERED:]})
        self._set(alias, target)

    def move_back(self, alias: str, target: str, *, left: list[str]) -> None:
        """Let `alias` mean `target` again, with `left` as its history; inside `writing`."""
        self._set(alias, target)
        self._write(HISTORY_FILE, self.history() | {alias: left})

    def forget(self) -> None:
        """Delete the files of a model that has no version any more; aliases that are left keep theirs."""
        with contextlib.suppress(ModelError, OSError):
            if not self.read():
                for name in (ALIAS_FILE, HISTORY_FILE):
                    (self.folder / name).unlink(missing_ok=True)
                    (self.folder / f".{name}.new").unlink(missing_ok=True)
                (self.folder / LOCK_FILE).unlink(missing_ok=True)

    def _set(self, alias: str, target: str | None) -> None:
        aliases = {name: version for name, version in self.read().items() if name != alias}
        self._write(ALIAS_FILE, aliases | ({} if target is None else {alias: target}))

    def _where(self, name: str) -> str:
        return f"{self.folder.name}/{name}"

    def _object(self, name: str) -> dict[str, Any]:
        try:
            content = json.loads((self.folder / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as exc:
            raise ModelError(f"{self._where(name)}: is not JSON in UTF-8 ({exc}).") from exc
        if not isinstance(content, dict):
            raise ModelError(f'{self._where(name)}: expected an object of texts such as {{"champion": "1"}}.')
        return content

    def _write(self, name: str, content: Mapping[str, object]) -> None:
        """Exchange the file whole: what was there stays until all of the new one is on the disk."""
        new = self.folder / f".{name}.new"  # one name: there is one writer, and a killed one leaves no heap of them
        try:
            with new.open("w", encoding="utf-8", newline="\n") as file:
                json.dump(content, file, ensure_ascii=False, indent=2, sort_keys=True)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            _exchange(new, self.folder / name)
        except OSError as exc:
            new.unlink(missing_ok=True)
            raise ModelError(f"{self._where(name)} cannot be written ({exc.strerror}): make room on its disk, or mend"
                             " its rights.") from exc


def _exchange(new: Path, old: Path) -> None:
    for _ in range(_TRIES):
        try:
            new.replace(old)
        except PermissionError:
            if os.name != "nt":
                raise
            time.sleep(_AGAIN_S)
        else:
            return
    new.replace(old)
