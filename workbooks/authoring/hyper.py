"""Hyper extracts by pantab, which `requirements-tableau.txt` installs: a table in, the bytes of a file out, and back.

Two files of the same table differ in a few bytes, since Hyper gives each an id of its own.
"""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path
from typing import Any

from workbooks.authoring.errors import AuthoringError
from workbooks.authoring.fields import Datatype
from workbooks.authoring.table import Table

SCHEMA, TABLE = PLACE = "Extract", "Extract"
"""Where Tableau keeps an extract."""


def is_there() -> bool:
    """pantab and pyarrow are installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("pantab", "pyarrow"))


def to_hyper(table: Table) -> bytes:
    """The table as an extract, in Tableau's own place: schema and table `Extract`.

    Raises:
        AuthoringError: pantab is not installed, or Hyper cannot write.
    """
    if not is_there():
        raise AuthoringError("Hyper extracts need pantab: python run.py tableau brings it, or build with"
                             " --extract csv.")
    import pantab
    import pyarrow as pa

    arrays = {name: pa.array(table.column(name), type=_arrow(datatype))
              for name, datatype in table.columns.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "extract.hyper"
        try:
            pantab.frame_to_hyper(pa.table(arrays), path, table=PLACE)
        except (RuntimeError, OSError) as exc:
            raise AuthoringError(f"Hyper cannot write the table {table.name} ({exc}): look at its columns.") from exc
        return path.read_bytes()


def from_hyper(data: bytes, name: str) -> Table:
    """The table in an extract, for comparison with its twin."""
    import pantab

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "extract.hyper"
        path.write_bytes(data)
        found = pantab.frame_from_hyper(path, table=PLACE, return_type="pyarrow")
    types = {field.name: _datatype(str(field.type)) for field in found.schema}
    return Table(name, types, found.to_pylist())


def _arrow(datatype: Datatype) -> Any:
    import pyarrow as pa

    return {"string": pa.large_string(), "integer": pa.int64(), "real": pa.float64(),
            "boolean": pa.bool_()}[datatype]


def _datatype(arrow: str) -> Datatype:
    kinds: dict[str, Datatype] = {"int64": "integer", "double": "real", "bool": "boolean"}
    return kinds.get(arrow, "string")
