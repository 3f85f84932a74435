"""A model version on disk: a folder whose every file is listed with its SHA-256 in `model.json`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from models.errors import DamagedModelError, ModelError, SpecError
from models.golden import GoldenSet, read_golden
from models.names import normal
from models.spec import SPEC_FILE, ModelSpec, read_spec


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A version folder and what its `model.json` says."""

    folder: Path
    spec: ModelSpec

    @property
    def reference(self) -> str:
        """How people write it: name@version."""
        return f"{self.spec.name}@{self.spec.version}"

    def path(self, name: str) -> Path | None:
        """The path of a listed file, or None when the version has none of that name."""
        return self.folder / name if name in self.spec.files else None

    def verify(self) -> None:
        """Compare every file with its SHA-256 in `model.json`.

        Raises:
            DamagedModelError: names the first file that is missing or differs.
        """
        for name, expected in self.spec.files.items():
            try:
                actual = file_digest(self.folder / name)
            except OSError as exc:
                reason = exc.strerror or str(exc)
                raise DamagedModelError(f"{self.reference}: {name} cannot be read ({reason}). {_REMEDY}") from exc
            if actual != expected:
                raise DamagedModelError(
                    f"{self.reference}: {name} has SHA-256 {actual[:12]}, model.json says {expected[:12]}. {_REMEDY}"
                )

    def golden(self) -> GoldenSet:
        """The golden pictures and their outputs; raises `models.golden.GoldenMismatchError` when they are unusable."""
        return read_golden(self.folder, self.spec)


_REMEDY = "Copy the folder again from where it was made."


def open_version(folder: Path, *, read: Callable[[Path], ModelSpec] = read_spec) -> ModelVersion:
    """The version in `folder`, with nothing but `model.json` read, by `read`.

    Raises:
        ModelError: no usable `model.json`, another name or version than the folder's, or a listed file is missing.
    """
    reference = f"{normal(folder.parent.name)}@{normal(folder.name)}"
    if not (folder / SPEC_FILE).is_file():
        raise ModelError(f"{reference}: there is no {SPEC_FILE}: the folder is half copied or no model.")
    try:
        spec = read(folder / SPEC_FILE)
    except SpecError as exc:
        raise ModelError(f"{reference}: {exc}") from exc
    version = ModelVersion(folder, spec)
    if normal(version.reference) != reference:
        raise ModelError(f"{reference}: model.json says {version.reference}; rename the folders to match.")
    missing = [name for name in spec.files if not (folder / name).is_file()]
    if missing:
        raise ModelError(f"{reference}: {missing[0]} is missing: the folder is half copied.")
    return version


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
