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

from workbooks.enrich.csv_dialect import encoding_of, reader_of, separator_of
from workbooks.enrich.errors import InputError
from workbooks.enrich.names import header
from workbooks.enrich.text_types import Guesses, converted

_READ_ROWS = 10_000


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
            encoding: how it is encoded; None for what its first bytes say (`encoding_of`).
            separator: what stands between cells; None for what the first rows say (`separator_of`).

        Raises:
            InputError: it cannot be read as CSV.
        """
        encoding = encoding or encoding_of(path)
        separator = separator or separator_of(path, encoding)
        lines = _lines(path, encoding, separator)
        head = next(lines, None)
        if head is None:
            raise InputError(f"{path} is empty: expected a first line with the names of the columns.")
        if any("\0" in name for name in head):
            raise InputError(f"{path} is not in the encoding {encoding} (its first line has NUL characters): name the"
                             " right one, such as --encoding utf-16-le.")
        names, remarks = header(head)
        guesses, rows = Guesses(names, texts=texts), 0
        while part := list(islice(lines, _READ_ROWS)):
            rows += len(part)
            if is_typed:
                guesses.see(_columns(part, len(names)))
        schema = guesses.schema() if is_typed else pa.schema([(name, pa.string()) for name in names])
        return cls(path, encoding, separator, schema, rows, is_typed, remarks)

    @property
    def elsewhere(self) -> str:
        """The separator may be another."""
        return f" Cells are taken to end at {self.separator!r}: --separator names another."

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
    """The rows, the head first; blank lines are none, but empty cells where there is one column.

    Raises:
        InputError: not in that encoding, not CSV, or a row longer than the head.
    """
    try:
        with path.open(encoding=encoding, newline="") as file:
            reader = reader_of(file, separator)
            width = 0
            for row in reader:
                width = width or len(row)
                if len(row) > width:
                    raise InputError(f"{path}, line {reader.line_num}: {len(row)} cells, but the first line names"
                                     f" {width} columns. Put quotes around a cell that holds {separator!r}, or name"
                                     " what else stands between cells with --separator.")
                if row or width == 1:
                    yield row or [""]
    except (UnicodeError, LookupError) as exc:
        raise InputError(f"{path} is not in the encoding {encoding} ({exc}): name the right one, such as"
                         " --encoding cp932 for a file of Japanese Windows.") from exc
    except csv.Error as exc:
        raise InputError(f"{path}, line {reader.line_num}: this is not CSV ({exc}): put cells with quotes or line ends"
                         " in quotes, or name what stands between cells with --separator.") from exc
    except OSError as exc:
        raise InputError(f"{path} cannot be read ({exc.strerror}).") from exc
