"""`run.py workbooks check FILE`: the arguments, the order of the work, the exit status.

0: nothing found; 1: findings; 2: the workbook, or a file that was named, cannot be read.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbooks.check import schema as schemas
from workbooks.check.counting import Count, count, count_findings
from workbooks.check.document import parsed
from workbooks.check.endpoints import Deployed, deployed
from workbooks.check.errors import ExtractError, UnreadableError
from workbooks.check.extract import Extract, look, unpacked
from workbooks.check.field_rules import field_findings, table_findings
from workbooks.check.fields import fields
from workbooks.check.findings import Finding, finding
from workbooks.check.load_rules import load_findings
from workbooks.check.package import Limits, Package, opened
from workbooks.check.reading import read
from workbooks.check.replay import SLOW_S, replayed
from workbooks.check.report import Report, as_json, as_text
from workbooks.check.tabpy import TabPy, basic, bearer, site
from workbooks.check.view import usages
from workbooks.check.workbook import Workbook

if TYPE_CHECKING:
    Verbs = argparse._SubParsersAction[Any]  # noqa: SLF001 - argparse names it nowhere else


def add_check(verbs: Verbs) -> None:
    """The subcommand's arguments."""
    parser = verbs.add_parser("check", help="find the mistakes in the fields of a workbook that ask TabPy",
                              allow_abbrev=False)
    parser.add_argument("file", type=Path, metavar="FILE", help="a .twb or .twbx")
    parser.add_argument("--tabpy", metavar="URL", help="the TabPy whose endpoints the fields ask")
    parser.add_argument("--tabpy-user", metavar="NAME", help="who logs in to it")
    parser.add_argument("--tabpy-password-file", type=Path, metavar="FILE", help="a file with the password")
    parser.add_argument("--server", metavar="URL", help="the Pixfield server, for its functions' exact parameters")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="a file with the server's token")
    parser.add_argument("--run", action="store_true", help="send each field to TabPy with the workbook's own rows")
    parser.add_argument("--schema", type=Path, metavar="FILE.xsd", help="validate against Tableau's published schema")
    parser.add_argument("--max-requests", type=int, default=1, metavar="N", help="requests a field may make (1)")
    parser.add_argument("--max-seconds", type=_seconds, default=SLOW_S, metavar="N",
                        help="how long an answer may take (30)")
    parser.add_argument("--max-mb", type=int, default=100, metavar="N", help="XML that is read at most (100)")
    parser.add_argument("--max-package-mb", type=int, default=4000, metavar="N",
                        help="what a .twbx may unpack to (4000)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.set_defaults(verb=run)


def _seconds(text: str) -> float:
    """Up to a day; argparse says what was wrong with another."""
    seconds = float(text)
    if not 0 <= seconds <= 86_400:  # nan, too, is none
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 86400")
    return seconds


def run(arguments: argparse.Namespace) -> int:
    """Checks one workbook, prints, and returns the exit status."""
    try:
        options = _options(arguments)
        with opened(arguments.file, Limits(arguments.max_mb, arguments.max_package_mb)) as package:
            report = check(package, options)
    except UnreadableError as exc:
        print(json.dumps({"workbook": str(arguments.file), "error": str(exc)}) if arguments.json else exc,
              file=sys.stdout if arguments.json else sys.stderr)
        return 2
    print(json.dumps(as_json(report), indent=2) if arguments.json else "\n".join(as_text(report)))
    return 1 if report.count else 0


@dataclass(frozen=True, slots=True)
class Options:
    """What a check is made with."""

    tabpy: TabPy | None = None
    server: TabPy | None = None
    schema: Path | None = None
    is_run: bool = False
    most_requests: int = 1
    most_seconds: float = SLOW_S


def _options(arguments: argparse.Namespace) -> Options:
    login = token = ""
    if arguments.tabpy_user or arguments.tabpy_password_file:
        if not (arguments.tabpy and arguments.tabpy_user and arguments.tabpy_password_file):
            raise UnreadableError("--tabpy, --tabpy-user and --tabpy-password-file belong together: give all three.")
        login = basic(arguments.tabpy_user, arguments.tabpy_password_file)
    if arguments.token_file:
        token = bearer(arguments.token_file)
    if arguments.run and not arguments.tabpy:
        raise UnreadableError("--run needs a TabPy to ask: give --tabpy URL.")
    return Options(site(arguments.tabpy, login) if arguments.tabpy else None,
                   site(arguments.server, token) if arguments.server else None,
                   arguments.schema, arguments.run, arguments.max_requests,
                   arguments.max_seconds)


def check(package: Package, options: Options) -> Report:
    """Everything there is to say about a workbook; raises UnreadableError."""
    against = schemas.schema(options.schema) if options.schema else None
    root = parsed(package.xml, package.workbook_name)
    workbook = read(root)
    there = deployed(options.tabpy, options.server)
    report = Report(package.path.name, workbook.version, list(fields(workbook)), there)
    report.findings += [finding(problem.code, "TabPy", why=problem) for problem in there.problems]
    report.findings += _static(workbook, report, there)
    with ExitStack() as stack:
        rows = _Rows(package, workbook, stack)
        _count(workbook, report, rows, options)
        is_there = not any(problem.code.startswith("tabpy") for problem in there.problems)
        if options.is_run and options.tabpy is not None and is_there:
            _run(workbook, report, rows, options.tabpy, options.most_seconds)
        rows.look()
        report.findings += rows.findings
    report.findings += load_findings(root, workbook, package)
    if against is not None:
        report.findings += schemas.schema_findings(root, against, package.workbook_name)
    report.findings = list(dict.fromkeys(report.findings))
    return report


def _static(workbook: Workbook, report: Report, there: Deployed) -> Iterator[Finding]:
    for one in report.fields:
        yield from field_findings(one, there)
    for table in workbook.table_scripts:
        yield from table_findings(table, there)


@dataclass(slots=True)
class _Rows:
    """Each data source's extract, opened when it is first needed."""

    package: Package
    workbook: Workbook
    stack: ExitStack
    known: dict[str, Extract | str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def of(self, datasource: str) -> Extract | str:
        """The extract, or why there is none."""
        if datasource not in self.known:
            self.known[datasource] = self._opened(datasource)
        return self.known[datasource]

    def look(self) -> None:
        """Also those that no field asks for."""
        for name, source in self.workbook.datasources.items():
            if source.extract is not None and name not in self.known:
                try:
                    look(self.package, source.extract)
                except ExtractError as exc:
                    self._note(name, exc)

    def label(self, datasource: str) -> str:
        """What people call it."""
        return repr(self.workbook.datasources[datasource].caption or datasource)

    def _opened(self, datasource: str) -> Extract | str:
        where = self.workbook.datasources[datasource].extract
        if where is None:
            return "the rows are not in the workbook"
        try:
            return self.stack.enter_context(unpacked(self.package, where))
        except ExtractError as exc:
            self._note(datasource, exc)
            return str(exc).rstrip(".")

    def _note(self, datasource: str, why: ExtractError) -> None:
        self.findings.append(finding("extract-unreadable", self.label(datasource), why=why))


def _count(workbook: Workbook, report: Report, rows: _Rows, options: Options) -> None:
    for usage in usages(workbook, report.fields):
        found = rows.of(usage.field.scope.datasource)
        counted = count(workbook, usage, *((None, found) if isinstance(found, str) else (found,)))
        place = next(place for place, one in enumerate(report.fields) if one is usage.field)
        report.counts.setdefault(place, []).append(counted)
        report.findings += count_findings(counted, most=options.most_requests)


def _run(workbook: Workbook, report: Report, rows: _Rows, tabpy: TabPy, most_seconds: float) -> None:
    for place, one in enumerate(report.fields):
        found = rows.of(one.scope.datasource)
        if isinstance(found, str):
            report.findings.append(finding("run-skipped", rows.label(one.scope.datasource), why=found))
            continue
        uses: list[Count | None] = [*report.counts.get(place, ())] or [None]
        for counted in uses:
            ran = replayed(workbook, one, counted, found, tabpy, most_seconds)
            report.replays.setdefault(place, []).append(ran)
            report.findings += ran.findings
