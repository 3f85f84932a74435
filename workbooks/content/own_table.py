"""The catalogue of somebody's own table, as `run.py classify` writes it: which column is what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbooks.authoring.errors import AuthoringError
from workbooks.authoring.source import Storage
from workbooks.authoring.table import Table, is_real, read_csv
from workbooks.authoring.workbook import Workbook
from workbooks.content.catalogue import MAP_SIDE, MAP_SIZE, catalogue
from workbooks.enrich.names import key_of
from workbooks.gathering.classified import ANSWERS, IMAGE, SIMILAR, near_on_map
from workbooks.gathering.picture_sheets import picture_map
from workbooks.gathering.pictures import ENDINGS

_MOST_COMPARED = 5000  # a comparison of each picture with each; above it the list of similar ones is left out
_COMPUTED_WITH = ("confidence", "map_x", "map_y")
"""Columns that a formula, the map or its picture computes with: they must be numbers."""
_LARGEST = 1e100  # of a number: also differences and sums are to be numbers, which end at 1e308


def own_catalogue(path: Path, image_column: str | None, storage: Storage) -> Workbook:
    """The workbook of a CSV file.

    Raises:
        AuthoringError: it cannot be read, has no rows or no label, two columns that are one to Tableau or a text where
            a number belongs, or nobody can tell which column has the pictures.
    """
    table = read_csv(path)
    _check_names(path, table)
    if not table.rows:
        raise AuthoringError(f"{path} needs rows: it has a header only.")
    table = _with_numbers(path, table)
    image = image_column or _image_column(table)
    if image not in table.columns:
        raise AuthoringError(f"{path} has no column {image}: it has {', '.join(table.columns)}.")
    if "label" not in table.columns:
        raise AuthoringError(f"{path} has no column label: enrich it first with `python run.py classify`, or rename the"
                             " column that has the labels.")
    labelled = _as_text(table, ("label", image))
    similar = near_on_map(labelled.rows, image) if "map_x" in table.columns and "map_y" in table.columns \
        and len(table.rows) <= _MOST_COMPARED else []
    columns = {image if name == IMAGE else name: kind for name, kind in SIMILAR.items() if name != "Model"}
    rows = [{image if name == IMAGE else name: row[name] for name in SIMILAR if name != "Model"} for row in similar]
    seen = picture_map(labelled.rows, image, path.absolute().parent, size=MAP_SIZE, side=MAP_SIDE)
    return catalogue(labelled, Table("similar", columns, rows), image, storage, seen=seen)


def _check_names(path: Path, table: Table) -> None:
    """Raise AuthoringError for two columns whose names are one to Tableau."""
    seen: dict[str, str] = {}
    for name in table.columns:
        other = seen.setdefault(key_of(name), name)
        if other != name:
            raise AuthoringError(f"{path} has the columns {other} and {name}, which Tableau takes for one: rename one"
                                 " of them.")


def _with_numbers(path: Path, table: Table) -> Table:
    """The table with columns of ours that are empty as the numbers they would be.

    Raises:
        AuthoringError: a text or a number beyond all measure stands where the workbook computes.
    """
    columns = dict(table.columns)
    for name in (name for name, datatype in ANSWERS.items() if datatype == "real" and name in columns):
        values = table.column(name)
        if all(value is None for value in values):
            columns[name] = "real"
        for number, value in enumerate(values if name in _COMPUTED_WITH else (), 2):
            if not _is_number(value):
                raise AuthoringError(f"{path}, row {number}: {name} is {str(value)[:60]!r}, and a number such as 0.95"
                                     " or an empty cell belongs there: correct it, or rename the column.")
    return Table(table.name, columns, table.rows)


def _is_number(value: Any) -> bool:
    """A cell to compute with; in a column that has a text, numbers are texts, too."""
    return value is None or (is_real(str(value)) and abs(float(value)) <= _LARGEST)


def _as_text(table: Table, names: Sequence[str]) -> Table:
    """The table with columns as text: labels such as 0 to 9 are names."""
    rows = [{**row, **{name: None if row[name] is None else str(row[name]) for name in names}} for row in table.rows]
    return Table("catalogue", {**table.columns, **dict.fromkeys(names, "string")}, rows)


def _image_column(table: Table) -> str:
    """The first column of texts most of which end as names of pictures do."""
    for name, datatype in table.columns.items():
        texts = [str(value) for value in table.column(name) if value is not None]
        if datatype == "string" and texts and name not in ("thumbnail_url", "explanation_url") \
                and sum(text.lower().endswith(ENDINGS) for text in texts) * 2 > len(texts):
            return name
    raise AuthoringError(f"Which column of {table.name} has the pictures? Name it with --image-column; there are"
                         f" {', '.join(table.columns)}.")
