"""What the check found, for people and as JSON."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

from workbooks.check.counting import Count, per
from workbooks.check.endpoints import Deployed
from workbooks.check.fields import MODEL, Field
from workbooks.check.findings import Finding
from workbooks.check.replay import SHOWN, Replay

_LINE_END = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""A caption with one would make lines of its own, such as a false `No finding.`."""


@dataclass(slots=True)
class Report:
    """All of one workbook."""

    name: str
    version: str
    fields: list[Field]
    deployed: Deployed
    counts: dict[int, list[Count]] = field(default_factory=dict)
    replays: dict[int, list[Replay]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Findings that count, notes left out."""
        return sum(found.rule.level == "finding" for found in self.findings)


def as_json(report: Report) -> dict[str, Any]:
    """With stable keys."""
    return {
        "workbook": report.name, "version": report.version, "findings": report.count,
        "fields": [_field_json(report, place, one) for place, one in enumerate(report.fields)],
        "said": [{"code": found.code, "level": found.rule.level, "where": found.where, "text": found.text,
                  "remedy": found.remedy} for found in report.findings],
    }


def _field_json(report: Report, place: int, one: Field) -> dict[str, Any]:
    return {
        "name": one.column.shown, "datasource": one.scope.datasource, "function": one.call.name,
        "endpoints": [query.name for query in one.queries],
        "sheets": [{"sheet": counted.usage.sheet.name, "addressing": counted.cut.name, "requests": counted.requests,
                    "marks": counted.marks, "filters_left_out": counted.left_out}
                   for counted in report.counts.get(place, ())],
        "replays": [{"where": ran.where, "requests": ran.requests, "rows": ran.rows, "seconds": round(ran.seconds, 3),
                     "is_cut": ran.is_cut, "values": [_finite(value) for value in ran.values[:SHOWN]]}
                    for ran in report.replays.get(place, ())],
    }


def _finite(value: Any) -> Any:
    """JSON has no NaN."""
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value


def as_text(report: Report) -> list[str]:
    """Line by line: each field with its uses, then what was found."""
    fields = len(report.fields)
    lines = [f"{report.name}: {fields} field{' that asks' if fields == 1 else 's that ask'} TabPy"
             + (f", workbook version {report.version}" if report.version else "")]
    for place, one in enumerate(report.fields):
        lines += ["", f"{one.label}  {one.call.name}", *(f"  {line}" for line in _about(report, place, one))]
    lines.append("")
    for found in report.findings:
        lines += [f"{found.rule.level} {found.code}: {found.where}", f"  {found.text}", f"  {found.remedy}"]
    count, notes = report.count, len(report.findings) - report.count
    total = f"{count} finding{'' if count == 1 else 's'}" if count else "No finding"
    lines.append(total + (f", {notes} note{'' if notes == 1 else 's'}" if notes else "") + ".")
    return [_LINE_END.sub(lambda found: repr(found.group())[1:-1], line).encode("utf-8", "backslashreplace").decode()
            for line in lines]


def _about(report: Report, place: int, one: Field) -> list[str]:
    lines = [_endpoint(report.deployed, query.name) for query in one.queries]
    if not lines and one.call.family != MODEL:
        lines = ["a script of its own: no endpoint is asked"]
    counts = report.counts.get(place, [])
    lines += [_use(counted) for counted in counts] or ["on no sheet"]
    lines += [_ran(ran) for ran in report.replays.get(place, ()) if ran.requests]
    return lines


def _endpoint(deployed: Deployed, name: str | None) -> str:
    if name is None:
        return "an endpoint that only the data tells"
    if deployed.functions is None:
        return f"asks {name}"
    signature = deployed.functions.get(name)
    if signature is None:
        return f"asks {name}, which is not deployed"
    return f"asks {signature.shown}" + (f": {signature.returns}" if signature.returns else "")


def _use(counted: Count) -> str:
    marks = "" if counted.marks is None else f", {counted.marks:,} mark{'' if counted.marks == 1 else 's'}"
    if counted.requests is None:
        requests = f"one request for each {per(counted.cut)} (not counted: {counted.why})"
    else:
        requests = f"{counted.requests:,} request{'' if counted.requests == 1 else 's'}"
    filters = f", {counted.left_out} of its filters not applied" if counted.left_out else ""
    return f"on {counted.usage.sheet.name!r}: {requests}{marks}{filters}; {counted.cut.name}"


def _ran(ran: Replay) -> str:
    values = ", ".join(_value(value) for value in ran.values[:SHOWN])
    more = ", ..." if len(ran.values) > SHOWN else ""
    part = " (the first of them)" if ran.is_cut else ""
    requests = f"{ran.requests} request{'' if ran.requests == 1 else 's'}"
    return f"ran: {requests}{part}, {ran.rows:,} row{'' if ran.rows == 1 else 's'}, {ran.seconds:.2f} s: {values}{more}"


def _value(value: object) -> str:
    return "null" if value is None else repr(value)[:60]

