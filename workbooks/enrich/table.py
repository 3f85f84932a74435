"""A table as it is read: its columns with their types, its number of rows, and its rows in batches of a fixed size.

Batch k always has the same rows, so that finished ones can be left out when an enrichment goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import pyarrow as pa

from workbooks.enrich.errors import InputError
from workbooks.enrich.names import key_of


class Table(Protocol):
    """What is enriched. `schema` has unique names; `remarks` say what was read otherwise than written."""

    @property
    def schema(self) -> pa.Schema:
        """The columns, as they will stand in OUT."""

    @property
    def rows(self) -> int:
        """How many rows there are."""

    @property
    def remarks(self) -> list[str]:
        """What the user should know about the reading."""

    @property
    def elsewhere(self) -> str:
        """What else may be wrong where a column is not found: a sentence with a blank before it, or nothing."""

    def batches(self, *, rows: int, skip: int) -> Iterator[pa.RecordBatch]:
        """Batches of `rows` rows (the last may be shorter), without the first `skip` batches."""


def rechunked(batches: Iterable[pa.RecordBatch], schema: pa.Schema, *, rows: int) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of `rows` rows; the last may be shorter."""
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        held.append(batch)
        count += batch.num_rows
        while count >= rows:
            whole = one_batch(held, schema)
            yield whole.slice(0, rows)
            count -= rows
            held = [whole.slice(rows)] if count else []
    if count:
        yield one_batch(held, schema)


def one_batch(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatch:
    """Several batches as one."""
    if len(batches) == 1:
        return batches[0]
    table = pa.Table.from_batches(batches, schema).combine_chunks()
    return table.to_batches()[0] if table.num_rows else pa.RecordBatch.from_pylist([], schema)


def image_column(table: Table, name: str) -> int:
    """The place of the column of pictures.

    Raises:
        InputError: there is none of that name, or it has no texts.
    """
    names = table.schema.names
    if name not in names:
        alike = [found for found in names if key_of(found) == key_of(name)]
        if len(alike) != 1:
            raise InputError(f"There is no column {name!r}: name one of {_shown(names)} with --image-column."
                             f"{table.elsewhere}")
        name = alike[0]
    place = names.index(name)
    kind = table.schema.field(place).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
            or pa.types.is_null(kind)):
        raise InputError(f"The column {name!r} has values of type {kind}, not texts: name the column of paths or URLs"
                         " with --image-column.")
    return int(place)


def _shown(names: list[str]) -> str:
    return ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
