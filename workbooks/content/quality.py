"""*Model quality*: what is taken for what, how good each class is, whether confidences are true, the worst mistakes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbooks.authoring.dashboard import Dashboard, Zone
from workbooks.authoring.fields import Datatype, Field, Pill, dimension, measure
from workbooks.authoring.parameters import Parameter
from workbooks.authoring.sheet import Sheet
from workbooks.authoring.source import Source, Storage
from workbooks.authoring.table import Table
from workbooks.authoring.workbook import Workbook
from workbooks.content.calculated import is_chosen_model
from workbooks.content.columns import SHARE, fields_of
from workbooks.gathering import measured
from workbooks.gathering.classified import IMAGE, MODEL, TRUTH

NAME = "Model quality"
MOST_SEEN = 4
_SEEN = "Image/mistakes.png"
MISTAKES: Mapping[str, Datatype] = {MODEL: "string", "Picture": "string", "Truth": "string", "Predicted": "string",
                                    "Confidence": "real", "Confidence in Truth": "real", "Thumbnail": "string"}
_TABLES: Mapping[str, tuple[str, Mapping[str, Datatype]]] = {
    "confusion": ("Confusion matrix", measured.CONFUSION), "classes": ("Classes", measured.CLASSES),
    "reliability": ("Reliability", measured.RELIABILITY), "coverage": ("Coverage", measured.COVERAGE),
    "summary": ("Summary", measured.SUMMARY), "mistakes": ("Mistakes", MISTAKES),
    "leaderboard": ("Leaderboard", measured.LEADERBOARD), "depth": ("Depth", measured.DEPTH),
}
_LINES = {measured.TRUE: "#c3c8cf", measured.BEFORE: "#f28e2b", measured.AFTER: "#2563c9"}
_FORMATS = dict.fromkeys(("Share of truth", "Confidence", "Confidence in Truth", "Coverage", "Threshold",
                          "Training error", "Test error",
                          *(name + ending for name in ("Accuracy", "Precision", "Recall", "F1")
                            for ending in ("", " low", " high"))), SHARE) | {"Calibration error": "n0.0000"}


def mistakes(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The wrong answers among classified pictures, the most confident first."""
    wrong = [row for row in rows if row[TRUTH] is not None and row["label"] not in (None, row[TRUTH])]
    return [{MODEL: row[MODEL], "Picture": row[IMAGE], "Truth": row[TRUTH], "Predicted": row["label"],
             "Confidence": row["confidence"], "Confidence in Truth": row["truth_probability"],
             "Thumbnail": row["thumbnail_url"]} for row in sorted(wrong, key=lambda row: -row["confidence"])]


@dataclass(frozen=True, slots=True, eq=False)
class _Measured:
    """A source of the workbook with the field that keeps the chosen model's rows."""

    source: Source
    only: tuple[Field, ...]

    def on(self, name: str) -> Pill:
        """A column as it is."""
        return dimension(self.source.fields[name])

    def mean(self, name: str) -> Pill:
        """A column's mean."""
        return measure(self.source.fields[name], "Avg")

    def total(self, name: str) -> Pill:
        """A column's sum."""
        return measure(self.source.fields[name])


def quality(rows: Mapping[str, Sequence[Mapping[str, Any]]], models: Sequence[str], storage: Storage,
            seen: bytes | None = None) -> Workbook:
    """The workbook of tables by their names; those without rows, and their sheets, are left out.

    `seen` is a PNG of the first `MOST_SEEN` mistakes.
    """
    model = Parameter("Model", "string", models[0], members=models)
    found = {name: _measured(name, rows[name], model, storage) for name in _TABLES if rows.get(name)}
    sheets = {name: make(found[table]) for name, (table, make) in _SHEETS.items() if table in found}
    dashboard = Dashboard(NAME, _zones(sheets, model, has_picture=seen is not None))
    return Workbook(NAME, [model], list(sheets.values()), [dashboard],
                    pictures={} if seen is None else {_SEEN: seen})


def _measured(name: str, rows: Sequence[Mapping[str, Any]], model: Parameter, storage: Storage) -> _Measured:
    caption, columns = _TABLES[name]
    table = Table(name, columns, rows)
    only = (is_chosen_model(model, name),) if MODEL in columns else ()
    fields = fields_of(table, _FORMATS) | {one.name: one for one in only}
    colours = {"Line": _LINES} if name == "reliability" else {}
    return _Measured(Source(table, caption, fields, storage, colours), only)


