"""How many requests a field makes Tableau send, how many rows each view has, and what is null before TabPy sees it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from workbooks.check.arguments import references
from workbooks.check.errors import CheckError
from workbooks.check.extract import Extract
from workbooks.check.filters import kept
from workbooks.check.findings import Finding, finding
from workbooks.check.grammar import FieldName
from workbooks.check.sql import Compiler
from workbooks.check.view import Cut, Usage, cut
from workbooks.check.workbook import Workbook


@dataclass(frozen=True, slots=True)
class Count:
    """A usage in figures; None where they are not known, and then `why` says so."""

    usage: Usage
    cut: Cut
    requests: int | None = None
    marks: int | None = None
    why: str = ""
    nulls: tuple[tuple[str, int], ...] = ()
    left_out: int = 0  # filters that are not in the figures


def compiler(workbook: Workbook, usage: Usage, extract: Extract) -> Compiler:
    """For the expressions of one usage."""
    return Compiler(workbook, usage.field.scope.datasource, extract.columns, usage.sheet.is_aggregated)


def count(workbook: Workbook, usage: Usage, extract: Extract | None, why: str = "") -> Count:
    """Counted in the extract, or from the view's shape alone."""
    cutting = cut(usage.sheet, usage.table_calc)
    if usage.sheet.is_aggregated and not cutting.dimensions:
        return Count(usage, cutting, 1, 1)
    if extract is None:
        requests = 1 if not cutting.partitioning else None
        return Count(usage, cutting, requests, None, why or "the rows are not in the workbook")
    try:
        return _counted(workbook, usage, cutting, extract)
    except CheckError as exc:
        return Count(usage, cutting, 1 if not cutting.partitioning else None, None, str(exc).rstrip("."))


def _counted(workbook: Workbook, usage: Usage, cutting: Cut, extract: Extract) -> Count:
    sql = compiler(workbook, usage, extract)
    partitioning = [sql.pill(pill).text for pill in cutting.partitioning]
    every = [sql.pill(pill).text for pill in cutting.dimensions]
    attributes = _attributes(usage, sql) if usage.sheet.is_aggregated and every else []
    rows = kept(extract.source, usage.sheet.filters, sql)
    source = rows.source
    marks = _distinct(every, source) if usage.sheet.is_aggregated else f"(SELECT COUNT(*) FROM {source})"  # noqa: S608
    parts = [_distinct(partitioning, source), marks]
    parts += [_spread(every, attribute, source) for _, attribute in attributes]
    (found,) = extract.ask(f"SELECT {', '.join(f'{part} AS n{place}' for place, part in enumerate(parts))}")
    requests, found_marks, *nulls = (int(number) for number in found)
    named = [(name, number) for (name, _), number in zip(attributes, nulls, strict=True) if number]
    return Count(usage, cutting, requests if found_marks else 0, found_marks, "", tuple(named), rows.left_out)


def _distinct(expressions: list[str], source: str) -> str:
    """How many combinations there are."""
    if not expressions:
        return "1"
    names = ", ".join(f"{expression} AS d{place}" for place, expression in enumerate(expressions))
    return f"(SELECT COUNT(*) FROM (SELECT DISTINCT {names} FROM {source}) AS q)"  # noqa: S608 - names are quoted


def _spread(dimensions: list[str], expression: str, source: str) -> str:
    """In how many marks an expression has several values."""
    names = ", ".join(f"{dimension} AS d{place}" for place, dimension in enumerate(dimensions))
    places = ", ".join(str(place) for place in range(1, len(dimensions) + 1))
    return (f"(SELECT COUNT(*) FROM (SELECT {names} FROM {source} GROUP BY {places} "  # noqa: S608 - names are quoted
            f"HAVING MIN({expression}) <> MAX({expression})) AS q)")


def _attributes(usage: Usage, sql: Compiler) -> list[tuple[str, str]]:
    """The columns that the field passes as `ATTR([column])`, with their SQL."""
    found = []
    for argument in usage.field.values:
        named = list(references(argument, usage.field.scope))
        is_attribute = len(argument) in (4, 6) and argument[0].is_word("ATTR")
        if is_attribute and len(named) == 1 and named[0].column is not None and named[0].source == sql.datasource:
            found.append((named[0].column.shown, sql.node(FieldName(named[0].column.name), 0).text))
    return found


def count_findings(counted: Count, *, most: int) -> Iterator[Finding]:
    """What is wrong with how a field is addressed; `most` requests are fine."""
    usage, cutting = counted.usage, counted.cut
    for name in cutting.absent:
        yield finding("addressing-absent", usage.where, field=name)
    for name, marks in counted.nulls:
        yield finding("attribute-null", usage.where, field=f"[{name}]", marks=f"{marks:,}",
                      all=f"{counted.marks or 0:,}")
    if usage.table_calc is None:
        yield finding("addressing-missing", usage.where)
    if counted.requests is not None and counted.requests <= most:
        return
    if usage.table_calc is not None and usage.table_calc.ordering == "CellInPane":
        yield finding("addressing-cell", usage.where)
    elif cutting.partitioning:
        requests = f"{counted.requests:,}" if counted.requests is not None else "several"
        yield finding("several-requests", usage.where, requests=requests, per=per(cutting))


def per(cutting: Cut) -> str:
    """What makes a request of its own."""
    return " and ".join(f"[{pill.column}]" for pill in cutting.partitioning)
