"""The `.twbx`: a zip of the workbook, its extracts, their CSV twins and its pictures.

The same workbook gives the same bytes: names are sorted, every entry has one date. Hyper gives each file it writes an
id of its own; where the old package holds a twin with the same content, its extract is taken over.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

from workbooks.authoring import hyper
from workbooks.authoring.errors import AuthoringError
from workbooks.authoring.source import Source
from workbooks.authoring.target import Target
from workbooks.authoring.workbook import Workbook, workbook_bytes

_DATE = (1980, 1, 1, 0, 0, 0)  # the first a zip can say


def twin_of(source: Source) -> str:
    """Where the CSV twin of a source's extract lies in the package."""
    return f"Data/CSV/{source.table.name}.csv" if source.storage == "hyper" else source.file


def write_package(path: Path, workbook: Workbook, target: Target) -> int:
    """Write the workbook to `path`, complete or not at all; returns its size in bytes.

    Raises:
        AuthoringError: the extract or the file cannot be written.
    """
    entries = dict(_entries(workbook, target, _Old(path)))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(entries):
            about = zipfile.ZipInfo(name, _DATE)
            about.compress_type, about.external_attr, about.create_system = zipfile.ZIP_DEFLATED, 0o644 << 16, 3
            archive.writestr(about, entries[name])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(path.name + ".new")
        new.write_bytes(file.getvalue())
        new.replace(path)
    except OSError as exc:
        raise AuthoringError(f"{path} cannot be written ({exc.strerror or exc}): close it in Tableau, or name another"
                             " folder with --out.") from exc
    return path.stat().st_size


def _entries(workbook: Workbook, target: Target, old: _Old) -> Iterator[tuple[str, bytes]]:
    yield f"{workbook.name}.twb", workbook_bytes(workbook, target)
    yield from workbook.pictures.items()
    for source in workbook.sources:
        twin = source.table.to_csv()
        yield twin_of(source), twin
        if source.storage == "hyper":
            yield source.file, old.extract(source, twin) or hyper.to_hyper(source.table)


class _Old:
    """The package that is about to be replaced, if there is one."""

    def __init__(self, path: Path) -> None:
        try:
            with zipfile.ZipFile(path) as archive:
                self._entries = {name: archive.read(name) for name in archive.namelist() if name.startswith("Data/")}
        except (OSError, zipfile.BadZipFile):
            self._entries = {}

    def extract(self, source: Source, twin: bytes) -> bytes | None:
        """Its extract of a source whose twin is still the same."""
        return self._entries.get(source.file) if self._entries.get(twin_of(source)) == twin else None
