"""`bench enrich`: `run.py classify` on a table of many rows, as a process of its own beside the server.

Its rate is set beside that of the server alone in the same run; its memory at a fifth of the rows beside all of them;
it is killed with -9 at a seeded moment and started again; and a second run must infer nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from benchmarks.pictures import many_digits
from benchmarks.report import Promise, Report
from benchmarks.rest import classify
from benchmarks.stack import Stack, print_line, running

_SHIPPED = Path(__file__).resolve().parent.parent / "models" / "store"
_ROUNDS, _SHARE, _SEED = 5, 0.4, 5
_POLL_S = 0.1
_ADDED_MB = 40.0
_TIMEOUT_S = 3600.0
_FORMATS = (".csv", ".parquet", ".hyper")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the command: how long, the highest resident memory of its process, what it said."""

    seconds: float
    peak_mb: float
    said: str

    @property
    def rate(self) -> float:
        """Rows a second while it asked, in its own words: without its start, with reading and keeping."""
        found = re.search(r"([\d,]+) a second\.$", self.said, re.MULTILINE)
        return float(found[1].replace(",", "")) if found else 0.0


def run(arguments: argparse.Namespace) -> Report:
    """Every part on the same pictures."""
    rows = arguments.table_rows
    report = Report(f"A table of {rows:,} rows by `classify` (digits)", ("what", "rows", "value"))
    paths = many_digits(rows, arguments.cache)
    scratch: Path = arguments.scratch / "enrich"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    table = _table(scratch / "table.csv", paths)
    _rates(report, scratch, paths)
    _killed(report, scratch, table, paths)
    return report


def _rates(report: Report, scratch: Path, paths: Sequence[Path]) -> None:
    """The command's rate on a server that has seen nothing, between two of the server's own, on the same pictures.

    Short rounds with a median, because the speed of a shared machine changes from minute to minute.
    """
    some = paths[:int(_SHARE * len(paths))]
    table = _table(scratch / "some.csv", some)
    own, ratios = [_own_rate(scratch, paths, some)], []
    for number in range(1, _ROUNDS + 1):
        with _server(scratch, paths) as stack:
            done = _classify(stack, table, scratch / "some-out.csv")
        own.append(_own_rate(scratch, paths, some))
        ratios.append(done.rate / statistics.mean(own[-2:]))
        report.rows += [(f"round {number}: the server alone, before and after, rows/s", len(some),
                         " and ".join(f"{rate:,.0f}" for rate in own[-2:])),
                        (f"round {number}: classify, rows/s", len(some), f"{done.rate:,.0f} ({ratios[-1]:.2f})")]
        print_line(f"  round {number}: {ratios[-1]:.2f} of the server's own rate")
    report.promises.append(Promise("of the server's own rate (median of the rounds)", statistics.median(ratios), 0.9,
                                   is_floor=True))


def _own_rate(scratch: Path, paths: Sequence[Path], some: Sequence[Path]) -> float:
    column = [str(path) for path in some]
    with _server(scratch, paths) as stack:
        started = time.monotonic()
        statuses = classify(stack.supervisor.url, column, "label", "confidence", deadline_s=600)["status"]
        seconds = time.monotonic() - started
    if set(statuses) != {"ok"}:
        raise RuntimeError(f"the server answered {set(statuses)}")
    return len(column) / seconds


def _killed(report: Report, scratch: Path, table: Path, paths: Sequence[Path]) -> None:
    """All rows undisturbed; then killed at a seeded share of them and begun again; a second run; and the memory."""
    truth, out = scratch / "undisturbed.csv", scratch / "killed.csv"
    with _server(scratch, paths) as stack:
        undisturbed = _classify(stack, table, truth)
    share = float(np.random.default_rng(_SEED).uniform(0.2, 0.8))
    with _server(scratch, paths) as stack:
        child = _start(stack, table, out)
        while stack.metric("pixfield_inferences_total") < share * len(paths):
            time.sleep(_POLL_S)
        child.kill()
        child.communicate()
        finished = len(list(Path(f"{out}.pixfield").glob("part-*.arrow")))
        again = _classify(stack, table, out)
        inferred = stack.metric("pixfield_inferences_total")
        second = _classify(stack, table, out)
        inferred_by_second = stack.metric("pixfield_inferences_total") - inferred
        _memory(report, stack, scratch, table, paths)
    report.rows += [("undisturbed, rows/s", len(paths), undisturbed.rate),
                    (f"killed at {share:.0%}: batches of 1,000 finished by then", len(paths), finished),
                    ("begun again: seconds", len(paths), again.seconds),
                    ("second run: seconds", len(paths), second.seconds),
                    ("second run: rows/s", len(paths), second.rate)]
    report.promises += [
        Promise("rows that differ from an undisturbed run's, after the kill", _differing(truth, out), 0),
        Promise("inferences beyond one a picture, with the kill", inferred - len(paths), 0),
        Promise("inferences by a second run", inferred_by_second, 0)]


def _memory(report: Report, stack: Stack, scratch: Path, table: Path, paths: Sequence[Path]) -> None:
    """The highest memory of the command's process at a fifth of the rows and at all of them, by OUT's format."""
    fifth = _table(scratch / "fifth.csv", paths[:len(paths) // 5])
    for suffix in _FORMATS:
        small, large = (_classify(stack, source, scratch / f"memory{suffix}").peak_mb for source in (fifth, table))
        report.rows += [(f"memory of classify, {suffix}, MB", len(paths) // 5, small),
                        (f"memory of classify, {suffix}, MB", len(paths), large)]
        report.promises.append(Promise(f"MB added by five times the rows, {suffix}", large - small, _ADDED_MB))


def _differing(one: Path, other: Path) -> int:
    """Rows that are not the same in both, counted from the shorter one's end on as well."""
    first, second = (path.read_text(encoding="utf-8").splitlines() for path in (one, other))
    return sum(a != b for a, b in zip(first, second, strict=False)) + abs(len(first) - len(second))


@contextlib.contextmanager
def _server(scratch: Path, paths: Sequence[Path]) -> Iterator[Stack]:
    """A server that has seen nothing."""
    state = scratch / "state"
    shutil.rmtree(state, ignore_errors=True)
    with running(state, images=(paths[0].parent.parent,), store=_SHIPPED, model="digits", no_tabpy=True) as stack:
        yield stack


def _table(target: Path, pictures: Sequence[Path]) -> Path:
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["画像", "row", "group", "price"])
        writer.writerows((path, number, f"group {number % 7}", number / 4) for number, path in enumerate(pictures))
    return target


def _start(stack: Stack, table: Path, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "workbooks.enrich", str(table), "--image-column", "画像", "--out", str(out),
               "--server", stack.supervisor.url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8",
                            env=os.environ | {"PYTHONUTF8": "1"})


def _classify(stack: Stack, table: Path, out: Path) -> Run:
    """The command from its start to its end, its memory looked at ten times a second."""
    started, peak = time.monotonic(), 0
    child = _start(stack, table, out)
    process = psutil.Process(child.pid)
    while child.poll() is None:
        with contextlib.suppress(psutil.Error):
            peak = max(peak, process.memory_info().rss)
        if time.monotonic() - started > _TIMEOUT_S:
            child.kill()
        time.sleep(_POLL_S)
    said = child.communicate()[0]
    if child.returncode != 0:
        raise RuntimeError(f"classify ended with status {child.returncode}: {said}")
    return Run(time.monotonic() - started, peak / 1e6, said)
