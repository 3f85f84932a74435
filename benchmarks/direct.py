"""`bench direct`: a known column by the server's own `/evaluate`, against stock TabPy's identity function."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.pictures import many_digits
from benchmarks.report import Promise, Report
from benchmarks.stack import Stack, print_line, running
from benchmarks.stock import identity, stock_tabpy
from benchmarks.tableau import body_of, side_by_side, time_request, until_none_pending

ROWS = (10_000, 100_000)
_FUNCTIONS = ("image_label", "image_confidence", "image_status")
_PROMISED_ROWS = 10_000
_LIMIT = 0.6
_ROUNDS = 15
_SHIPPED = Path(__file__).resolve().parent.parent / "models" / "store"


def run(arguments: argparse.Namespace) -> Report:
    """Measure warm columns of label, confidence and status; the promise is for the shorter ones."""
    report = Report("Warm column without TabPy: ratio to stock TabPy's identity function",
                    ("rows", "function", "identity ms", "Pixfield ms", "ratio"))
    paths = [str(path) for path in many_digits(max(ROWS), arguments.cache)]
    folder = Path(paths[0]).parent.parent
    with stock_tabpy({"identity": identity}) as stock, \
            running(arguments.scratch / "direct", images=(folder,), store=_SHIPPED, model="digits", no_tabpy=True,
                    recheck_s=3600.0) as stack:
        print_line("  filling the store ...")
        for begin in range(0, len(paths), 10_000):
            until_none_pending(stack.settings.port, paths[begin:begin + 10_000])
        for rows in ROWS:
            for function in _FUNCTIONS:
                _measure(report, stock, stack, paths[:rows], function)
    return report


def _measure(report: Report, stock: int, stack: Stack, paths: list[str], function: str) -> None:
    base, ours = body_of("identity", paths), body_of(function, paths)
    port = stack.settings.port
    time_request(port, ours)  # puts the rows inside the window
    yardstick, mine = side_by_side(lambda: time_request(stock, base), lambda: time_request(port, ours), _ROUNDS)
    ratio = mine / yardstick
    report.rows.append((len(paths), function, yardstick, mine, ratio))
    if len(paths) == _PROMISED_ROWS:
        report.promises.append(Promise(f"{len(paths):,} rows, {function}", ratio, _LIMIT))
