"""Tables that are damaged: each ends with a sentence that says what to do, never with a traceback."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openpyxl.chart import BarChart

from workbooks.enrich.errors import InputError
from workbooks.enrich.excel_table import ExcelTable
from workbooks.enrich.parquet_table import ParquetTable

BOOK, SHEET, STYLES, TYPES = "xl/workbook.xml", "xl/worksheets/sheet1.xml", "xl/styles.xml", "[Content_Types].xml"


def excel(path: Path) -> Path:
    """A workbook with numbers."""
    book = openpyxl.Workbook()
    for number in range(500):
        book.worksheets[0].append([f"{number}.png", number * 1.5])
    book.save(path)
    return path


def changed(path: Path, part: str, change: Callable[[bytes], bytes | None]) -> None:
    """The workbook with another content of a part, or without it."""
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in parts.items():
            new = change(content) if name == part else content
            if new is not None:
                file.writestr(name, new)


def read(path: Path) -> int:
    """How many rows there are, when all were read."""
    return sum(batch.num_rows for batch in ExcelTable.open(path, sheet=None).batches(rows=100, skip=0))


@pytest.mark.parametrize(("part", "change"), [
    *[(part, lambda content: content[:len(content) // 2]) for part in (BOOK, SHEET, STYLES, TYPES)],
    (SHEET, lambda content: content.replace(b"<v>1.5</v>", b"<v>1.5.5</v>")),
    (SHEET, lambda content: content.replace(b'r="B2"', b'r="?"')),
    (TYPES, lambda content: content.replace(b"ContentType=", b"Cont7ntType=")),
    (BOOK, lambda _: None),
])
def test_a_damaged_part_of_a_workbook_is_said(tmp_path: Path, part: str, change: Callable[[bytes], bytes | None]
                                              ) -> None:
    """Also one that is read only with the rows."""
    changed(excel(tmp_path / "t.xlsx"), part, change)
    with pytest.raises(InputError, match=r"t\.xlsx is damaged, or is not an Excel workbook .*open it in Excel"):
        read(tmp_path / "t.xlsx")


@pytest.mark.parametrize("place", range(200, 1200, 200))
def test_damaged_bytes_of_a_workbook_are_said(tmp_path: Path, place: int) -> None:
    """In what is packed of the sheet."""
    path = excel(tmp_path / "t.xlsx")
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as file:
        start = file.getinfo(SHEET).header_offset + place
    content[start:start + 40] = bytes(40)
    path.write_bytes(content)
    with pytest.raises(InputError, match="is damaged, or is not an Excel workbook"):
        read(path)


def test_a_sheet_of_a_chart_is_no_table(tmp_path: Path) -> None:
    """Nor is a workbook whose only sheet is gone."""
    book = openpyxl.Workbook()
    book.create_chartsheet("Bars").add_chart(BarChart())
    del book["Sheet"]
    book.save(tmp_path / "t.xlsx")
    changed(excel(tmp_path / "u.xlsx"), SHEET, lambda _: None)
    for name in ("t.xlsx", "u.xlsx"):
        with pytest.raises(InputError, match="has no sheet of cells, or has lost it: open it in Excel"):
            read(tmp_path / name)


def test_a_number_of_400_digits_is_a_text(tmp_path: Path) -> None:
    """No float holds it."""
    book = openpyxl.Workbook()
    book.worksheets[0].append(["n"])
    book.worksheets[0].append([1])
    book.save(tmp_path / "t.xlsx")
    changed(tmp_path / "t.xlsx", SHEET, lambda content: content.replace(b"<v>1</v>", b"<v>" + b"9" * 400 + b"</v>"))
    table = ExcelTable.open(tmp_path / "t.xlsx", sheet=None)
    assert [batch.to_pylist() for batch in table.batches(rows=9, skip=0)] == [[{"n": "9" * 400}]]


@pytest.mark.parametrize("compression", ["snappy", "zstd", "none"])
def test_a_damaged_page_of_parquet_is_said(tmp_path: Path, compression: str) -> None:
    """Its foot is whole, so that it is seen only with the rows; a cut file is seen at once."""
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"path": [f"{number}.png" for number in range(1000)]}), path, compression=compression)
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + b"\xff" * 300 + whole[304:])
    table = ParquetTable.open(path)
    with pytest.raises(InputError, match=r"t\.parquet cannot be read as Parquet .*write or copy it again"):
        list(table.batches(rows=100, skip=0))
    path.write_bytes(whole[:len(whole) // 2])
    with pytest.raises(InputError, match="it may be damaged or cut"):
        ParquetTable.open(path)
    with pytest.raises(InputError, match="it may be damaged or cut"):
        list(table.batches(rows=100, skip=0))
