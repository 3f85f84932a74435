"""How Tableau cuts a sheet's marks into requests: one for each partition of a table calculation.

The dimensions in the view make the marks. Those a calculation is addressed along are sent together; the others
partition, and every combination of their values is a request of its own (Tableau's help, "Addressing and Partitioning";
TabPy issues 51, 463 and 486).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from workbooks.check.arguments import Scope, references
from workbooks.check.elements import pairs, unbracketed
from workbooks.check.fields import Field
from workbooks.check.tokens import tokens
from workbooks.check.workbook import Pill, Sheet, TableCalc, Workbook

DIMENSIONAL = frozenset(
    ["None", "Year", "Quarter", "Month", "Day", "Week", "Weekday", "Hour", "Minute", "Second", "MDY", "MY", "InOut",
     "ISO-Year", "ISO-Quarter", "ISO-Week", "ISO-Weekday"]
    + [f"{part}-Trunc" for part in ("Year", "Quarter", "Month", "Day", "Week", "Hour", "Minute", "Second", "ISO-Year",
                                    "ISO-Quarter", "ISO-Week")])
"""Derivations that make a dimension; all others are aggregates."""

NAMES = {"Rows": "Table (across)", "Columns": "Table (down)", "Table": "Table (across then down)",
         "TableCol": "Table (down then across)", "RowInPane": "Pane (across)", "ColumnInPane": "Pane (down)",
         "Pane": "Pane (across then down)", "PaneCol": "Pane (down then across)", "CellInPane": "Cell"}
_PANES = {"RowInPane", "ColumnInPane", "Pane", "PaneCol"}
_ALONG = {"Rows": "columns", "RowInPane": "columns", "Columns": "rows", "ColumnInPane": "rows", "Table": "both",
          "TableCol": "both", "Pane": "both", "PaneCol": "both"}


@dataclass(frozen=True, slots=True)
class Usage:
    """A field on a sheet, and how it is addressed there; `table_calc` is None where nothing says it."""

    field: Field
    sheet: Sheet
    table_calc: TableCalc | None

    @property
    def where(self) -> str:
        """How reports call it."""
        return f"{self.field.label} on {self.sheet.name!r}"


@dataclass(frozen=True, slots=True)
class Cut:
    """A view's dimensions by what they do; `name` is what Tableau calls the addressing, `absent` fields not in view."""

    addressed: tuple[Pill, ...]
    partitioning: tuple[Pill, ...]
    name: str
    absent: tuple[str, ...] = ()

    @property
    def dimensions(self) -> tuple[Pill, ...]:
        """All, partitioning ones first."""
        return (*self.partitioning, *self.addressed)


def usages(workbook: Workbook, found: list[Field]) -> Iterator[Usage]:
    """Every use of a field on a sheet, directly or inside another calculation, once for each addressing."""
    by_key: dict[tuple[str, str], list[Field]] = {}
    for field in found:
        by_key.setdefault(field.key, []).append(field)
    reached: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for sheet in workbook.sheets:
        seen: set[tuple[tuple[str, str], int, TableCalc | None]] = set()
        for pill in (*sheet.pills.values(), *sheet.on_shelves):
            start = pill.datasource, pill.column
            if start not in reached:
                reached[start] = [key for key in reachable(workbook, *start) if key in by_key]
            for key in reached[start]:
                for field in by_key[key]:
                    usage = Usage(field, sheet, _table_calc(field, pill))
                    if (key, field.number, usage.table_calc) not in seen:
                        seen.add((key, field.number, usage.table_calc))
                        yield usage


def reachable(workbook: Workbook, datasource: str, name: str) -> Iterator[tuple[str, str]]:
    """The calculation itself and all that it is made of."""
    pending, seen = [(datasource, name)], set[tuple[str, str]]()
    while pending:
        source, column_name = pending.pop()
        resolved = workbook.resolve(source, column_name)
        if resolved is None or (resolved[0], resolved[1].name) in seen:
            continue
        key = resolved[0], resolved[1].name
        seen.add(key)
        yield key
        formula = resolved[1].formula
        if formula:
            pending += [(reference.source, reference.column.name)
                        for reference in references(tokens(formula).items, Scope(workbook, resolved[0]))
                        if reference.column is not None]


def _table_calc(field: Field, pill: Pill) -> TableCalc | None:
    """What the pill says about this very calculation, else what the calculation says of itself."""
    own = [calc for calc in pill.table_calcs if not calc.about]
    for calc in pill.table_calcs:
        if calc.about and pairs(calc.about)[-1:] == [field.key]:
            return calc
    if pill.column == field.column.name and own:
        return own[0]
    return field.column.table_calc


def cut(sheet: Sheet, calc: TableCalc | None) -> Cut:
    """The view's dimensions under that addressing; without one, as Table (across), which is Tableau's default."""
    shelves = {"rows": _dimensions(sheet.rows), "columns": _dimensions(sheet.columns),
               "marks": _dimensions(sheet.marks)}
    everything = list(dict.fromkeys(pill for pills in shelves.values() for pill in pills))
    ordering = calc.ordering if calc else "Rows"
    if calc is not None and (ordering == "Field" or (calc.fields and ordering not in NAMES)):
        return _specific(everything, calc)
    addressed = _relative(shelves, ordering)
    rest = tuple(pill for pill in everything if pill not in addressed)
    return Cut(tuple(addressed), rest, NAMES.get(ordering, ordering or "no addressing"))


def _relative(shelves: dict[str, list[Pill]], ordering: str) -> list[Pill]:
    along = _ALONG.get(ordering, "")
    pills = {name: shelves[name][-1:] if ordering in _PANES else shelves[name] for name in ("rows", "columns")}
    if along == "both":
        return list(dict.fromkeys(pills["rows"] + pills["columns"]))
    return pills[along] if along else []


def _specific(everything: list[Pill], calc: TableCalc) -> Cut:
    addressed: list[Pill] = []
    absent: list[str] = []
    names: list[str] = []
    for text in dict.fromkeys(calc.fields):
        source, name = (pairs(text) or [("", unbracketed(text))])[-1]
        names.append(name)
        found = [pill for pill in everything if _is_meant(pill, source, name)]
        addressed += [pill for pill in found if pill not in addressed]
        if not found:
            absent.append(f"[{name}]")
    if calc.restarts_at:
        addressed = _after(addressed, calc.restarts_at)
    rest = tuple(pill for pill in everything if pill not in addressed)
    return Cut(tuple(addressed), rest, "Specific Dimensions: " + ", ".join(names), tuple(absent))


def _is_meant(pill: Pill, source: str, name: str) -> bool:
    return source in ("", pill.datasource) and name in (pill.name, pill.column)


def _after(addressed: list[Pill], restarts_at: str) -> list[Pill]:
    """Restarting every X: X and what is ticked above it partition."""
    source, name = (pairs(restarts_at) or [("", unbracketed(restarts_at))])[-1]
    places = [place for place, pill in enumerate(addressed) if _is_meant(pill, source, name)]
    return addressed[places[-1] + 1:] if places else addressed


def _dimensions(pills: list[Pill]) -> list[Pill]:
    found = [pill for pill in pills if pill.derivation in DIMENSIONAL and not pill.column.startswith(":")]
    return list(dict.fromkeys(found))
