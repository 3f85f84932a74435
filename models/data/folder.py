"""A folder of class folders as a listing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from models.data.entries import File, Listing
from models.data.layout import entries_by_folder, is_hidden
from models.errors import DataError


def list_folder(path: Path) -> Listing:
    """Every file below `path`, by the folder it lies in; raises `DataError` when it cannot be listed.

    Links to folders are followed, but none that leads back to a folder above it.
    """
    try:
        paths = list(_walk(path))
    except OSError as exc:
        raise DataError(f"{path}: cannot be listed ({exc.strerror or exc}).") from exc
    return entries_by_folder(str(path), paths, lambda relative: File(path / relative))


def _walk(root: Path) -> Iterator[str]:
    above = {root: frozenset({os.path.realpath(root)})}  # the real folders on the way to each that is to come
    for folder, folders, names in os.walk(root, onerror=_refuse, followlinks=True):
        here = Path(folder)
        way = above.pop(here)
        real = {name: os.path.realpath(here / name) for name in sorted(folders) if not is_hidden(name)}
        folders[:] = [name for name in real if real[name] not in way]
        above |= {here / name: way | {real[name]} for name in folders}
        inner = here.relative_to(root).as_posix()
        prefix = "" if inner == "." else f"{inner}/"
        yield from (prefix + name for name in names if not is_hidden(name))


def _refuse(error: OSError) -> None:
    """A folder that cannot be opened stops the run: its pictures would be missing without a word."""
    raise error
