"""Which model versions there are, and which one a reference means.

Folders `<root>/<name>/<version>/` enter; a reference such as "digits", "digits@2" or "digits@champion" becomes a
`ModelVersion`. Nothing is kept: each question looks at the folders, so a copied or removed version counts at once.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.aliases import ALIAS_FILE, Aliases
from models.errors import DamagedModelError, ModelError, UnknownModelError
from models.names import name_fault, normal, version_key
from models.version import ModelVersion, open_version

__all__ = ["CHAMPION", "DamagedModelError", "ModelError", "ModelVersion", "Registry", "UnknownModelError"]

CHAMPION = "champion"
"""The alias that a bare name means."""


@dataclass(frozen=True, slots=True)
class Registry:
    """The versions under `roots`; where two roots hold the same name and version, the first root's counts."""

    roots: Sequence[Path]
    open_version: Callable[[Path], ModelVersion] = open_version

    def names(self) -> list[str]:
        """Names with at least one usable version, sorted."""
        return sorted(name for name in self.all_names() if self.versions(name))

    def versions(self, name: str) -> list[str]:
        """Usable versions of a model, the highest last: "2" before "10"."""
        return [version.spec.version for version in self.usable(name)]

    def usable(self, name: str) -> list[ModelVersion]:
        """The usable versions themselves, in the same order."""
        return [outcome for _, outcome in self._outcomes(name) if isinstance(outcome, ModelVersion)]

    def problems(self) -> list[str]:
        """Why each unusable folder is not listed."""
        return [outcome for name in self.all_names() for _, outcome in self._outcomes(name)
                if isinstance(outcome, str)]

    def aliases(self, name: str) -> dict[str, str]:
        """Alias -> version, as `<root>/<name>/aliases.json` says; empty without the file.

        Raises:
            ModelError: the file is no JSON object of texts.
        """
        for folder in self._folders_of(name):
            if (folder / ALIAS_FILE).is_file():
                return Aliases(folder).read()
        return {}

    def folder(self, name: str) -> Path:
        """The folder of a model, where its aliases are; raises UnknownModelError without one."""
        folders = self._folders_of(normal(name))
        if not folders:
            raise UnknownModelError(f"There is no model {name!r}. {self._listing()}")
        return next((folder for folder in folders if (folder / ALIAS_FILE).is_file()), folders[0])

    def has(self, name: str, version: str) -> bool:
        """Whether there is a folder of that version, usable or not."""
        return any(normal(folder.name) == normal(version) for folder in self._version_folders(normal(name)))

    def outcomes(self, name: str) -> dict[str, ModelVersion | str]:
        """Version -> itself, or why it is unusable; the highest last."""
        return {normal(folder.name): outcome for folder, outcome in self._outcomes(name)}

    def resolve(self, reference: str | None, default: str | None = None) -> ModelVersion:
        """The version that `reference` means, else `default`, else the only model there is.

        "name" and "name@champion" are its champion, or without an alias its highest version; after "@" an exact version
        goes before an alias.

        Raises:
            UnknownModelError: nothing usable belongs to it.
            ModelError: an alias file that cannot be read.
        """
        wanted = normal((reference or default or self._only_name()).strip())
        name, _, what = wanted.partition("@")
        for part in (name, what) if "@" in wanted else (name,):
            fault = name_fault(part)
            if fault:
                raise UnknownModelError(f"Model {wanted!r} {fault}; expected name, name@version or name@alias.")
        usable = self.usable(name)
        if not usable:
            raise UnknownModelError(f"{self._reason_against(name)} {self._listing()}")
        return self._choose(name, what, usable)

    def remove(self, name: str, version: str) -> Path:
        """Delete a version's folder, usable or not, and return where it was.

        Raises:
            UnknownModelError: there is no such folder.
            ModelError: an alias points at it, or the folder is in use.
        """
        folder = next((f for f in self._version_folders(name) if normal(f.name) == normal(version)), None)
        if folder is None:
            raise UnknownModelError(f"There is no {name}@{version}. {self._listing()}")
        aliases = Aliases(folder.parent)
        with aliases.writing():
            pointing = sorted(alias for alias, target in self.aliases(name).items() if target == normal(version))
            if pointing:
                raise ModelError(f"{name}@{version} is what {pointing[0]} means; promote another version, or take the"
                                 f" alias away with `run.py models unalias {name}@{pointing[0]}`.")
            _delete(folder)
        if not _subfolders(folder.parent):
            aliases.forget()
        with contextlib.suppress(OSError):  # the name's folder stays where something else is in it
            folder.parent.rmdir()
        return folder

    def _choose(self, name: str, what: str, usable: list[ModelVersion]) -> ModelVersion:
        by_version = {normal(version.spec.version): version for version in usable}
        if what in by_version:
            return by_version[what]
        aliases = self.aliases(name)
        target = aliases.get(what or CHAMPION)
        if target is None and what in ("", CHAMPION):
            return usable[-1]
        if target is not None and target in by_version:
            return by_version[target]
        wanted = f"{name}@{target or what}"
        faults = (text for _, text in self._outcomes(name) if isinstance(text, str))
        reason = next((text for text in faults if text.startswith(f"{wanted}:")), f"There is no {wanted}.")
        known = ", ".join([*by_version, *sorted(aliases)])
        raise UnknownModelError(f"{reason} {name} has: {known}.")

    def _only_name(self) -> str:
        names = self.names()
        if len(names) == 1:
            return names[0]
        if not names:
            raise UnknownModelError(f"There is no model. {self._listing()}")
        raise UnknownModelError(f"Which model? {self._listing()}")

    def _listing(self) -> str:
        names = self.names()
        if names:
            return f"Models: {', '.join(names)}."
        return f"No usable model in {', '.join(map(str, self.roots))}; `run.py models add` makes one."

    def _reason_against(self, name: str) -> str:
        return next((text for _, text in self._outcomes(name) if isinstance(text, str)), f"There is no model {name!r}.")

    def all_names(self) -> list[str]:
        """Names with at least one folder, usable or not, sorted."""
        found = {normal(folder.name) for root in self.roots for folder in _subfolders(root)}
        return sorted(found)

    def _folders_of(self, name: str) -> list[Path]:
        return [folder for root in self.roots for folder in _subfolders(root) if normal(folder.name) == normal(name)]

    def _version_folders(self, name: str) -> list[Path]:
        first: dict[str, Path] = {}
        for parent in self._folders_of(name):
            for folder in _subfolders(parent):
                first.setdefault(normal(folder.name), folder)
        return sorted(first.values(), key=lambda folder: version_key(normal(folder.name)))

    def _outcomes(self, name: str) -> Iterator[tuple[Path, ModelVersion | str]]:
        for folder in self._version_folders(name):
            try:
                yield folder, self.open_version(folder)
            except ModelError as exc:
                yield folder, str(exc)


def _subfolders(folder: Path) -> list[Path]:
    """Folders that may be names or versions; dotted ones are being written or removed."""
    try:
        return sorted(path for path in folder.iterdir() if not name_fault(path.name) and path.is_dir())
    except OSError:  # no such root, or not readable: there is no model in it, and the listing names the roots
        return []


def _delete(folder: Path) -> None:
    parted = folder.with_name(f".removed-{folder.name}")  # a dotted name is never listed, even half deleted
    try:
        folder.rename(parted)
        shutil.rmtree(parted)
    except OSError as exc:
        raise ModelError(f"{folder} cannot be removed ({exc.strerror}); stop what uses it.") from exc
