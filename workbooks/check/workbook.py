"""What a workbook says, as values: data sources with columns, sheets with pills and addressing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

PARAMETERS = "Parameters"


@dataclass(frozen=True, slots=True)
class TableCalc:
    """One `<table-calc>`: how a calculation is addressed. `about` is the calculation it speaks of, if named."""

    ordering: str
    fields: tuple[str, ...] = ()
    about: str = ""
    restarts_at: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column or calculation; `name` is without brackets, `value` a parameter's current one, as Tableau writes it."""

    name: str
    caption: str
    datatype: str
    role: str = ""
    kind: str = ""
    formula: str | None = None
    value: str | None = None
    table_calc: TableCalc | None = None
    is_special: bool = False  # a bin, group or set: computed, but by no formula

    @property
    def shown(self) -> str:
        """What people see."""
        return self.caption or self.name


@dataclass(frozen=True, slots=True)
class ExtractTable:
    """Where a data source's rows are: a path as the workbook writes it, and the one table; "" where there are more."""

    path: str
    schema: str
    table: str
    kind: str  # hyper, dataengine (a .tde of before 10.5) or textscan
    separator: str = ","


@dataclass(slots=True)
class Datasource:
    """One `<datasource>`; `remote` maps a column's name to that in the extract."""

    name: str
    caption: str
    columns: dict[str, Column] = field(default_factory=dict)
    remote: dict[str, str] = field(default_factory=dict)
    extract: ExtractTable | None = None

    def column(self, name: str) -> Column | None:
        """By name, else by caption."""
        found = self.columns.get(name)
        return found or next((column for column in self.columns.values() if column.caption == name), None)


@dataclass(frozen=True, slots=True)
class Pill:
    """A column as a sheet uses it: `column` of a data source under a derivation (None, Sum, User, ...)."""

    datasource: str
    name: str
    column: str
    derivation: str
    table_calcs: tuple[TableCalc, ...] = ()
    is_declared: bool = True


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter on a pill: members that are kept or excluded, or a range, as Tableau writes values."""

    pill: Pill
    members: tuple[str, ...] = ()
    is_excluding: bool = False
    low: str | None = None
    high: str | None = None
    is_understood: bool = False


@dataclass(slots=True)
class Sheet:
    """One worksheet: what is on which shelf, in Tableau's order."""

    name: str
    pills: dict[tuple[str, str], Pill] = field(default_factory=dict)
    rows: list[Pill] = field(default_factory=list)
    columns: list[Pill] = field(default_factory=list)
    marks: list[Pill] = field(default_factory=list)
    datasources: list[str] = field(default_factory=list)
    filters: list[Filter] = field(default_factory=list)
    is_aggregated: bool = True

    @property
    def on_shelves(self) -> Iterator[Pill]:
        """Every pill in the view."""
        yield from self.rows
        yield from self.columns
        yield from self.marks


@dataclass(frozen=True, slots=True)
class TableScript:
    """The script of a Table Extension."""

    caption: str
    script: str


@dataclass(slots=True)
class Workbook:
    """All of it; `version` as the file has it, "" where it says none."""

    version: str
    datasources: dict[str, Datasource] = field(default_factory=dict)
    sheets: list[Sheet] = field(default_factory=list)
    table_scripts: list[TableScript] = field(default_factory=list)

    @property
    def parameters(self) -> Datasource:
        """The parameters; empty where there are none."""
        return self.datasources.get(PARAMETERS) or Datasource(PARAMETERS, PARAMETERS)

    def resolve(self, datasource: str, name: str, qualifier: str = "") -> tuple[str, Column] | None:
        """The column that `[name]` or `[qualifier].[name]` means in a calculation of a data source."""
        for source in self._sources(qualifier) if qualifier else [self.datasources.get(datasource)]:
            column = source.column(name) if source else None
            if source and column:
                return source.name, column
        parameter = None if qualifier else self.parameters.column(name)
        return (PARAMETERS, parameter) if parameter else None

    def _sources(self, qualifier: str) -> Iterator[Datasource]:
        for source in self.datasources.values():
            if qualifier in (source.name, source.caption):
                yield source
