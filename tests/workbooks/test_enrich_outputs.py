"""OUT in its formats: what is written, and that a real extract read back has it."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbooks.enrich import hyper
from workbooks.enrich.csv_writing import csv_writer
from workbooks.enrich.outputs import write_csv, write_parquet
from workbooks.enrich.python_values import python_values

WHEN = dt.datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=dt.UTC)
PLAIN = WHEN.replace(tzinfo=None)
COLUMNS: dict[str, tuple[pa.DataType, Any, Any]] = {
    "文字 列": (pa.string(), "写真, \"a\"\nb", "写真, \"a\"\nb"),
    "large": (pa.large_string(), "x", "x"),
    "category": (pa.dictionary(pa.int8(), pa.string()), "猫", "猫"),
    "int8": (pa.int8(), -3, -3), "uint8": (pa.uint8(), 255, 255), "uint32": (pa.uint32(), 2**32 - 1, 2**32 - 1),
    "int64": (pa.int64(), -2**62, -2**62), "uint64": (pa.uint64(), 2**63, 2.0**63),
    "float32": (pa.float32(), 0.5, 0.5), "float64": (pa.float64(), 0.1, 0.1), "bool": (pa.bool_(), True, True),
    "decimal": (pa.decimal128(10, 2), Decimal("12.34"), Decimal("12.34")),
    "decimal38": (pa.decimal128(38, 2), Decimal("12.25"), 12.25),
    "date": (pa.date32(), WHEN.date(), WHEN.date()), "date64": (pa.date64(), WHEN.date(), WHEN.date()),
    "time": (pa.time32("ms"), dt.time(3, 4, 5), dt.time(3, 4, 5)),
    "timestamp": (pa.timestamp("ms"), PLAIN, PLAIN), "instant": (pa.timestamp("us", "Asia/Tokyo"), WHEN, WHEN),
    "list": (pa.list_(pa.int64()), [1, 2], "[1, 2]"),
    "struct": (pa.struct([("猫", pa.string())]), {"猫": "x"}, '{"猫": "x"}'),
    "none": (pa.null(), None, None), "bytes": (pa.binary(), b"\x01\xff", "01ff"),
}
"""Name -> type, value, and the value that an extract has."""

SCHEMA = pa.schema([(name, kind) for name, (kind, _, _) in COLUMNS.items()])
ROWS = [{name: value for name, (_, value, _) in COLUMNS.items()}, dict.fromkeys(COLUMNS)]


def batches() -> list[pa.RecordBatch]:
    """A row with values and one of nulls, twice."""
    return [pa.RecordBatch.from_pylist(ROWS, SCHEMA)] * 2


def test_an_extract_has_every_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the nearest type Hyper has; nothing but the extract is left in the folder."""
    pantab = pytest.importorskip("pantab")
    monkeypatch.chdir(tmp_path)
    hyper.write(tmp_path / "抽出.hyper", SCHEMA, iter(batches()))
    assert [path.name for path in tmp_path.iterdir()] == ["抽出.hyper"]
    found = pantab.frame_from_hyper(tmp_path / "抽出.hyper", table=("Extract", "Extract"), return_type="pyarrow"
                                    ).to_pylist()
    assert found == [{name: value for name, (_, _, value) in COLUMNS.items()}, dict.fromkeys(COLUMNS)] * 2


def test_parquet_has_every_type(tmp_path: Path) -> None:
    """As it came; Parquet itself has one type of dates, and its own name for what is in a list."""
    write_parquet(tmp_path / "t.parquet", SCHEMA, iter(batches()))
    found = pq.read_table(tmp_path / "t.parquet")
    assert found.to_pylist() == ROWS * 2
    kinds = [str(kind).replace("date64[ms]", "date32[day]").replace("<item:", "<element:") for kind in SCHEMA.types]
    assert [str(kind) for kind in found.schema.types] == kinds


def test_csv_has_plain_texts(tmp_path: Path) -> None:
    """With Excel's mark, ISO times, true and false, and nothing for null."""
    kept = ["文字 列", "int64", "float64", "bool", "date", "timestamp", "struct"]
    schema = pa.schema([SCHEMA.field(name) for name in kept])
    write_csv(tmp_path / "t.csv", schema, iter([batches()[0].select(kept)]))
    assert (tmp_path / "t.csv").read_bytes().decode() == (
        '\ufeff文字 列,int64,float64,bool,date,timestamp,struct\n'
        '"写真, ""a""\nb",-4611686018427387904,0.1,true,2026-01-02,2026-01-02 03:04:05.678000,"{""猫"": ""x""}"\n'
        ",,,,,,\n")


