"""A CSV file as a listing: one row a picture (or a region of one), a column with its path, a column with its class.

Also VoTT's CSV export (`image,xmin,ymin,xmax,ymax,label`), whose regions are cut out, and a column that says train or
test.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from models.data.class_names import label_fault, tidy
from models.data.entries import Box, Entry, Finds, Listing
from models.data.layout import PARTS, names_picture
from models.data.places import Places
from models.data.reading import Wishes, text_of
from models.errors import DataError

COLUMN_NAMES: dict[str, tuple[str, ...]] = {
    "image": ("image", "imagepath", "imagefile", "imagename", "img", "imgpath", "picture", "photo", "path", "filepath",
              "filename", "file", "画像", "画像パス", "ファイル", "ファイル名"),
    "label": ("label", "class", "classname", "category", "tag", "target", "ラベル", "クラス", "カテゴリ", "分類",
              "正解"),
    "part": ("split", "set", "subset", "partition", "分割"),
    "xmin": ("xmin",), "ymin": ("ymin",), "xmax": ("xmax",), "ymax": ("ymax",),
}
"""What a column is for -> its names without case, blanks and punctuation; the first that is there is taken."""

_EDGES = ("xmin", "ymin", "xmax", "ymax")
_DELIMITERS = ",;\t"


def list_table(path: Path, wishes: Wishes) -> Listing:
    """The rows of a CSV file; raises `DataError` when it is none or its columns cannot be told."""
    finds = Finds()
    rows = _rows(path, text_of(path, finds))
    head = rows[0]
    if _is_headless(head, wishes):
        columns = {"image": 0 if names_picture(head[0]) else 1}
        columns["label"] = 1 - columns["image"]
        body = list(enumerate(rows, 1))
    else:
        columns = _columns(path, rows, wishes)
        body = list(enumerate(rows[1:], 2))
    places = Places.of(path, wishes.images)
    for number, row in body:
        if any(cell.strip() for cell in row):
            cells = {use: row[place].strip() for use, place in columns.items() if place < len(row)}
            _add_row(finds, places, number, cells)
    places.settle(str(path), finds)
    return Listing(str(path), tuple(finds.entries), tuple(finds.problems))


def _rows(path: Path, text: str) -> list[list[str]]:
    first = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as exc:
        raise DataError(f"{path}: is not a CSV file ({exc}).") from exc
    if not rows or len(rows[0]) < 2:
        raise DataError(f"{path}: expected a CSV file with a column of pictures and a column of labels; "
                        f"the first line is {first[:80]!r}.")
    return rows


def _is_headless(head: Sequence[str], wishes: Wishes) -> bool:
    """Two columns whose first line is a picture already."""
    is_named = wishes.image_column is not None or wishes.label_column is not None
    return not is_named and len(head) == 2 and sum(map(names_picture, head)) == 1


def _columns(path: Path, rows: Sequence[Sequence[str]], wishes: Wishes) -> dict[str, int]:
    """What a column is for -> its place."""
    head = [cell.strip() for cell in rows[0]]
    plain = ["".join(character for character in cell.casefold() if character.isalnum()) for cell in head]
    columns = {use: plain.index(name) for use, names in COLUMN_NAMES.items()
               if (name := next((name for name in names if name in plain), None)) is not None}
    for use, wish in (("image", wishes.image_column), ("label", wishes.label_column)):
        if wish is not None:
            if wish not in head:
                raise DataError(f"{path}: has no column {wish!r}; it has {_shown(head)}.")
            columns[use] = head.index(wish)
    if "image" not in columns:
        columns |= _by_content(rows)
    if len(head) == 2 and ("image" in columns) != ("label" in columns):  # what is known leaves one column for the other
        columns["label" if "image" in columns else "image"] = 1 - columns.get("image", columns.get("label", 0))
    missing = [f"--{use}-column" for use in ("image", "label") if use not in columns]
    if missing:
        raise DataError(f"{path}: which column is it? Say {' and '.join(missing)}; there are {_shown(head)}.")
    return {use: place for use, place in columns.items() if use not in _EDGES or set(_EDGES) <= columns.keys()}


def _by_content(rows: Sequence[Sequence[str]]) -> dict[str, int]:
    """The one column whose first cell names a picture, if there is just one."""
    places = [place for place, cell in enumerate(rows[1] if len(rows) > 1 else []) if names_picture(cell)]
    return {"image": places[0]} if len(places) == 1 else {}


def _shown(head: Iterable[str]) -> str:
    return ", ".join(list(head)[:20])


def _add_row(finds: Finds, places: Places, number: int, row: Mapping[str, str]) -> None:
    name = f"row {number}" + (f" ({row['image']})" if row.get("image") else "")
    label, text = tidy(row.get("label", "")), row.get("image", "")
    fault = label_fault(label) if text else "names no picture"
    if fault:
        finds.problem(name, "label", fault)
        return
    part = PARTS.get(row.get("part", "").lower())
    if row.get("part") and part is None:
        finds.problem(name, "label", f"says {row['part']!r}; expected train, test or validation")
        return
    try:
        box = _box(row)
    except ValueError as exc:
        finds.problem(name, "label", f"has no usable region ({exc})")
        return
    origin = places.origin(finds, name, text)
    if origin is not None:
        finds.entries.append(Entry(name, label, origin, box, part))


def _box(row: Mapping[str, str]) -> Box | None:
    """The region in pixels; None where all its cells are empty. Raises `ValueError`."""
    cells = [row.get(edge, "") for edge in _EDGES]
    if not any(cells):
        return None
    left, top, right, bottom = map(float, cells)
    return Box(left, top, right, bottom)
