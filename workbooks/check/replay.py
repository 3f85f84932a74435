"""Each field sent to TabPy as Tableau sends it: the same bodies, the extract's own rows, one request a partition.

    SCRIPT_*           POST /evaluate       {"data": {"_arg1": [...], ...}, "script": "..."}
    MODEL_EXTENSION_*  POST /query/<name>   {"data": {"<parameter>": [...], ...}}
Every argument is a list as long as the partition, a parameter's value repeated.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from workbooks.check.arguments import Scope, references, unwrapped
from workbooks.check.counting import Count
from workbooks.check.errors import CheckError, TabPyError
from workbooks.check.extract import Extract
from workbooks.check.fields import MODEL, Field
from workbooks.check.filters import kept
from workbooks.check.findings import Finding, finding
from workbooks.check.grammar import FieldName, tree
from workbooks.check.sql import Compiler
from workbooks.check.tabpy import TabPy
from workbooks.check.workbook import PARAMETERS, Workbook
from workbooks.site import Answer

MAX_REQUESTS = 20     # of one field: enough to see that it works
MAX_ROWS = 200_000    # of one field, what a request may have by default
SLOW_S = 30.0         # TABPY_EVALUATE_TIMEOUT's default
MIN_WAIT_S = 2.0      # twice what is allowed is waited for, and never less than this
SHOWN = 5
_TYPES: dict[str, tuple[type, ...]] = {"STR": (str,), "REAL": (int, float), "INT": (int, float), "BOOL": (bool,)}


_MOSTLY_NULL = frozenset({"image_note"})  # a remark: most pictures have none


@dataclass(slots=True)
class Replay:
    """What came back: requests sent, rows in them, seconds they took, the first values."""

    where: str
    requests: int = 0
    rows: int = 0
    seconds: float = 0.0
    values: list[Any] = field(default_factory=list)
    is_cut: bool = False
    findings: list[Finding] = field(default_factory=list)


def replayed(workbook: Workbook, one: Field, counted: Count | None, extract: Extract, tabpy: TabPy,
             most_seconds: float = SLOW_S) -> Replay:
    """The field as a sheet uses it; without a sheet, as one request with a mark for each value it is asked for."""
    result = Replay(counted.usage.where if counted else one.label)
    try:
        for body in _requests(workbook, one, counted, extract, result):
            answer, seconds = _sent(one, body, tabpy, max(2 * most_seconds, MIN_WAIT_S))
            result.requests, result.seconds = result.requests + 1, result.seconds + seconds
            if seconds > most_seconds:
                result.findings.append(finding("run-slow", result.where, seconds=f"{seconds:.1f}"))
            _judge(one, answer, _length(body), result)
    except TabPyError as exc:
        result.findings.append(finding("run-failed", result.where, status="nothing", why=exc))
    except CheckError as exc:
        result.findings.append(finding("run-skipped", result.where, why=str(exc).rstrip(".")))
    is_silent = result.requests and result.values and all(value is None for value in result.values)
    if is_silent and not any(query.name in _MOSTLY_NULL for query in one.queries):
        result.findings.append(finding("run-nulls", result.where, count=len(result.values)))
    result.findings = list(dict.fromkeys(result.findings))
    return result


def _requests(workbook: Workbook, one: Field, counted: Count | None, extract: Extract,
              result: Replay) -> Iterator[list[list[Any]]]:
    """The arguments of each request, as columns."""
    if not one.is_well_formed:
        raise CheckError("the field itself is not complete")
    if any(unwrapped(argument, one.scope) for argument in one.values):
        raise CheckError("Tableau refuses an argument that is not aggregated")
    keys, marks, query = _question(workbook, one, counted, extract)
    rows = extract.ask(query)
    if len(rows) > MAX_ROWS:
        rows, result.is_cut = rows[:MAX_ROWS], True
    for number, (_, part) in enumerate(groupby(rows, key=lambda row: row[:keys])):
        if number == MAX_REQUESTS:
            result.is_cut = True
            return
        columns = [list(column) for column in zip(*(row[keys + marks:] for row in part), strict=True)]
        odd = next((type(value).__name__ for column in columns for value in column
                    if not isinstance(value, str | int | float | None)), "")
        if odd:
            raise CheckError(f"how Tableau writes a {odd} is not known here")
        result.rows += len(columns[0]) if columns else 0
        yield columns


def _question(workbook: Workbook, one: Field, counted: Count | None, extract: Extract) -> tuple[int, int, str]:
    """How many columns tell the partition, how many the mark in it, and the SQL: those, then the arguments."""
    is_aggregated = counted.usage.sheet.is_aggregated if counted else True
    sql = Compiler(workbook, one.scope.datasource, extract.columns, is_aggregated)
    partitioning = [sql.pill(pill).text for pill in counted.cut.partitioning] if counted else []
    others = [sql.pill(pill).text for pill in counted.cut.addressed] if counted else _marks(one, sql)
    values = [sql.node(tree(argument), 0).text for argument in one.values]
    keys = [f"{text} AS k{place}" for place, text in enumerate(partitioning)]
    marks = [f"{text} AS m{place}" for place, text in enumerate(others)]
    arguments = [f"{text} AS a{place}" for place, text in enumerate(values)]
    places = ", ".join(str(place) for place in range(1, len(keys) + len(marks) + 1))
    group = (f"GROUP BY {places}" if places else "HAVING COUNT(*) > 0") if is_aggregated else ""
    order = f"ORDER BY {places}" if places else ""
    source = kept(extract.source, counted.usage.sheet.filters, sql).source if counted else extract.source
    everything = ", ".join([*keys, *marks, *arguments]) or "1"
    return len(keys), len(marks), f"SELECT {everything} FROM {source} {group} {order} LIMIT {MAX_ROWS + 1}"  # noqa: S608 - names are quoted


def _marks(one: Field, sql: Compiler) -> list[str]:
    """A field on no sheet: as if what it passes by ATTR, MIN or MAX were on Detail."""
    found: dict[str, None] = {}
    for argument in one.values:
        if argument and argument[0].is_word("ATTR", "MIN", "MAX"):
            for reference in references(argument, Scope(sql.workbook, sql.datasource)):
                if reference.column is not None and reference.source not in ("", PARAMETERS):
                    found[sql.node(FieldName(reference.column.name), 0).text] = None
    return list(found)


def _sent(one: Field, columns: list[list[Any]], tabpy: TabPy, timeout_s: float) -> tuple[Answer, float]:
    start = time.perf_counter()
    if one.call.family == MODEL:
        data = dict(zip(one.names, columns, strict=True))
        answer = tabpy.ask("query", one.text or "", value={"data": data}, timeout_s=timeout_s)
    else:
        data = {f"_arg{number}": column for number, column in enumerate(columns, 1)}
        answer = tabpy.ask("evaluate", value={"data": data, "script": one.text}, timeout_s=timeout_s)
    return answer, time.perf_counter() - start


def _length(columns: list[list[Any]]) -> int:
    return len(columns[0]) if columns else 1


def _judge(one: Field, answer: Answer, sent: int, result: Replay) -> None:
    where, add = result.where, result.findings.append
    value = answer.value
    if answer.status == 200 and one.call.family == MODEL:
        value = value.get("response") if isinstance(value, dict) else value
    if answer.status != 200:
        add(finding("run-failed", where, status=f"HTTP {answer.status}", why=answer.reason() or "no reason given"))
        return
    values = value if isinstance(value, list) else [value]
    if len(values) not in (1, sent):
        add(finding("run-length", where, sent=f"{sent:,}", received=f"{len(values):,}"))
    odd = next((item for item in values if not _fits(item, one.call.returns)), None)
    if odd is not None:
        add(finding("run-type", where, value=repr(odd)[:60], function=one.call.name))
    result.values += values


def _fits(value: Any, returns: str) -> bool:
    if value is None:
        return True
    if returns == "INT" and isinstance(value, float):
        return value.is_integer()
    is_number = isinstance(value, float) and value != value
    return isinstance(value, _TYPES[returns]) and not is_number and (returns == "BOOL" or not isinstance(value, bool))
