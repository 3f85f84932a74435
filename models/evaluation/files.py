"""An evaluation as files: `evaluation.json`, `evaluation.html`, and tables for Tableau in which a row is a mark.

Tables are CSV in UTF-8 with the byte-order mark: Tableau reads it either way, Excel takes a file without it for the
system's own code page and breaks Japanese names.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from models.errors import DataError
from models.evaluation.evaluation import Evaluation
from models.evaluation.page import page
from models.evaluation.per_class import Share
from models.evaluation.trust import Bin

DATA_FILE, PAGE_FILE = "evaluation.json", "evaluation.html"

Row = Sequence[object]
Table = tuple[tuple[str, ...], Callable[[Evaluation], Iterable[Row]]]


def _confusion(found: Evaluation) -> Iterable[Row]:
    for truth, answer, count in found.confusion:
        yield found.labels[truth], found.labels[answer], count, round(count / found.classes[truth].pictures, 6)


def _classes(found: Evaluation) -> Iterable[Row]:
    for one in found.classes:
        yield (one.label, one.pictures, one.answers, one.correct, *_cells(one.precision), *_cells(one.recall),
               *_cells(one.f1))


def _reliability(found: Evaluation) -> Iterable[Row]:
    for name, bins in (("before", found.reliability_before), ("after", found.reliability_after)):
        yield from (_bin(name, one) for one in bins)


def _bin(name: str, one: Bin) -> Row:
    return name, one.low, one.high, one.pictures, one.confidence, *_cells(one.accuracy)


def _coverage(found: Evaluation) -> Iterable[Row]:
    for point in found.coverage:
        yield point.threshold, point.pictures, point.coverage, *_cells(point.accuracy)


def _mistakes(found: Evaluation) -> Iterable[Row]:
    for one in found.mistakes:
        yield (one.picture, found.labels[one.truth], found.labels[one.answer], one.confidence, one.of_truth, one.rank)


def _cells(one: Share) -> tuple[object, ...]:
    """Value, low, high; all empty where there was nothing to count."""
    return ("", "", "") if one.value is None else (one.value, one.low, one.high)


def _with_interval(*names: str) -> tuple[str, ...]:
    return tuple(f"{name}{part}" for name in names for part in ("", " low", " high"))


TABLES: dict[str, Table] = {
    "confusion.csv": (("Truth", "Predicted", "Pictures", "Share of truth"), _confusion),
    "classes.csv": (("Class", "Pictures", "Answers", "Correct", *_with_interval("Precision", "Recall", "F1")),
                    _classes),
    "reliability.csv": (("Temperature", "Confidence from", "Confidence to", "Pictures", "Mean confidence",
                         *_with_interval("Accuracy")), _reliability),
    "coverage.csv": (("Threshold", "Pictures", "Coverage", *_with_interval("Accuracy")), _coverage),
    "mistakes.csv": (("Picture", "Truth", "Predicted", "Confidence", "Confidence in truth", "Rank of truth"),
                     _mistakes),
}
"""File -> its columns, and its rows."""


def contents(found: Evaluation, about: Mapping[str, Any] | None = None) -> dict[str, bytes]:
    """The two files that a version carries: the data and the page."""
    data = json.dumps(found.as_dict(), ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    return {DATA_FILE: data.encode("utf-8", "backslashreplace"),
            PAGE_FILE: page(found, about).encode("utf-8", "backslashreplace")}


def table(found: Evaluation, name: str) -> bytes:
    """One of `TABLES` as the bytes of a file."""
    head, rows = TABLES[name]
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(head)
    writer.writerows(rows(found))
    return text.getvalue().encode("utf-8-sig", "backslashreplace")


def write(folder: Path, found: Evaluation, about: Mapping[str, Any] | None = None) -> list[Path]:
    """All files into `folder`, which is made; raises `DataError` where that cannot be."""
    files = contents(found, about) | {name: table(found, name) for name in TABLES}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (folder / name).write_bytes(data)
    except OSError as exc:
        raise DataError(f"{folder} cannot be written ({exc.strerror or exc}): name another folder.") from exc
    return [folder / name for name in files]
