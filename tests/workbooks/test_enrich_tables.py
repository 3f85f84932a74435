"""Tables as they are read: what stays as written, what gets a type, and that batch k always has the same rows."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbooks.enrich.csv_table import CsvTable
from workbooks.enrich.errors import InputError
from workbooks.enrich.excel_table import ExcelTable
from workbooks.enrich.names import key_of, unique
from workbooks.enrich.parquet_table import ParquetTable
from workbooks.enrich.picture_folder import folder_table
from workbooks.enrich.picture_texts import asked_texts
from workbooks.enrich.table import Table, image_column
from workbooks.enrich.text_types import Guesses, converted


def written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    """A CSV file."""
    path.write_bytes(text.encode(encoding))
    return path


def everything(table: Table, *, rows: int = 3, skip: int = 0) -> list[dict[str, object]]:
    """All rows after the skipped batches."""
    return [row for batch in table.batches(rows=rows, skip=skip) for row in batch.to_pylist()]


@pytest.mark.parametrize(("encoding", "named"), [("utf-8", None), ("utf-8-sig", None), ("utf-16", None),
                                                 ("cp932", "cp932")])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_csv_of_any_encoding_and_separator(tmp_path: Path, encoding: str, named: str | None, separator: str) -> None:
    """Line breaks, quotes and separators inside of cells stay; short rows have empty ends; blank lines are none."""
    text = '画像,名 前,c\r\n写真.png,"a ""b""\r\nc,;",1\r\n\r\nb.png\r\n'.replace(",", separator, 2)
    text = text.replace('.png,"', f'.png{separator}"').replace('",1', f'"{separator}1')
    table = CsvTable.open(written(tmp_path / "表.csv", text, encoding), is_typed=False, encoding=named)
    assert (table.rows, everything(table)) == (2, [{"画像": "写真.png", "名 前": 'a "b"\r\nc,;', "c": "1"},
                                                   {"画像": "b.png", "名 前": "", "c": ""}])


def test_columns_that_lose_nothing_get_types(tmp_path: Path) -> None:
    """Leading zeros, signs, blanks and dates that are none keep a column a text; empty cells are null."""
    text = ("path,int,zero,plus,real,day,no day,time,flag,none,big\n"
            "1,1,007,+1,1.5,2024-02-29,2023-02-30,2024-01-02 03:04:05,true,,12345678901234567890\n"
            "2,-20,1,1,-2e3,2024-03-01,2023-02-01,2024-01-02T03:04,false,,1\n3,,,,,,,,,,\n")
    table = CsvTable.open(written(tmp_path / "t.csv", text), is_typed=True, texts=("path",))
    assert [str(kind) for kind in table.schema.types] == [
        "string", "int64", "string", "string", "double", "date32[day]", "string", "timestamp[us]", "bool", "string",
        "string"]
    first, second, third = everything(table)
    assert (first["int"], first["real"], first["day"], first["flag"]) == (1, 1.5, dt.date(2024, 2, 29), True)
    assert (first["zero"], second["int"], second["time"]) == ("007", -20, dt.datetime(2024, 1, 2, 3, 4))  # noqa: DTZ001
    assert list(third.values()) == ["3", *[None] * 10]


@given(st.lists(st.one_of(st.integers().map(str), st.floats().map(str), st.text(max_size=8), st.dates().map(str),
                          st.decimals(allow_nan=False, allow_infinity=False).map(str), st.datetimes().map(str),
                          st.sampled_from(["true", "FALSE", "-0", "1e5", "0x1", "٣"])),
                min_size=1, max_size=5))
def test_no_text_is_lost_by_a_type(texts: list[str]) -> None:
    """Whatever type is guessed, whole numbers, dates and booleans are written again as they were, numbers by value."""
    guesses = Guesses(["c"], texts=())
    guesses.see([texts])
    kind = guesses.schema().types[0]
    values = converted(pa.array(texts, pa.string()), kind).to_pylist()
    assert [value is None for value in values] == [not text for text in texts]
    if pa.types.is_integer(kind) or pa.types.is_date(kind) or pa.types.is_string(kind):
        assert ["" if value is None else str(value) for value in values] == texts
    elif pa.types.is_floating(kind):
        assert all(Decimal(text) in (Decimal(repr(value)), Decimal(f"{value:.17g}"))
                   for text, value in zip(texts, values, strict=True) if text)
    elif pa.types.is_boolean(kind):
        assert [str(value).lower() for value in values if value is not None] == [text.lower() for text in texts if text]


@pytest.mark.parametrize(("text", "kind"), [
    ("123456789012345.123456789012345", pa.string()), ("0.12345678901234567890", pa.string()),
    ("12345678901234.567", pa.string()), ("12345678901234.5", pa.float64()), ("1.10", pa.float64()),
    ("0.30000000000000004", pa.float64()), ("12.345678901234567", pa.float64()),
    ("1.234567890123456e-05", pa.float64()), ("12.300000000000001", pa.float64()),
    ("100000000000000.000000", pa.float64()),
])
def test_a_number_has_all_its_digits(text: str, kind: pa.DataType) -> None:
    """Those of a float64 that a program wrote; more keep the column a text."""
    guesses = Guesses(["c"], texts=())
    guesses.see([[text, "1.5"]])
    assert guesses.schema().types == [kind]


def test_names_that_tableau_takes_for_one(tmp_path: Path) -> None:
    """Doubled and empty ones in the head are changed and said."""
    table = CsvTable.open(written(tmp_path / "t.csv", "a,A,,a\n1,2,3,4\n"), is_typed=False)
    assert table.schema.names == ["a", "A_2", "Column 3", "a_3"]
    assert table.remarks == ["Column 2 is called 'A_2', because there is a 'A' before it.",
                             "Column 3 is called 'Column 3', because it has no name.",
                             "Column 4 is called 'a_3', because there is a 'a' before it."]


@given(st.lists(st.sampled_from(["a", "A", "a_2", "A_2", "ß", "SS", "é", "e\u0301", ""]), max_size=8),
       st.sets(st.sampled_from(["a", "a_2", "status"])))
def test_names_are_always_unique(names: list[str], taken: set[str]) -> None:
    """The first keeps its name."""
    result = unique(names, taken=taken)
    keys = [key_of(name) for name in (*taken, *result)]
    assert len(set(keys)) == len(keys)
    assert unique(result) == result


@pytest.mark.parametrize(("text", "separator", "names", "first"), [
    ('"photo, main";x\na.png;1\n', ";", ["photo, main", "x"], ["a.png", "1"]),
    ("photo,a;b;c;d\na.png,1\nb.png,2\n", ",", ["photo", "a;b;c;d"], ["a.png", "1"]),
    ("photo;price, EUR\na.png;1\nb.png;2\n", ";", ["photo", "price, EUR"], ["a.png", "1"]),
    ('"a\n,b,c";d\n"1\n,,,";2\n', ";", ["a\n,b,c", "d"], ["1\n,,,", "2"]),
    ("sep=;\na,b,c;d\n1,1,1;2\n", ";", ["a,b,c", "d"], ["1,1,1", "2"]),
    ('\ufeff"SEP=\t"\r\na\tb\r\n1\t2\r\n', "\t", ["a", "b"], ["1", "2"]),
    ("photo\na;b.png\n", ",", ["photo"], ["a;b.png"]),
    ("a,b;c\n", ",", ["a", "b;c"], []),
])
def test_the_separator_is_found(tmp_path: Path, text: str, separator: str, names: list[str], first: list[str]) -> None:
    """Quotes hold it, later rows have as many cells, and a line sep= says it."""
    table = CsvTable.open(written(tmp_path / "t.csv", text), is_typed=False)
    rows = [list(row.values()) for row in everything(table)]
    assert (table.separator, table.schema.names, rows[:1]) == (separator, names, [first] if first else [])


@pytest.mark.parametrize(("encoding", "mark"), [("utf-16-le", ""), ("utf-16-be", ""), ("utf-32-le", ""),
                                                ("utf-32-be", ""), ("utf-32-le", "\ufeff"), ("utf-32-be", "\ufeff")])
def test_wide_encodings_are_known_without_a_mark(tmp_path: Path, encoding: str, mark: str) -> None:
    """By the zeros of the Latin letters in front; UTF-32 also by its mark."""
    table = CsvTable.open(written(tmp_path / "t.csv", mark + "path,写真\na,猫\n", encoding), is_typed=False)
    assert everything(table) == [{"path": "a", "写真": "猫"}]


def test_a_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    """Also where the encoding is named as one without."""
    path = written(tmp_path / "t.csv", "\ufeffpath,n\na,1\n")
    assert CsvTable.open(path, is_typed=False, encoding="utf-8").schema.names == ["path", "n"]


def test_names_with_zeros_are_another_encoding(tmp_path: Path) -> None:
    """What is UTF-16 without a mark and begins with other letters may be UTF-8 by its bytes."""
    with pytest.raises(InputError, match=r"its first line has NUL characters.*such as --encoding utf-16-le"):
        CsvTable.open(written(tmp_path / "t.csv", "䅁,path\na,b\n", "utf-16-le"), is_typed=False)


def test_in_one_column_a_blank_line_is_an_empty_cell(tmp_path: Path) -> None:
    """So that no row is lost."""
    table = CsvTable.open(written(tmp_path / "t.csv", "photo\r\na.png\r\n\r\nb.png\r\n"), is_typed=False)
    assert (table.rows, everything(table)) == (3, [{"photo": "a.png"}, {"photo": ""}, {"photo": "b.png"}])


def test_a_cell_may_be_long(tmp_path: Path) -> None:
    """Longer than what Python reads unasked; a quote that is never closed has an end."""
    long = "x" * 200_000
    table = CsvTable.open(written(tmp_path / "t.csv", f"photo,n\na.png,{long}\n"), is_typed=False)
    assert everything(table) == [{"photo": "a.png", "n": long}]
    with pytest.raises(InputError, match=r"line 2: this is not CSV \(field larger .*in quotes, or name what stands"):
        CsvTable.open(written(tmp_path / "u.csv", 'photo,n\na.png,"' + "x" * (1 << 24) + "x\n"), is_typed=False)


def test_a_column_that_is_not_there_may_be_elsewhere(tmp_path: Path) -> None:
    """Behind another separator, or on another sheet."""
    table: Table = CsvTable.open(written(tmp_path / "t.csv", "photo#n\na.png#1\n"), is_typed=False)
    with pytest.raises(InputError, match=r"name one of photo#n with .*Cells are taken to end at ',': --sep"):
        image_column(table, "photo")
    book = openpyxl.Workbook()
    book.worksheets[0].append(["n"])
    book.save(tmp_path / "t.xlsx")
    with pytest.raises(InputError, match="It is the sheet 'Sheet': --sheet names another"):
        image_column(ExcelTable.open(tmp_path / "t.xlsx", sheet=None), "photo")


@pytest.mark.parametrize(("text", "said"), [
    ("a,b\n1,2\n1,2,3\n", "line 3: 3 cells, but the first line names 2 columns. Put quotes around a cell"),
    ('a,b\n"1,2\n', "this is not CSV"),
    ("", "is empty: expected a first line with the names of the columns."),
])
def test_what_is_no_csv_is_said(tmp_path: Path, text: str, said: str) -> None:
    """With the line."""
    with pytest.raises(InputError, match=said):
        CsvTable.open(written(tmp_path / "t.csv", text), is_typed=False)


def test_excel_columns_have_the_type_of_all_their_cells(tmp_path: Path) -> None:
    """A mixture is text, dates are dates, a hole is null, and what is styled below the table is no row."""
    book = openpyxl.Workbook()
    page = book.active
    assert page is not None
    page.append(["画像", "int", "mixed", "day", "time", "flag", 2024, None, None])
    page.append(["a.png", 1, 1, dt.date(2024, 1, 2), dt.datetime(2024, 1, 2, 3, 4), True, 1.5, "below no name"])  # noqa: DTZ001
    page.append([])
    page.append(["b.png", 2, "x", dt.date(2024, 1, 3), dt.datetime(2024, 1, 2), False, 2])  # noqa: DTZ001
    page["A9"].font = openpyxl.styles.Font(bold=True)
    book.save(tmp_path / "表.xlsx")
    table = ExcelTable.open(tmp_path / "表.xlsx", sheet=None)
    assert table.schema.names == ["画像", "int", "mixed", "day", "time", "flag", "2024", "Column 8"]
    assert [str(kind) for kind in table.schema.types] == ["string", "int64", "string", "date32[day]", "timestamp[us]",
                                                          "bool", "double", "string"]
    first, hole, last = everything(table, rows=2)
    assert list(first.values())[:4] == ["a.png", 1, "1", dt.date(2024, 1, 2)]
    assert (list(hole.values()), last["mixed"], last["2024"]) == ([None] * 8, "x", 2.0)
    with pytest.raises(InputError, match="has no sheet 'Sheet9': name one of Sheet with --sheet"):
        ExcelTable.open(tmp_path / "表.xlsx", sheet="Sheet9")


@pytest.mark.parametrize("skip", range(5))
@pytest.mark.parametrize("kind", ["csv", "xlsx", "parquet"])
def test_batches_are_the_same_after_skipping(tmp_path: Path, kind: str, skip: int) -> None:
    """Also where row groups of a Parquet file end elsewhere."""
    rows = [{"path": f"{number}.png", "n": number} for number in range(11)]
    path = tmp_path / f"t.{kind}"
    table: Table
    if kind == "csv":
        table = CsvTable.open(written(path, "path,n\n" + "".join(f"{row['path']},{row['n']}\n" for row in rows)),
                              is_typed=True)
    elif kind == "xlsx":
        book = openpyxl.Workbook()
        page = book.active
        assert page is not None
        for row in [["path", "n"], *([row["path"], row["n"]] for row in rows)]:
            page.append(row)
        book.save(path)
        table = ExcelTable.open(path, sheet=None)
    else:
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=4)
        table = ParquetTable.open(path)
    assert table.rows == 11
    assert everything(table, rows=3, skip=skip) == rows[3 * skip:]
    assert [batch.num_rows for batch in table.batches(rows=3, skip=skip)] == [3, 3, 3, 2][skip:]


def test_a_listing_stays_as_it_was(tmp_path: Path) -> None:
    """Pictures only, by name, without hidden files; a picture that comes later is not in it."""
    folder = tmp_path / "写真 帳"
    for name in ("猫/b 1.JPG", "猫/a.png", "犬/深い/c.webp", "top.png", "note.txt", ".hidden.png", ".git/d.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    listing = tmp_path / "listing.csv"
    table = folder_table(folder, listing, is_typed=False)
    expected = [{"path": "top.png", "class": ""}, {"path": "犬/深い/c.webp", "class": "深い"},
                {"path": "猫/a.png", "class": "猫"}, {"path": "猫/b 1.JPG", "class": "猫"}]
    assert everything(table) == expected
    (folder / "later.png").touch()
    assert everything(folder_table(folder, listing, is_typed=False)) == expected
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="There are no pictures in"):
        folder_table(tmp_path / "empty", tmp_path / "other.csv", is_typed=False)


def test_relative_texts_begin_at_the_base() -> None:
    """Everything else goes to the server as it stands."""
    texts = ["a b.png", " 写/真.png ", "../x.png", "/abs.png", r"P:\a.png", r"\\nas\a.png", "https://img.example/a.png",
             "s3://bucket/a.png", "file:///a.png", "", None]
    below = ["/tables/a b.png", "/tables/写/真.png", "/tables/../x.png"]
    assert asked_texts(texts, Path("/tables")) == [*below, *texts[3:]]
    assert asked_texts(texts, None) == texts
