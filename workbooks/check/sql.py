"""A calculation's tree becomes an SQL expression over the extract, with its type, as Hyper computes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from workbooks.check.arguments import literal
from workbooks.check.grammar import FieldName, Literal, Node, NotUnderstoodError, Operation, tree
from workbooks.check.tokens import tokens
from workbooks.check.workbook import PARAMETERS, Column, Pill, Workbook

MAX_DEPTH = 20
MAX_LENGTH = 100_000  # characters of SQL: calculations that name others twice, and those others, double each time


@dataclass(frozen=True, slots=True)
class Sql:
    """An expression and its type in Tableau's words ("" where it is not known)."""

    text: str
    datatype: str


_PARTS = {"Year": "YEAR", "Quarter": "QUARTER", "Month": "MONTH", "Day": "DAY", "Hour": "HOUR", "Minute": "MINUTE",
          "Second": "SECOND", "Week": "WEEK"}
_CALL: dict[str, tuple[str, str]] = {  # Tableau's function: the SQL, the type ("" as the first argument's)
    "SUM": ("SUM({0})", ""), "AVG": ("AVG({0})", "real"), "MIN": ("MIN({0})", ""), "MAX": ("MAX({0})", ""),
    "COUNT": ("COUNT({0})", "integer"), "COUNTD": ("COUNT(DISTINCT {0})", "integer"),
    "MEDIAN": ("PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY {0})", "real"), "STDEV": ("STDDEV_SAMP({0})", "real"),
    "STDEVP": ("STDDEV_POP({0})", "real"), "VAR": ("VAR_SAMP({0})", "real"), "VARP": ("VAR_POP({0})", "real"),
    "ATTR": ("CASE WHEN MIN({0}) = MAX({0}) THEN MIN({0}) END", ""),
    "STR": ("CAST({0} AS TEXT)", "string"), "INT": ("CAST(TRUNC(CAST({0} AS DOUBLE PRECISION)) AS BIGINT)", "integer"),
    "FLOAT": ("CAST({0} AS DOUBLE PRECISION)", "real"), "UPPER": ("UPPER({0})", "string"),
    "LOWER": ("LOWER({0})", "string"), "TRIM": ("TRIM({0})", "string"), "LEN": ("LENGTH({0})", "integer"),
    "LEFT": ("LEFT({0}, {1})", "string"), "RIGHT": ("RIGHT({0}, {1})", "string"),
    "REPLACE": ("REPLACE({0}, {1}, {2})", "string"), "ABS": ("ABS({0})", ""), "ROUND": ("ROUND({0}, {1})", ""),
    "CEILING": ("CEIL({0})", ""), "FLOOR": ("FLOOR({0})", ""), "SQRT": ("SQRT({0})", "real"),
    "IFNULL": ("COALESCE({0}, {1})", ""), "ZN": ("COALESCE({0}, 0)", ""), "ISNULL": ("({0} IS NULL)", "boolean"),
    "CONTAINS": ("(POSITION({1} IN {0}) > 0)", "boolean"), "STARTSWITH": ("(LEFT({0}, LENGTH({1})) = {1})", "boolean"),
    "YEAR": ("EXTRACT(YEAR FROM {0})", "integer"), "MONTH": ("EXTRACT(MONTH FROM {0})", "integer"),
    "DAY": ("EXTRACT(DAY FROM {0})", "integer"),
}
_AGGREGATES = {"SUM", "AVG", "MIN", "MAX", "COUNT", "COUNTD", "MEDIAN", "STDEV", "STDEVP", "VAR", "VARP", "ATTR"}