def _confusion(one: _Measured) -> Sheet:
    return Sheet("Confusion matrix", one.source, "Square", rows=[one.on("Truth")], cols=[one.on("Predicted")],
                 color=one.mean("Share of truth"), text=[one.total("Pictures")], only=one.only, has_labels=True,
                 title="What is taken for what: truth in rows, answers in columns")


def _classes(one: _Measured) -> Sheet:
    return Sheet("Precision and recall", one.source, "Bar", rows=[one.on("Class")],
                 cols=[one.mean("Precision"), one.mean("Recall")], only=one.only, has_labels=True,
                 title="Precision and recall by class")


def _reliability(one: _Measured) -> Sheet:
    return Sheet("Reliability", one.source, "Line", cols=[Pill(one.source.fields["Confidence"])],
                 rows=[one.mean("Accuracy")], color=one.on("Line"), only=one.only,
                 title="Are confidences true? On the grey line they are")


def _coverage(one: _Measured) -> Sheet:
    return Sheet("Coverage", one.source, "Line", cols=[Pill(one.source.fields["Coverage"])],
                 rows=[one.mean("Accuracy")], only=one.only,
                 title="Accuracy over the share that is answered alone")


def _mistakes(one: _Measured) -> Sheet:
    return Sheet("Worst mistakes", one.source, "Bar", only=one.only, has_labels=True, is_list=True,
                 rows=[one.on("Picture"), one.on("Truth"), one.on("Predicted")], cols=[one.mean("Confidence")],
                 sort=(one.on("Picture"), one.mean("Confidence"), "DESC"),
                 widths=(("Truth", 70), ("Predicted", 70)), title="Worst mistakes: wrong, and sure of it")


def _leaderboard(one: _Measured) -> Sheet:
    return Sheet("Leaderboard", one.source, "Bar", rows=[one.on("Network")], cols=[one.mean("Accuracy")],
                 only=one.only, sort=(one.on("Network"), one.mean("Accuracy"), "DESC"), has_labels=True,
                 title="What was tried in training, by accuracy")


def _depth(one: _Measured) -> Sheet:
    return Sheet("Depth", one.source, "Line", cols=[Pill(one.source.fields["Epoch"])],
                 rows=[one.mean("Test error")], color=one.on("Network"),
                 title="Plain and residual networks: test error")


def _number(name: str, column: str) -> Callable[[_Measured], Sheet]:
    return lambda one: Sheet(name, one.source, "Text", text=[one.mean(column)], only=one.only, font_size=22, title=name)


_SHEETS: Mapping[str, tuple[str, Callable[[_Measured], Sheet]]] = {
    "accuracy": ("summary", _number("Accuracy", "Accuracy")),
    "pictures": ("summary", _number("Pictures", "Pictures")),
    "error": ("summary", _number("Calibration error", "Calibration error")),
    **{name: (name, make) for name, make in (
        ("confusion", _confusion), ("classes", _classes), ("reliability", _reliability), ("coverage", _coverage),
        ("mistakes", _mistakes), ("leaderboard", _leaderboard), ("depth", _depth))},
}
"""Sheet -> its table, and how it is made."""


def _zones(sheets: Mapping[str, Sheet], model: Parameter, *, has_picture: bool) -> list[Zone]:
    """Three columns below a line of numbers; what is there shares the height."""
    zones = [Zone(0, 0, 620, 44, text=NAME, size=18), Zone(1000, 0, 200, 60, parameter=model),
             Zone(0, 44, 620, 28, size=9, text="Measured by Pixfield on pictures that were held out of"
                  " training, or that were named.")]
    numbers = [sheets[name] for name in ("accuracy", "pictures", "error") if name in sheets]
    zones += [Zone(400 * place, 76, 400, 84, sheet=sheet) for place, sheet in enumerate(numbers)]
    room = 130 if has_picture else 0
    for x, width, height, names in ((0, 436, 640, ("confusion", "leaderboard")), (436, 372, 640, ("classes", "depth")),
                                    (808, 392, 640 - room, ("reliability", "coverage", "mistakes"))):
        there = [sheets[name] for name in names if name in sheets]
        each = height // max(1, len(there))
        zones += [Zone(x, 160 + place * each, width, each, sheet=sheet) for place, sheet in enumerate(there)]
    if has_picture:
        zones += [Zone(808, 800 - room, 392, 24, text=f"The worst mistakes of {model.value}, in that order",
                       size=10),
                  Zone(808, 824 - room, 392, room - 24, picture=_SEEN)]
    return zones
