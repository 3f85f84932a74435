"""Column names that differ: in Tableau two fields are the same when only the case of their letters differs."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence


def key_of(name: str) -> str:
    """What two names have in common that Tableau would take for one."""
    return unicodedata.normalize("NFC", name).strip().casefold()


def unique(names: Sequence[str], *, taken: Iterable[str] = ()) -> list[str]:
    """The names, none of which is one of `taken` or comes twice: `_2`, `_3` and so on behind the later one."""
    keys = {key_of(name) for name in taken}
    result = []
    for name in names:
        candidate, number = name, 1
        while key_of(candidate) in keys:
            number += 1
            candidate = f"{name}_{number}"
        keys.add(key_of(candidate))
        result.append(candidate)
    return result


def header(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """A table's own head with unique names, a name where there is none, and what was changed, in sentences."""
    named = [name if name.strip() else f"Column {number}" for number, name in enumerate(names, 1)]
    result = unique(named)
    remarks = [f"Column {number} is called {new!r}, because " + ("it has no name." if not old.strip() else
               f"there is a {old!r} before it.")
               for number, (old, new) in enumerate(zip(names, result, strict=True), 1) if old != new]
    return result, remarks
