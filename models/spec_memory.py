"""`model.json` files read once: who looks at a store every second must not parse every version every second."""

from __future__ import annotations

from pathlib import Path

from models.errors import SpecError
from models.spec import SPEC_FILE, ModelSpec, read_spec

Mark = tuple[int, ...]
"""What of a file changes when its content does: size, times, and which file it is."""


def mark_of(path: Path) -> Mark:
    """The mark of a file; empty where there is none or it cannot be looked at."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


class SpecMemory:
    """Reads as `read_spec` does, and again only where the file has changed; for many threads."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[Mark, ModelSpec]] = {}

    def __call__(self, path: Path) -> ModelSpec:
        """See `models.spec.read_spec`."""
        mark = mark_of(path)  # before reading: a change in between is seen the next time
        known = self._known.get(path)
        if known is not None and known[0] == mark:
            return known[1]
        self._known.pop(path, None)
        if not mark:
            raise SpecError(f"{SPEC_FILE}: cannot be read.")
        spec = read_spec(path)
        self._known[path] = (mark, spec)
        return spec