def quoted(name: str) -> str:
    """A name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True, slots=True)
class Compiler:
    """Expressions of one data source; where a sheet does not aggregate, an aggregate of a row is the row's value."""

    workbook: Workbook
    datasource: str
    columns: frozenset[str]
    is_aggregated: bool = True
    known: dict[str, Sql] = field(default_factory=dict, compare=False)

    def formula(self, text: str, depth: int = 0) -> Sql:
        """A calculation; raises NotUnderstoodError."""
        words = tokens(text)
        if words.unclosed:
            raise NotUnderstoodError("the calculation does not end")
        return self.node(tree(words.items), depth)

    def pill(self, pill: Pill) -> Sql:
        """A dimension in a view."""
        if pill.datasource != self.datasource:
            raise NotUnderstoodError(f"[{pill.column}] is of another data source")
        inner = self.node(FieldName(pill.column), 0)
        if pill.derivation == "None":
            return inner
        if pill.derivation.endswith("-Trunc") and (part := _PARTS.get(pill.derivation.removesuffix("-Trunc"))):
            return Sql(f"DATE_TRUNC('{part.lower()}', {inner.text})", "datetime")
        if pill.derivation in _PARTS:
            return Sql(f"EXTRACT({_PARTS[pill.derivation]} FROM {inner.text})", "integer")
        raise NotUnderstoodError(f"[{pill.column}] is in the view by {pill.derivation or 'something unknown'}")

    def node(self, node: Node, depth: int) -> Sql:
        """Any part of a tree."""
        if depth > MAX_DEPTH:
            raise NotUnderstoodError("calculations inside calculations go too deep")
        if isinstance(node, Literal):
            return constant_sql(node.value, node.datatype)
        if isinstance(node, FieldName):
            return self._field(node, depth)
        special: dict[str, Callable[[Operation, int], Sql]] = {
            "IF": self._if, "IIF": self._if, "IN": self._in, "NEGATE": self._negate, "NOT": self._not}
        if node.name in special:
            return special[node.name](node, depth)
        parts = [self.node(part, depth) for part in node.parts]
        return self._call(node.name, parts) if node.name.isidentifier() and node.name not in ("AND", "OR") \
            else _operator(node.name, parts)

    def _field(self, node: FieldName, depth: int) -> Sql:
        found = self.workbook.resolve(self.datasource, node.name, node.qualifier)
        if found is None:
            raise NotUnderstoodError(f"[{node.name}] is no field of the data source")
        source, column = found
        if source == PARAMETERS:
            return constant_sql(literal(column.value or column.formula or "", column.datatype), column.datatype)
        if source != self.datasource:
            raise NotUnderstoodError(f"[{column.shown}] is of another data source")
        return self._column(column, depth)

    def _column(self, column: Column, depth: int) -> Sql:
        remote = self.workbook.datasources[self.datasource].remote.get(column.name, column.name)
        if remote in self.columns and (column.formula is None or remote != column.name):
            return Sql(quoted(remote), column.datatype)  # an extract may hold a calculation's values, too
        if column.formula is not None and not column.is_special:
            if column.name not in self.known:
                inner = self.formula(column.formula, depth + 1)
                self.known[column.name] = Sql(f"({inner.text})", inner.datatype or column.datatype)
            if len(self.known[column.name].text) > MAX_LENGTH:
                raise NotUnderstoodError(f"[{column.shown}] is too long a calculation")
            return self.known[column.name]
        raise NotUnderstoodError(f"[{column.shown}] is not among the rows inside")

    def _call(self, name: str, parts: list[Sql]) -> Sql:
        if name == "ROUND" and len(parts) == 1:
            parts = [*parts, Sql("0", "integer")]
        is_aggregate = name in _AGGREGATES and len(parts) == 1
        if name not in _CALL or (name in _AGGREGATES and not is_aggregate):
            raise NotUnderstoodError(f"{name} is computed by Tableau alone")
        template, datatype = _CALL[name]
        if len(parts) != template.count("{1}") + template.count("{2}") + 1 and name != "STARTSWITH":
            raise NotUnderstoodError(f"{name} has {len(parts)} arguments")
        if is_aggregate and not self.is_aggregated:
            template = "1" if name.startswith("COUNT") else "{0}"
        try:
            return Sql(template.format(*(part.text for part in parts)), datatype or parts[0].datatype)
        except IndexError as exc:
            raise NotUnderstoodError(f"{name} has {len(parts)} arguments") from exc

    def _if(self, node: Operation, depth: int) -> Sql:
        parts = [self.node(part, depth) for part in node.parts]
        if len(parts) < 2 or (node.name == "IIF" and len(parts) != 3):
            raise NotUnderstoodError("an IF without an answer")
        branches = [f"WHEN {parts[place].text} THEN {parts[place + 1].text}" for place in range(0, len(parts) - 1, 2)]
        otherwise = f" ELSE {parts[-1].text}" if len(parts) % 2 else ""
        return Sql(f"CASE {' '.join(branches)}{otherwise} END", parts[1].datatype)

    def _in(self, node: Operation, depth: int) -> Sql:
        first, *others = (self.node(part, depth).text for part in node.parts)
        return Sql(f"({first} IN ({', '.join(others)}))" if others else "FALSE", "boolean")

    def _negate(self, node: Operation, depth: int) -> Sql:
        inner = self.node(node.parts[0], depth)
        return Sql(f"(- {inner.text})", inner.datatype)

    def _not(self, node: Operation, depth: int) -> Sql:
        return Sql(f"(NOT {self.node(node.parts[0], depth).text})", "boolean")


def _operator(sign: str, parts: list[Sql]) -> Sql:
    one, two = parts
    if sign in ("AND", "OR", "=", "<>", "<", ">", "<=", ">="):
        return Sql(f"({one.text} {sign} {two.text})", "boolean")
    if sign == "+" and "string" in (one.datatype, two.datatype):
        return Sql(f"({one.text} || {two.text})", "string")
    if sign == "^":
        return Sql(f"POWER({one.text}, {two.text})", "real")
    if sign == "/":
        return Sql(f"(CAST({one.text} AS DOUBLE PRECISION) / NULLIF({two.text}, 0))", "real")
    is_whole = one.datatype == two.datatype == "integer"
    return Sql(f"({one.text} {sign} {two.text})", "integer" if is_whole else one.datatype or two.datatype)


def constant_sql(value: object, datatype: str) -> Sql:
    """A value as SQL takes it."""
    if value is None:
        return Sql("NULL", datatype)
    if isinstance(value, bool):
        return Sql("TRUE" if value else "FALSE", "boolean")
    if isinstance(value, str):
        return Sql("'" + value.replace("'", "''") + "'", "string")
    return Sql(repr(value), datatype)
