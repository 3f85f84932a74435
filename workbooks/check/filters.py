"""The filters of a sheet: lists of members, their exclusion, and ranges, read from XML and written as SQL.

What is more than that (conditions, top N, filters on aggregates) only Tableau applies: it is counted as left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from workbooks.check.arguments import literal
from workbooks.check.elements import attribute, children
from workbooks.check.errors import CheckError
from workbooks.check.sql import Compiler, constant_sql
from workbooks.check.workbook import Filter, Pill

NULL = "%null%"


def read_filter(element: etree._Element, pill: Pill) -> Filter:
    """One `<filter>`; without `is_understood` where it says more than can be applied here."""
    if attribute(element, "class") == "quantitative":
        low, high = (next((child.text for child in children(element, name)), None) for name in ("min", "max"))
        return Filter(pill, low=low, high=high, is_understood=attribute(element, "included-values") == "in-range")
    groups = list(children(element, "groupfilter"))
    if len(groups) != 1:
        return Filter(pill)
    function = attribute(groups[0], "function")
    if function == "level-members":
        return Filter(pill, is_understood=True, is_excluding=True)
    parts = list(children(groups[0], "groupfilter"))[1:] if function == "except" else groups
    members = list(_members(parts))
    is_understood = bool(members) and None not in members
    return Filter(pill, tuple(member for member in members if member is not None), function == "except",
                  is_understood=is_understood)


def _members(groups: list[etree._Element]) -> Iterator[str | None]:
    """The single members of unions in unions; None for anything else."""
    pending = list(groups)
    while pending:
        group = pending.pop(0)
        function = attribute(group, "function")
        if function == "union":
            pending += list(children(group, "groupfilter"))
        else:
            yield attribute(group, "member") if function == "member" else None


@dataclass(frozen=True, slots=True)
class Kept:
    """The rows that filters leave, as SQL names them, and how many filters are not in it."""

    source: str
    left_out: int


def kept(source: str, filters: list[Filter], sql: Compiler) -> Kept:
    """A table's rows behind a sheet's filters."""
    conditions: list[str] = []
    left_out = 0
    for one in filters:
        try:
            conditions += _conditions(one, sql)
        except CheckError:
            left_out += 1
    if not conditions:
        return Kept(source, left_out)
    return Kept(f"(SELECT * FROM {source} WHERE {' AND '.join(conditions)}) AS kept", left_out)  # noqa: S608 - quoted


def _conditions(one: Filter, sql: Compiler) -> Iterator[str]:
    if not one.is_understood:
        raise CheckError("only Tableau applies it")
    column = sql.pill(one.pill)
    for bound, sign in ((one.low, ">="), (one.high, "<=")):
        if bound is not None:
            yield f"{column.text} {sign} {_value(bound, column.datatype)}"
    if not one.members:
        return
    named = [_value(member, column.datatype) for member in one.members if member != NULL]
    tests = [f"{column.text} IN ({', '.join(named)})"] if named else []
    tests += [f"{column.text} IS NULL"] if NULL in one.members else []
    yield f"(({' OR '.join(tests)}) IS {'NOT ' if one.is_excluding else ''}TRUE)"


def _value(text: str, datatype: str) -> str:
    value = literal(text, datatype)
    if value is None:
        raise CheckError("only Tableau applies it")
    return constant_sql(value, datatype).text
