"""A .hyper extract by pantab, from a stream of batches."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from workbooks.authoring.hyper import PLACE
from workbooks.enrich.errors import OutputError
from workbooks.enrich.python_values import python_values


def check() -> None:
    """Raise OutputError with the command that installs pantab where it is missing."""
    try:
        import pantab  # noqa: F401 - whether it is there
    except ImportError as exc:
        raise OutputError(f"A .hyper file needs pantab, which cannot be loaded ({exc}): install it with"
                          " python run.py tableau or, where it does not exist for this system, take .csv.") from exc


def write(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    """Write the file; types that Hyper does not have become the nearest it has (`hyper_schema`)."""
    import pantab

    target = hyper_schema(schema)
    raised: list[BaseException] = []
    stream = pa.RecordBatchReader.from_batches(target, _noted((_fitted(batch, target) for batch in batches), raised))
    try:
        pantab.frame_to_hyper(stream, path, table=PLACE)
    except (RuntimeError, ValueError, OSError) as exc:
        if not raised:
            raise OutputError(f"The extract cannot be written ({exc}): write --out with .parquet instead.") from exc
    if raised:
        raise raised[0]


def _noted(batches: Iterator[pa.RecordBatch], raised: list[BaseException]) -> Iterator[pa.RecordBatch]:
    """The batches; what they raise is noted, since pantab takes it for their end and would leave a cut extract."""
    try:
        yield from batches
    except BaseException as exc:  # Ctrl-C, too
        raised.append(exc)
        raise


def hyper_schema(schema: pa.Schema) -> pa.Schema:
    """The schema with types Hyper has: larger integers for unsigned ones, JSON texts for lists and structures."""
    return pa.schema([pa.field(one.name, _kind(one.type)) for one in schema])


def _kind(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _kind(kind.value_type)
    if pa.types.is_integer(kind):
        return pa.float64() if kind == pa.uint64() else pa.int64()
    if pa.types.is_floating(kind):
        return pa.float64()
    if pa.types.is_decimal(kind):
        is_small = kind.precision <= 18 and kind.scale >= 0
        return pa.decimal128(kind.precision, kind.scale) if is_small else pa.float64()
    if pa.types.is_date(kind):
        return pa.date32()
    if pa.types.is_time(kind):
        return pa.time64("us")
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz)
    if pa.types.is_boolean(kind):
        return kind
    return pa.string()


def _fitted(batch: pa.RecordBatch, target: pa.Schema) -> pa.RecordBatch:
    columns = [_column(column, kind) for column, kind in zip(batch.columns, target.types, strict=True)]
    return pa.record_batch(columns, schema=target)


def _column(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if column.type == kind:
        return column
    if pa.types.is_string(kind) and not _is_text(column.type):
        return pa.array([None if value is None else _text(value) for value in python_values(column)], kind)
    return pc.cast(column, kind, safe=False)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list | dict) else str(value)
