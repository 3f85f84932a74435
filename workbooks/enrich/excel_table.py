"""A sheet of an Excel workbook as a table: the first row has the names, a column's type is that of all its cells."""

from __future__ import annotations

import datetime as dt
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from workbooks.enrich.errors import InputError
from workbooks.enrich.names import header

_KINDS: dict[frozenset[str], pa.DataType] = {
    frozenset({"bool"}): pa.bool_(), frozenset({"int"}): pa.int64(), frozenset({"float"}): pa.float64(),
    frozenset({"int", "float"}): pa.float64(), frozenset({"date"}): pa.date32(),
    frozenset({"datetime"}): pa.timestamp("us"), frozenset({"date", "datetime"}): pa.timestamp("us"),
    frozenset({"time"}): pa.time64("us"),
}
"""The kinds of a column's cells -> its type; every other mixture is text."""

_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, SyntaxError, ValueError, LookupError, TypeError, AttributeError,
           ArithmeticError, RuntimeError)
"""What openpyxl lets through of damaged ZIP, deflate, XML (of both parsers: SyntaxError), numbers, parts."""

_INT64 = 1 << 63
_FLOAT = 10**308  # what a float64 holds; a longer number is a text
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class ExcelTable:
    """A sheet that was read through once."""

    path: Path
    sheet: str
    schema: pa.Schema
    rows: int
    remarks: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, path: Path, *, sheet: str | None) -> Self:
        """Read the sheet once, for its types and its number of rows; None is the first sheet.

        Raises:
            InputError: no such file, sheet or head, or no Excel workbook.
        """
        with _rows_of(path, sheet) as (name, lines):
            head = next(lines, ())
            kinds: list[set[str]] = [set() for _ in head]
            names = list(head)
            rows = 0
            for number, row in enumerate(lines, 1):
                filled = [place for place, cell in enumerate(row) if cell is not None]
                if filled:
                    rows = number
                while len(kinds) <= (filled[-1] if filled else -1):
                    kinds.append(set())
                    names.append(None)
                for place in filled:
                    kinds[place].add(_kind(row[place]))
        while names and names[-1] is None and not kinds[len(names) - 1]:
            names.pop()
        if not names:
            raise InputError(f"{path}: the sheet {name!r} is empty; name another with --sheet.")
        unique, remarks = header(["" if text is None else str(text) for text in names])
        types = [_KINDS.get(frozenset(found), pa.string()) for found in kinds[:len(names)]]
        return cls(path, name, pa.schema(list(zip(unique, types, strict=True))), rows, remarks)

    @property
    def elsewhere(self) -> str:
        """The column may be on another sheet."""
        return f" It is the sheet {self.sheet!r}: --sheet names another."

    def batches(self, *, rows: int, skip: int) -> Iterator[pa.RecordBatch]:
        """Batches of `rows` rows, without the first `skip`."""
        with _rows_of(self.path, self.sheet) as (_, lines):
            body = islice(lines, 1 + skip * rows, 1 + self.rows)
            while part := list(islice(body, rows)):
                columns = _columns(part, len(self.schema))
                yield pa.record_batch([_array(column, kind) for column, kind in zip(columns, self.schema.types,
                                                                                    strict=True)], schema=self.schema)


@contextmanager
def _rows_of(path: Path, sheet: str | None) -> Iterator[tuple[str, Iterator[Row]]]:
    """The sheet's name and its rows; what openpyxl warns of (styles, validations) concerns no value."""
    import openpyxl

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with _understood(path):
            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        try:
            names = [one.title for one in book.worksheets]
            if not names:
                raise InputError(f"{path} has no sheet of cells, or has lost it: open it in Excel, put the table on a"
                                 " sheet and save it as .xlsx.")
            name = sheet if sheet is not None else names[0]
            if name not in names:
                raise InputError(f"{path} has no sheet {name!r}: name one of {', '.join(names)} with --sheet.")
            page = book[name]
            page.reset_dimensions()  # some programs write a wrong size, which would cut the table
            yield name, _read(path, page.iter_rows(values_only=True))
        finally:
            book.close()


def _read(path: Path, rows: Iterator[Row]) -> Iterator[Row]:
    """The rows, which openpyxl unpacks only as they are asked for."""
    with _understood(path):
        yield from rows


@contextmanager
def _understood(path: Path) -> Iterator[None]:
    """Raise InputError for whatever openpyxl raises where a file is damaged or no workbook."""
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        yield
    except OSError as exc:
        raise InputError(f"{path} cannot be read ({exc.strerror or exc}): look whether Excel opens it.") from exc
    except (InvalidFileException, *_DAMAGE) as exc:
        raise InputError(f"{path} is damaged, or is not an Excel workbook (.xlsx): open it in Excel and save it as one"
                         f" ({exc}).") from exc


def _kind(value: object) -> str:
    """bool, int, float, date, datetime, time or text."""
    if isinstance(value, dt.datetime):
        return "date" if value.time() == dt.time() else "datetime"
    if isinstance(value, int) and not isinstance(value, bool) and not -_INT64 <= value < _INT64:
        return "float" if abs(value) < _FLOAT else "text"
    return {bool: "bool", int: "int", float: "float", dt.date: "date", dt.time: "time"}.get(
        type(value), "text")


def _columns(rows: Sequence[Row], width: int) -> list[Row]:
    padded = ((*row, *(None,) * (width - len(row)))[:width] for row in rows)
    return list(zip(*padded, strict=True))


def _array(column: Row, kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(kind):
        return pa.array([None if value is None else _text(value) for value in column], kind)
    if pa.types.is_floating(kind):
        return pa.array([None if value is None else float(value) for value in column], kind)
    if pa.types.is_date(kind):
        return pa.array([value.date() if isinstance(value, dt.datetime) else value for value in column], kind)
    return pa.array(column, kind)


def _text(value: object) -> str:
    """A cell of a column of mixed kinds, as Excel would show it."""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, dt.datetime):
        return value.isoformat(" ")
    return str(value)
