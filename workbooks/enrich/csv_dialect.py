"""How a CSV file is written: its encoding and what stands between its cells, found from its first rows."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from workbooks.enrich.errors import InputError

if TYPE_CHECKING:
    from _csv import Reader

_SEPARATORS = (",", ";", "\t", "|")
_SAMPLE_ROWS = 100
_LONGEST_CELL = 1 << 24
"""Characters of a cell: enough for whole documents, and an end for a quote that is never closed."""

_BYTE_ORDER_MARKS = {b"\xff\xfe\x00\x00": "utf-32", b"\x00\x00\xfe\xff": "utf-32", b"\xff\xfe": "utf-16",
                     b"\xfe\xff": "utf-16"}
"""Longest first: the mark of UTF-32 begins with that of UTF-16."""

_ZEROS: dict[tuple[bool, ...], str] = {
    (False, True, False, True): "utf-16-le", (True, False, True, False): "utf-16-be",
    (False, True, True, True): "utf-32-le", (True, True, True, False): "utf-32-be",
}
"""Which of the first four bytes are zero -> the encoding of a file without a mark whose head begins in Latin."""

_SEPARATOR_LINE = re.compile(r'"?sep=([^\w\r\n"])"?\r?\n?', re.IGNORECASE)
"""The line by which Excel is told the separator; it is no row."""


def encoding_of(path: Path) -> str:
    """What the first bytes say; UTF-8 where they say nothing."""
    try:
        with path.open("rb") as file:
            first = file.read(4)
    except OSError as exc:
        raise InputError(f"{path} cannot be read ({exc.strerror}).") from exc
    marked = (name for mark, name in _BYTE_ORDER_MARKS.items() if first.startswith(mark))
    return next(marked, None) or _ZEROS.get(tuple(byte == 0 for byte in first), "utf-8-sig")


def separator_of(path: Path, encoding: str) -> str:
    """What a line sep= says, else the separator with which the first rows agree best about the number of cells."""
    try:
        with path.open(encoding=encoding, errors="replace", newline="") as file:
            said = _SEPARATOR_LINE.fullmatch(file.readline().removeprefix("\ufeff"))
        return said[1] if said else max(_SEPARATORS, key=lambda one: _fitness(path, encoding, one))
    except LookupError as exc:
        raise InputError(f"There is no encoding {encoding}: such are utf-8, utf-16, cp932, cp1252.") from exc
    except OSError as exc:
        raise InputError(f"{path} cannot be read ({exc.strerror}).") from exc


def reader_of(file: Iterable[str], separator: str) -> Reader:
    """The rows of an open file, whose cells may be longer than the 131,072 characters that Python allows else."""
    csv.field_size_limit(_LONGEST_CELL)
    return csv.reader(_rows_only(file), delimiter=separator, strict=True)


def _rows_only(file: Iterable[str]) -> Iterator[str]:
    """The lines without a mark, and a blank one for a line sep=, so that later ones keep their numbers."""
    lines = iter(file)
    for first in islice(lines, 1):
        head = first.removeprefix("\ufeff")
        yield "\n" if _SEPARATOR_LINE.fullmatch(head) else head
    yield from lines


def _fitness(path: Path, encoding: str, separator: str) -> tuple[bool, bool, int, int]:
    """Whether there are several columns, no row is longer than the head, how many are as long, and how long that is."""
    try:
        with path.open(encoding=encoding, errors="replace", newline="") as file:
            widths = [len(row) for row in islice(reader_of(file, separator), _SAMPLE_ROWS) if row]
    except csv.Error:  # a quote ends before something that would be the separator
        return False, False, 0, 0
    head = widths[0] if widths else 0
    return head > 1, max(widths, default=0) <= head, widths.count(head), head
