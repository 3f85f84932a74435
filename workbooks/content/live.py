"""*Live*: every function of the server as calculated fields against TabPy, and beside each the extract's own answers.

The fields are made of the server's function table, so that a function that is added there is here, too. Every field of
a sheet is addressed along the path's column, for which Tableau sends one request with the whole column. The dashboard
in front has answers of the extract only: with TabPy down the workbook opens as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from workbooks.authoring.dashboard import Dashboard, Zone
from workbooks.authoring.fields import Datatype, Field, Pill, dimension, measure, script
from workbooks.authoring.names import bracketed, calculation_name
from workbooks.authoring.parameters import Parameter
from workbooks.authoring.sheet import Sheet
from workbooks.authoring.source import Source, Storage
from workbooks.authoring.table import Table
from workbooks.authoring.workbook import Workbook
from workbooks.content.calculated import is_chosen_model, needs_review
from workbooks.content.columns import KNOWN, fields_of, natural
from workbooks.gathering.classified import ANSWERS, IMAGE, MODEL, TRUTH

NAME = "Live"
THRESHOLD, RANK = 0.9, 2
Form = Literal["script", "model extension"]
FORMS: tuple[Form, ...] = ("script", "model extension")

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Answers": ("image_label", "image_confidence", "image_needs_review", "image_status", "image_note"),
    "Ranks": ("image_label_at", "image_confidence_at", "image_probability", "image_margin", "image_entropy"),
    "Places": ("image_map_x", "image_map_y", "image_cluster", "image_nearest_label", "image_outlier"),
    "Focus": ("image_focus_x", "image_focus_y", "image_focus_area", "image_border_share"),
    "Likeness": ("image_similarity", "image_duplicate_group", "image_embedding"),
    "Addresses": ("image_thumbnail_url", "image_explanation_url"),
}
"""Sheet -> its functions; a function that is in none has its own sheet, `Further`."""

ASKED: Mapping[str, Datatype] = {"label_at": "string", "confidence_at": "real", "probability": "real",
                                 "similarity": "real"}
"""Columns of the extract whose answers hold for the parameters' first values."""

COLUMNS: Mapping[str, Datatype] = {IMAGE: "string", TRUTH: "string", MODEL: "string", **ANSWERS, **ASKED}
_TYPES: Mapping[str, tuple[str, Datatype]] = {"string": ("STR", "string"), "number": ("REAL", "real"),
                                              "boolean": ("BOOL", "boolean")}


@dataclass(frozen=True, slots=True)
class Function:
    """A row of the server's function table; functions that answer a whole table are no fields."""

    name: str
    parameters: tuple[str, ...]
    returns: str

    @property
    def column(self) -> str:
        """What its answers are called."""
        return self.name.removeprefix("image_")

    @property
    def caption(self) -> str:
        """What people call it."""
        known = KNOWN.get(self.column)
        return known.caption if known else self.column.replace("_", " ").title()


def functions_of(described: Sequence[Mapping[str, Any]]) -> list[Function]:
    """Those of `/v1/functions` that can be fields."""
    return [Function(one["name"], tuple(one["parameters"]), one["returns"]) for one in described
            if one["returns"] in _TYPES]


def live(rows: Sequence[Mapping[str, Any]], functions: Sequence[Function], labels: Mapping[str, Sequence[str]],
         storage: Storage) -> Workbook:
    """The workbook of classified pictures; `labels` are the classes of each model, the first of which it opens with."""
    parameters = _parameters(rows, labels)
    source = _source(rows, functions, parameters, storage)
    groups = _groups(functions)
    sheets = {(group, form): _live_sheet(source, group, names, form) for group, names in groups.items()
              for form in FORMS}
    twins = {group: sheet for group, names in groups.items() if (sheet := _twin_sheet(source, group, names))}
    shown = {"From the extract": (list(twins.values())[:4], _EXTRACT_NOTE)} | {
        f"Live by {form}s": ([sheets[group, form] for group in list(groups)[:4]], _LIVE_NOTE) for form in FORMS}
    dashboards = [Dashboard(name, _zones(name, on_it, parameters, note)) for name, (on_it, note) in shown.items()]
    return Workbook(NAME, list(parameters.values()), [*twins.values(), *sheets.values()], dashboards)


_EXTRACT_NOTE = ("Answers of the extract, without TabPy. The dashboards beside this one ask TabPy: connect it first by"
                 " Help > Settings and Performance > Manage Analytics Extension Connection.")
_LIVE_NOTE = "Every field is one request with the whole column. Pending rows come with another value of Refresh."


