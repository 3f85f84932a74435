"""Rows as lines of CSV: one `\\n` behind each, and quotes around every cell that a reader could take for two rows."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import IO, Any

_LINE_END = "\r\n"


@dataclass(frozen=True, slots=True)
class _Lines:
    """A text file that is told lines with `\\r\\n` and writes them with `\\n`."""

    file: IO[str]

    def write(self, line: str) -> int:
        """Write a line; csv gives a whole one at a time."""
        return self.file.write(line.removesuffix(_LINE_END) + "\n")


def csv_writer(file: IO[str]) -> Any:
    """A writer as `csv.writer` makes them, for a text file without translation of line ends.

    csv quotes cells with the line ends that it writes itself, and no others: with `\\n` alone a cell with a lone `\\r`
    stood bare and was read as two rows. So it is given both.
    """
    return csv.writer(_Lines(file), lineterminator=_LINE_END)
