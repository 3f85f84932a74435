"""Which pictures a model is shown: a table or a folder of labelled ones, or those that came with the version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workbooks.authoring.errors import AuthoringError
from workbooks.authoring.table import read_csv

ENDINGS = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff")


@dataclass(frozen=True, slots=True)
class Pictures:
    """Paths as the server is asked for them, the truth of each or None, and the folder they lie in on this machine.

    `source` is what `models evaluate` reads; empty where there is nothing to measure by.
    """

    paths: tuple[str, ...]
    truths: tuple[str | None, ...]
    folder: Path
    source: str = ""

    def at_most(self, rows: int) -> Pictures:
        """Evenly chosen ones, where there are more."""
        if len(self.paths) <= rows:
            return self
        chosen = [place * len(self.paths) // rows for place in range(rows)]
        return Pictures(tuple(self.paths[place] for place in chosen), tuple(self.truths[place] for place in chosen),
                        self.folder, self.source)


def from_table(path: Path, source: str) -> Pictures:
    """A table as the demo writes it: a column of paths, then one of true labels; pictures lie in a folder of its name.
    """
    table = read_csv(path)
    if len(table.columns) < 2:
        raise AuthoringError(f"{path} needs two columns: a picture's path and its true label.")
    names = list(table.columns)
    return Pictures(tuple(str(row[names[0]]) for row in table.rows), tuple(str(row[names[1]]) for row in table.rows),
                    path.with_suffix(""), source)


def from_folder(folder: Path) -> Pictures:
    """All pictures below a folder; where they lie in subfolders, these are the truth."""
    if not folder.is_dir():
        raise AuthoringError(f"{folder} is no folder: name one with pictures, in subfolders named as the classes.")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS)
    if not files:
        raise AuthoringError(f"{folder} has no pictures ({', '.join(ENDINGS)}): name another folder.")
    inside = [path.relative_to(folder) for path in files]
    is_labelled = all(len(path.parts) > 1 for path in inside)
    truths: Sequence[str | None] = [path.parts[0] if is_labelled else None for path in inside]
    return Pictures(tuple(path.as_posix() for path in inside), tuple(truths), folder,
                    str(folder) if is_labelled else "")


def golden(store: Path, model: str) -> Pictures | None:
    """The pictures that came with the newest version of a model, without a truth; None where there are none.

    Their paths begin at the store, since those of other models have the same names.
    """
    versions = sorted((path for path in (store / model).glob("*") if path.name.isdigit()), key=lambda path:
                      int(path.name))
    folders = [path / "golden" for path in versions if (path / "golden").is_dir()]
    if not folders:
        return None
    place = folders[-1].relative_to(store)
    paths = tuple((place / path).as_posix() for path in from_folder(folders[-1]).paths)
    return Pictures(paths, tuple(None for _ in paths), store)
