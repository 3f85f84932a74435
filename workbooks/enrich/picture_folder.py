"""A folder of pictures as a table: a listing with a column `path` and, where there are subfolders, a column `class`.

The listing is written to a file once, so that an enrichment that goes on has the same rows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from workbooks.enrich.csv_table import CsvTable
from workbooks.enrich.csv_writing import csv_writer
from workbooks.enrich.errors import InputError
from workbooks.enrich.journal import not_written

PATH, CLASS = "path", "class"
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".avif"})


def folder_table(folder: Path, listing: Path, *, is_typed: bool) -> CsvTable:
    """The pictures below `folder`, listed in the file `listing` where that is not there yet.

    Paths are relative to the folder, with slashes on every system, in the order of names; `class` is the name of the
    folder a picture lies in. Names with a dot in front are left out, and links to folders are not followed.

    Raises:
        InputError: there are no pictures.
        OutputError: the listing cannot be written.
    """
    left_out = 0 if listing.exists() else _write(folder, listing)
    table = CsvTable.open(listing, is_typed=is_typed, texts=(PATH, CLASS), encoding="utf-8", separator=",")
    if not table.rows:
        raise InputError(f"There are no pictures in {folder}: expected files that end in"
                         f" {', '.join(sorted(SUFFIXES))}.")
    if left_out:
        table.remarks.append(f"{left_out:,} pictures are left out: their names are no Unicode text.")
    return table


def _write(folder: Path, listing: Path) -> int:
    """Complete at once or not at all; returns how many have a name that is no text."""
    partial = listing.with_suffix(".partial")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            left_out = _list(folder, csv_writer(file))
        partial.replace(listing)
    except OSError as exc:
        raise not_written(listing, exc) from exc
    return left_out


def _list(folder: Path, writer: Any) -> int:
    left_out = 0
    has_classes = any("/" in path for path in _pictures(folder))
    writer.writerow([PATH, CLASS] if has_classes else [PATH])
    for path in _pictures(folder):
        if not _is_text(path):
            left_out += 1
            continue
        place = PurePosixPath(path).parent.name
        writer.writerow([path, place] if has_classes else [path])
    return left_out


def _pictures(folder: Path) -> Iterator[str]:
    """Relative paths, in order."""
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        place = Path(where).relative_to(folder)
        for name in sorted(names):
            path = (place / name).as_posix()
            if Path(name).suffix.lower() in SUFFIXES and not name.startswith("."):
                yield path


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