_FAR = 3_000_000  # days: the year 10183
_BEYOND: list[tuple[pa.Array, Any]] = [
    (pa.array([_FAR, None, -1_000_000, 0], pa.date32()), ["10183-09-21", None, "-0768-02-04", dt.date(1970, 1, 1)]),
    (pa.array([_FAR * 86_400_000], pa.date64()), ["10183-09-21"]),
    (pa.array([10**12], pa.timestamp("s")), ["33658-09-27 01:46:40"]),
    (pa.array([10**18 + 5], pa.timestamp("us", "Asia/Tokyo")), ["33658-09-27 01:46:40.000005+00:00"]),
    (pa.array([1_700_000_000_120], pa.timestamp("ms", "Mars/Base")), ["2023-11-14 22:13:20.120+00:00"]),
    (pa.array([[_FAR, 0]], pa.list_(pa.date32())), [["10183-09-21", dt.date(1970, 1, 1)]]),
    (pa.array([{"a": _FAR}], pa.struct([("a", pa.date32())])), [{"a": "10183-09-21"}]),
    (pa.array([[("a", _FAR)]], pa.map_(pa.string(), pa.date32())), [[("a", "10183-09-21")]]),
    (pa.DictionaryArray.from_arrays(pa.array([0], pa.int8()), pa.array([_FAR], pa.date32())), ["10183-09-21"]),
    (pa.array([2**60], pa.duration("s")), ["1152921504606846976 s"]),
]


@pytest.mark.parametrize(("column", "values"), _BEYOND, ids=lambda one: str(getattr(one, "type", "")))
def test_what_python_cannot_hold_is_a_text(tmp_path: Path, column: pa.Array, values: list[Any]) -> None:
    """Days and times outside the years 1 to 9999, and those of an unknown zone in UTC; others stay what they are."""
    assert python_values(column) == values
    batch = pa.record_batch([column], names=["c"])
    write_csv(tmp_path / "t.csv", batch.schema, iter([batch]))
    assert len((tmp_path / "t.csv").read_text(encoding="utf-8-sig").splitlines()) == 1 + len(values)


def test_a_text_that_is_no_utf_8_is_written() -> None:
    """With the bytes in hexadecimal."""
    buffers = [None, pa.py_buffer(b"\0\0\0\0\3\0\0\0"), pa.py_buffer(b"a\xff\xfe")]
    assert python_values(pa.Array.from_buffers(pa.string(), 1, buffers)) == ["a\\xff\\xfe"]


@given(st.datetimes())
def test_an_instant_is_written_as_python_writes_it(when: dt.datetime) -> None:
    """In an unknown zone, which is where it is written by hand."""
    column = pa.array([when], pa.timestamp("us")).cast(pa.int64()).cast(pa.timestamp("us", "Mars/Base"))
    assert python_values(column) == [when.replace(tzinfo=dt.UTC).isoformat(" ")]


@pytest.mark.parametrize("raised", [OSError, KeyboardInterrupt])
def test_an_extract_is_never_cut(tmp_path: Path, raised: type[BaseException]) -> None:
    """pantab takes what its stream raises for the end of the rows."""
    pytest.importorskip("pantab")

    def stopping() -> Iterator[pa.RecordBatch]:
        yield batches()[0]
        raise raised

    with pytest.raises(raised):
        hyper.write(tmp_path / "t.hyper", SCHEMA, stopping())


CELLS = st.one_of(st.none(), st.text(max_size=6), st.sampled_from(["a\rb", "\r", "\n", "\r\n", '"\r']))


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=4))
def test_csv_is_read_back_as_it_was(rows: list[list[str | None]]) -> None:
    """Whatever line ends stand in a cell, a row is a row; null is an empty cell."""
    text = io.StringIO(newline="")
    csv_writer(text).writerows(rows)
    found = list(csv.reader(io.StringIO(text.getvalue(), newline=""), strict=True))
    assert found == [[cell or "" for cell in row] for row in rows]


def test_a_lone_carriage_return_is_in_quotes(tmp_path: Path) -> None:
    """Else its row would be two, with columns that are not theirs."""
    schema = pa.schema([("note", pa.string()), ("n", pa.int64())])
    write_csv(tmp_path / "t.csv", schema, iter([pa.RecordBatch.from_pylist([{"note": "a\rb", "n": 1}], schema)]))
    assert (tmp_path / "t.csv").read_bytes().decode() == '\ufeffnote,n\n"a\rb",1\n'
