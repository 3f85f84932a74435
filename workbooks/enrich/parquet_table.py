"""A Parquet file as a table: every column with its type, read in batches and never as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from workbooks.enrich.errors import InputError
from workbooks.enrich.names import header
from workbooks.enrich.table import rechunked

_BUFFER_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ParquetTable:
    """A file whose foot was read."""

    path: Path
    schema: pa.Schema
    rows: int
    remarks: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read the file's foot; raises InputError when it is no Parquet file."""
        with _understood(path), pq.ParquetFile(path) as file:
            schema, rows = file.schema_arrow, file.metadata.num_rows
        names, remarks = header(schema.names)
        fields = [one.with_name(name) for one, name in zip(schema, names, strict=True)]
        return cls(path, pa.schema(fields, schema.metadata), rows, remarks)

    @property
    def elsewhere(self) -> str:
        """There is one table in it."""
        return ""

    def batches(self, *, rows: int, skip: int) -> Iterator[pa.RecordBatch]:
        """Batches of `rows` rows, without the first `skip`; whole row groups before them are not read."""
        left = skip * rows
        with _understood(self.path), pq.ParquetFile(self.path, buffer_size=_BUFFER_BYTES) as file:
            groups = list(range(file.metadata.num_row_groups))
            while groups and left >= file.metadata.row_group(groups[0]).num_rows:
                left -= file.metadata.row_group(groups.pop(0)).num_rows
            read = (pa.record_batch(batch.columns, schema=self.schema)
                    for batch in file.iter_batches(batch_size=rows, row_groups=groups))
            yield from rechunked(_without(read, left), self.schema, rows=rows)


@contextmanager
def _understood(path: Path) -> Iterator[None]:
    """Raise InputError for whatever pyarrow raises where a file is damaged or no Parquet."""
    try:
        yield
    except (OSError, UnicodeError, pa.ArrowException) as exc:
        reason = " ".join(str(exc).split())  # some have several lines
        raise InputError(f"{path} cannot be read as Parquet ({reason}): it may be damaged or cut; write or copy it"
                         " again.") from exc


def _without(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """The batches without the first `rows` rows."""
    for batch in batches:
        cut = min(rows, batch.num_rows)
        rows -= cut
        if cut < batch.num_rows:
            yield batch.slice(cut)
