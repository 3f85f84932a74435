"""Names and ids inside a workbook: the same input gives the same id, so that a workbook built twice is the same."""

from __future__ import annotations

import hashlib
import uuid

_SPACE = uuid.UUID("5b0b3a52-4f3c-5c0e-9a44-70697866696c")  # ours alone; any fixed value would do


def bracketed(name: str) -> str:
    """A field's name as Tableau writes it: `[name]`, with a closing bracket inside it doubled."""
    return "[" + name.replace("]", "]]") + "]"


def qualified(source: str, inside: str) -> str:
    """A field or instance of a data source: `[source].[inside]`; `inside` has its brackets already."""
    return f"[{source}].{inside}"


def simple_uuid(*parts: str) -> str:
    """A UUID made of what it stands for, in braces: `{0123...}`."""
    return "{" + str(uuid.uuid5(_SPACE, "/".join(parts))).upper() + "}"


def hexadecimal(*parts: str, digits: int = 32) -> str:
    """A name of hexadecimal digits made of what it stands for."""
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:digits]


def calculation_name(*parts: str) -> str:
    """What Tableau calls a calculated field inside: `Calculation_` and nineteen digits."""
    number = int(hexadecimal(*parts, digits=15), 16) % 10**18
    return f"Calculation_{10**18 + number}"
