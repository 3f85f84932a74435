"""The rows inside a workbook: a Hyper extract, or a text file made into one, asked in SQL.

Hyper groups and counts, so memory stays small whatever the extract has. It is read through pantab, which is optional.
pantab is given no parameters: its default writes no log, while `log_config=""` makes Hyper write one where the user is.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from workbooks.check.errors import ExtractError
from workbooks.check.package import HYPER_START, Package
from workbooks.check.sql import quoted
from workbooks.check.workbook import ExtractTable

INSTALL = "pantab is not installed: python run.py tableau brings it"
MAX_TEXT_MB = 500   # it goes through memory, a Hyper file does not
REMEMBERED = 1_000  # rows
_TABLES = "SELECT schemaname, tablename FROM pg_catalog.pg_tables WHERE schemaname NOT LIKE 'pg_%'"


@dataclass(frozen=True, slots=True)
class Extract:
    """A Hyper file of our own copy, and the table in it."""

    path: Path
    schema: str
    table: str
    columns: frozenset[str]
    known: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict, compare=False)

    @property
    def source(self) -> str:
        """The table as SQL names it."""
        return f"{quoted(self.schema)}.{quoted(self.table)}"

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query, in JSON's types where JSON has them; raises ExtractError.

        Each question starts a Hyper, and the fields of a sheet mostly ask the same: short answers are remembered.
        """
        if query in self.known:
            return self.known[query]
        answer = _answer(self.path, query)
        columns = [[_plain(value) for value in column.to_pylist()] for column in answer.columns]
        rows = list(zip(*columns, strict=True))
        if len(rows) <= REMEMBERED:
            self.known[query] = rows
        return rows


@contextmanager
def unpacked(package: Package, where: ExtractTable) -> Iterator[Extract]:
    """The extract, as long as the block lasts; raises ExtractError."""
    if where.kind == "dataengine":
        raise ExtractError("it is a .tde of before Tableau 10.5; open and save it in a newer one.")
    if not where.table and where.kind == "hyper":
        raise ExtractError("it has several related tables, which only Tableau joins.")
    if find_spec("pantab") is None:
        raise ExtractError(f"{INSTALL}.")
    with TemporaryDirectory(prefix="workbook-", ignore_cleanup_errors=True) as folder:
        copy = Path(folder) / "extract.hyper"
        if where.kind == "textscan":
            plain = Path(folder) / "rows.csv"
            _copy(package, where, plain)
            _convert(plain, where.separator, copy)
            where = ExtractTable(where.path, "public", "Extract", "hyper")
        else:
            _copy(package, where, copy)
        yield _opened(copy, where)


def _copy(package: Package, where: ExtractTable, target: Path) -> None:
    """From the package, else from beside the bare workbook: never from anywhere else."""
    if package.is_packaged:
        member = package.find(where.path)
        if member is None:
            raise ExtractError(f"{where.path or 'the extract'} is not in the package.")
        package.copy(member, target)
        return
    try:
        target.write_bytes(_beside(package, where).read_bytes())
    except OSError as exc:
        raise ExtractError(f"{where.path} cannot be read ({exc.strerror}).") from exc


def _beside(package: Package, where: ExtractTable) -> Path:
    """The file of a bare workbook's rows."""
    folder = package.path.resolve().parent
    try:
        beside = (folder / where.path.replace("\\", "/")).resolve()
        is_there = bool(where.path) and beside.is_relative_to(folder) and beside.is_file()
    except (OSError, ValueError, RuntimeError):  # a name that is too long, a loop of links
        is_there = False
    if not is_there:
        raise ExtractError(f"{where.path[:200] or 'the extract'} does not lie beside the workbook; save it as a .twbx.")
    return beside


def look(package: Package, where: ExtractTable) -> None:
    """Raise ExtractError where the rows of a bare workbook cannot be had, as far as that is seen without Hyper.

    What lies in a package is looked at by the rules for the whole file.
    """
    if package.is_packaged:
        return
    try:
        with _beside(package, where).open("rb") as file:
            start = file.read(len(HYPER_START))
    except OSError as exc:
        raise ExtractError(f"{where.path} cannot be read ({exc.strerror}).") from exc
    if where.kind == "hyper" and start != HYPER_START:
        raise ExtractError(f"{where.path} is no Hyper file.")


def _opened(path: Path, where: ExtractTable) -> Extract:
    """With the table the workbook names, or the only one there is. Each question starts a Hyper, so few are asked."""
    try:
        return _table(path, where.schema, where.table)
    except ExtractError:
        tables = Extract(path, "", "", frozenset()).ask(_TABLES)
        if len(tables) != 1:
            raise ExtractError(f"it has {len(tables)} tables and none is {where.schema}.{where.table}.") from None
        return _table(path, *tables[0])


def _table(path: Path, schema: str, table: str) -> Extract:
    head = _answer(path, f"SELECT * FROM {quoted(schema)}.{quoted(table)} LIMIT 0")  # noqa: S608 - names are quoted
    return Extract(path, schema, table, frozenset(head.column_names))


def _answer(path: Path, query: str) -> Any:
    """An Arrow table; raises ExtractError."""
    import pantab

    try:
        return pantab.frame_from_hyper_query(path, query, return_type="pyarrow")
    except (RuntimeError, ValueError, TypeError, OSError, NotImplementedError) as exc:  # what Hyper raises
        raise ExtractError(f"Hyper refuses the question ({' '.join(str(exc).split())[:160]}).") from exc


def _convert(plain: Path, separator: str, target: Path) -> None:
    import pandas as pd
    import pantab

    if plain.stat().st_size > MAX_TEXT_MB * 1_000_000:
        raise ExtractError(f"the text file has more than {MAX_TEXT_MB} MB; make an extract of it.")

    try:
        frame = pd.read_csv(plain, sep=separator, encoding="utf-8-sig", engine="c", low_memory=False)
        pantab.frame_to_hyper(frame, target, table="Extract")
    except (OSError, ValueError, TypeError, RuntimeError, csv.Error) as exc:
        raise ExtractError(f"the text file is not understood ({' '.join(str(exc).split())[:160]}).") from exc


def _plain(value: Any) -> Any:
    """As Tableau sends it: null for what is no number; dates stay what they are and are refused later."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return float(value) if isinstance(value, Decimal) else value
