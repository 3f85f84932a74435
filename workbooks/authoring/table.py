"""A table of built-in values with named, typed columns, and its CSV twin.

Text, whole numbers, real numbers and truth values, each or null; an empty cell is a null, in Tableau too.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbooks.authoring.errors import AuthoringError
from workbooks.authoring.fields import Datatype

_LONGEST_CELL = 2**31 - 1  # what fits a C long everywhere: an embedding or a picture as text is longer than 131,072


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Columns (name -> datatype) and rows; `name` is what its files are called. Every row has every column."""

    name: str
    columns: Mapping[str, Datatype]
    rows: Sequence[Mapping[str, Any]]

    def column(self, name: str) -> list[Any]:
        """One column's values."""
        return [row[name] for row in self.rows]

    def to_csv(self) -> bytes:
        """The twin: UTF-8 with the mark Excel looks for, a header, real numbers so that they are read back the same."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(self.columns)
        writer.writerows([cell(row[name]) for name in self.columns] for row in self.rows)
        return text.getvalue().encode("utf-8-sig")


def cell(value: Any) -> str:
    """A value as a cell; null is empty."""
    if value is None:
        return ""
    return repr(value) if isinstance(value, bool | int | float) else str(value)


def made(name: str, columns: Mapping[str, Datatype], rows: Iterable[Sequence[Any]]) -> Table:
    """A table of rows in the columns' order."""
    return Table(name, columns, [dict(zip(columns, row, strict=True)) for row in rows])


def from_csv(data: bytes, name: str, columns: Mapping[str, Datatype] | None = None) -> Table:
    """A table from CSV in UTF-8; without `columns`, each column's type is found out from its values.

    Raises:
        AuthoringError: it is no CSV in UTF-8, has no header, or a row with more or fewer cells.
    """
    csv.field_size_limit(_LONGEST_CELL)
    try:
        lines = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True))
    except UnicodeDecodeError as exc:
        raise AuthoringError(f"{name} is not UTF-8: save it as CSV UTF-8.") from exc
    except csv.Error as exc:
        raise AuthoringError(f"{name} is no CSV ({exc}): save it with commas and a header.") from exc
    if not lines or not all(lines[0]) or len(set(lines[0])) < len(lines[0]):
        raise AuthoringError(f"{name} needs a header in which every column has a name of its own.")
    head, body = lines[0], [line for line in lines[1:] if line]
    for number, line in enumerate(body, 2):
        if len(line) != len(head):
            raise AuthoringError(f"{name}, row {number}: {len(line)} cells, the header has {len(head)}.")
    types = columns or {column: found_type([line[place] for line in body]) for place, column in enumerate(head)}
    return made(name, types, ([_parsed(text, types[column]) for text, column in zip(line, head, strict=True)]
                              for line in body))


def read_csv(path: Path) -> Table:
    """The table in a file; raises `AuthoringError` where it cannot be read."""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():  # a pipe is waited for without end
            raise AuthoringError(f"{path} is no file: name a CSV file.")
        data = path.read_bytes()
    except (OSError, ValueError) as exc:
        why = getattr(exc, "strerror", None) or exc
        raise AuthoringError(f"{path} cannot be read ({why}): name a CSV file.") from exc
    return from_csv(data, path.stem)


def found_type(texts: Iterable[str]) -> Datatype:
    """The narrowest type all cells have; text where there is none. Numbers with leading zeros are keys, so text."""
    filled = [text for text in texts if text]
    if not filled:
        return "string"
    if all(text in ("True", "False", "true", "false") for text in filled):
        return "boolean"
    if all(_is_whole(text) for text in filled):
        return "integer"
    return "real" if all(is_real(text) for text in filled) else "string"


def _is_whole(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and (digits == "0" or digits[0] != "0") and len(digits) <= 18


def is_real(text: str) -> bool:
    """A cell that is a number: neither nan nor infinite, and no key with leading zeros."""
    if _is_whole(text):
        return True
    try:
        value = float(text)
    except ValueError:
        return False
    is_key = len(text) > 1 and text[0] == "0" and text[1].isdigit()
    return value - value == 0 and "_" not in text and not is_key


def _parsed(text: str, datatype: Datatype) -> Any:
    if text == "":
        return None
    if datatype == "boolean":
        return text.lower() == "true"
    return int(text) if datatype == "integer" else float(text) if datatype == "real" else text
