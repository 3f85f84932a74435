"""OUT in its formats: batches in, a file out, whose memory does not grow with the rows."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from workbooks.enrich import hyper
from workbooks.enrich.csv_writing import csv_writer
from workbooks.enrich.python_values import python_values
from workbooks.enrich.table import one_batch

_GROUP_ROWS = 16_000

Write = Callable[[Path, pa.Schema, Iterator[pa.RecordBatch]], None]


def write_csv(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    """UTF-8 with the mark by which Excel knows it; commas; nothing between them for null."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv_writer(file)
        writer.writerow(schema.names)
        for batch in batches:
            columns = [list(map(_cell, python_values(column))) for column in batch.columns]
            writer.writerows(zip(*columns, strict=True))


def _cell(value: object) -> object:
    if value is None or (isinstance(value, str | int | float) and not isinstance(value, bool)):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime):
        return value.isoformat(" ")
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def write_parquet(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    """Every column with its type; row groups of 16,000 rows."""
    with pq.ParquetWriter(path, schema) as writer:
        held: list[pa.RecordBatch] = []
        for batch in batches:
            held.append(batch)
            if sum(one.num_rows for one in held) >= _GROUP_ROWS:
                writer.write_batch(one_batch(held, schema))
                held = []
        if held:
            writer.write_batch(one_batch(held, schema))


FORMATS: dict[str, Write] = {".csv": write_csv, ".parquet": write_parquet, ".hyper": hyper.write}
"""OUT's ending -> what writes it."""

TYPED = frozenset({".parquet", ".hyper"})
"""Those in which a column has a type."""