def formula(function: Function, parameters: Mapping[str, Parameter], form: Form) -> str:
    """The calculated field: the path as an attribute, the rest from parameters, in the function's order."""
    arguments = [f"ATTR({bracketed(IMAGE)})", *(parameters[name].reference for name in function.parameters[1:])]
    kind = _TYPES[function.returns][0]
    if form == "script":
        numbered = ", ".join(f"_arg{number}" for number in range(1, len(arguments) + 1))
        return f"SCRIPT_{kind}(\"return tabpy.query('{function.name}', {numbered})['response']\",\n" \
            + ", ".join(arguments) + ")"
    quoted = ", ".join(f'"{name}"' for name in (function.name, *function.parameters))
    return f"MODEL_EXTENSION_{kind}({quoted},\n" + ", ".join(arguments) + ")"


def _parameters(rows: Sequence[Mapping[str, Any]], labels: Mapping[str, Sequence[str]]) -> dict[str, Parameter]:
    """By the name of the functions' parameter each stands for."""
    models = list(labels)
    classes = sorted({label for names in labels.values() for label in names}, key=natural)
    return {
        "model": Parameter("Model", "string", models[0], members=models),
        "label": Parameter("Class", "string", labels[models[0]][0], members=classes),
        "threshold": Parameter("Threshold", "real", THRESHOLD, between=(0, 1, 0.01)),
        "rank": Parameter("Rank", "integer", RANK, between=(1, 32, 1)),
        "to": Parameter("Similar to", "string", str(rows[0][IMAGE])),
        "refresh": Parameter("Refresh", "integer", 1, between=(1, 100, 1)),
    }


def _source(rows: Sequence[Mapping[str, Any]], functions: Sequence[Function], parameters: Mapping[str, Parameter],
            storage: Storage) -> Source:
    table = Table("live", COLUMNS, rows)
    review = needs_review(parameters["threshold"], NAME)
    calculated = [is_chosen_model(parameters["model"], NAME), review,
                  *(_script_field(function, parameters, form, review) for function in functions for form in FORMS)]
    fields = fields_of(table)
    return Source(table, "Pictures", fields | {one.name: one for one in calculated}, storage)


def _script_field(function: Function, parameters: Mapping[str, Parameter], form: Form, review: Field) -> Field:
    """For drawings its value is the extract's."""
    datatype = _TYPES[function.returns][1]
    known = KNOWN.get(function.column)
    column = review.of if function.column == "needs_review" else lambda row, _: row.get(function.column)
    return Field(calculation_name(NAME, form, function.name), datatype, f"{function.caption} ({form})",
                 is_dimension=False, is_script=True, uses=(IMAGE,), value=column,
                 number_format=known.number_format if known and datatype == "real" else "",
                 formula=formula(function, parameters, form))


def _groups(functions: Sequence[Function]) -> dict[str, list[Function]]:
    by_name = {function.name: function for function in functions}
    groups = {group: [by_name[name] for name in names if name in by_name] for group, names in GROUPS.items()}
    grouped = {name for names in GROUPS.values() for name in names}
    groups["Further"] = [function for function in functions if function.name not in grouped]
    return {group: found for group, found in groups.items() if found}


def _live_sheet(source: Source, group: str, functions: Sequence[Function], form: Form) -> Sheet:
    path = source.fields[IMAGE]
    pills = [script(source.fields[calculation_name(NAME, form, one.name)], path) for one in functions]
    return _listing(f"{group}, {form}", source, pills, f"{group}: asked live, by {form}")


def _twin_sheet(source: Source, group: str, functions: Sequence[Function]) -> Sheet | None:
    pills = [pill for one in functions if (pill := _twin(source, one)) is not None]
    if not pills:
        return None
    return _listing(f"{group}, extract", source, pills, f"{group}: from the extract")


def _listing(name: str, source: Source, pills: Sequence[Pill], title: str) -> Sheet:
    """A row a picture: texts as headers, numbers as bars; without a number the last text stands in the cells."""
    texts, numbers = ([pill for pill in pills if pill.is_measure == is_number] for is_number in (False, True))
    cells = [] if numbers else [texts.pop()]
    return Sheet(name, source, "Bar" if numbers else "Text", rows=[dimension(source.fields[IMAGE]), *texts],
                 cols=numbers, text=cells, only=[source.by_caption("Is of the Model")], has_labels=True, is_list=True,
                 title=title)


def _twin(source: Source, function: Function) -> Pill | None:
    """The extract's own column of a function."""
    if function.column == "needs_review":
        return dimension(source.by_caption("Needs Review"))
    one = source.fields.get(function.column)
    if one is None:
        return None
    return dimension(one) if one.is_dimension else measure(one, "Avg")


def _zones(name: str, sheets: Sequence[Sheet], parameters: Mapping[str, Parameter], note: str) -> list[Zone]:
    zones = [Zone(0, 0, 300, 44, text=name, size=18), Zone(0, 60, 1200, 30, size=10, text=note)]
    zones += [Zone(300 + 150 * place, 0, 150, 60, parameter=one) for place, one in enumerate(parameters.values())]
    places = ((0, 94), (604, 94), (0, 449), (604, 449))
    return zones + [Zone(x, y, 596, 351, sheet=sheet) for (x, y), sheet in zip(places, sheets, strict=False)]
