"""A CSV file as a table. Values stay as they are written; for OUT formats with types, columns that can lose nothing by
it become numbers, dates or booleans (`text_types`)."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Self

import pyarrow as pa

from workbooks.enrich.errors import InputError
from workbooks.enrich.names import header
from workbooks.enrich.text_types import Guesses, converted

_SEPARATORS = (",", ";", "\t", "|")
_READ_ROWS = 10_000
_BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True, slots=True)
class CsvTable:
    """A CSV file that was read through once: `schema` has the types, `rows` the count."""

    path: Path
    encoding: str
    separator: str
    schema: pa.Schema
    rows: int
    is_typed: bool
    remarks: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, path: Path, *, is_typed: bool, texts: Sequence[str] = (), encoding: str | None = None,
             separator: str | None = None) -> Self:
        """Read the file once, for its types and its number of rows.

        Args:
            path: the file.
            is_typed: whether columns may become numbers, dates or booleans.
            texts: columns that stay texts whatever they hold.
            encoding: how it is encoded; None for UTF-8, or UTF-16 where it says so.
            separator: what stands between cells; None for the most frequent of , ; tab | in the first line.

        Raises:
            InputError: it cannot be read as CSV.
        """
        encoding = encoding or _encoding_of(path)
        separator = separator or _separator_of(path, encoding)
        lines = _lines(path, encoding, separator)
        head = next(lines, None)
        if head is None:
            raise InputError(f"{path} is empty: expected a first line with the names of the columns.")
        names, remarks = header(head)
        guesses, rows = Guesses(names, texts=texts), 0
        while part := list(islice(lines, _READ_ROWS)):
            rows += len(part)
            if is_typed:
                guesses.see(_columns(part, len(names)))
        schema = guesses.schema() if is_typed else pa.schema([(name, pa.string()) for name in names])
        return cls(path, encoding, separator, schema, rows, is_typed, remarks)

    def batches(self, *, rows: int, skip: int) -> Iterator[pa.RecordBatch]:
        """Batches of `rows` rows, without the first `skip`."""
        lines = islice(_lines(self.path, self.encoding, self.separator), 1 + skip * rows, None)
        while part := list(islice(lines, rows)):
            columns = [pa.array(column, pa.string()) for column in _columns(part, len(self.schema))]
            if self.is_typed:
                columns = [converted(column, kind) for column, kind in zip(columns, self.schema.types, strict=True)]
            yield pa.record_batch(columns, schema=self.schema)


def _columns(rows: Sequence[Sequence[str]], width: int) -> list[tuple[str, ...]]:
    """Rows -> columns; a short row has empty cells at its end."""
    padded = (row if len(row) == width else [*row, *[""] * (width - len(row))] for row in rows)
    return list(zip(*padded, strict=True))


def _lines(path: Path, encoding: str, separator: str) -> Iterator[list[str]]:
    """The rows, the head first; blank lines are none.

    Raises:
        InputError: not in that encoding, not CSV, or a row longer than the head.
    """
    try:
        with path.open(encoding=encoding, newline="") as file:
            reader = csv.reader(file, delimiter=separator, strict=True)
            width = 0
            for row in reader:
                width = width or len(row)
                if len(row) > width:
                    raise InputError(f"{path}, line {reader.line_num}: {len(row)} cells, but the first line names"
                                     f" {width} columns. Put quotes around a cell that holds {separator!r}.")
                if row:
                    yield row
    except (UnicodeError, LookupError) as exc:
        raise InputError(f"{path} is not in the encoding {encoding} ({exc}): name the right one, such as"
                         " --encoding cp932 for a file of Japanese Windows.") from exc
    except csv.Error as exc:
        raise InputError(f"{path}, line {reader.line_num}: this is not CSV ({exc}).") from exc
    except OSError as exc:
        raise InputError(f"{path} cannot be read ({exc.strerror}).") from exc


def _encoding_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return _BYTE_ORDER_MARKS.get(file.read(2), "utf-8-sig")
    except OSError as exc:
        raise InputError(f"{path} cannot be read ({exc.strerror}).") from exc


def _separator_of(path: Path, encoding: str) -> str:
    try:
        with path.open(encoding=encoding, errors="replace") as file:
            first = file.readline()
    except LookupError as exc:
        raise InputError(f"There is no encoding {encoding}: such are utf-8, utf-16, cp932, cp1252.") from exc
    return max(_SEPARATORS, key=first.count)
