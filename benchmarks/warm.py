"""`bench warm`: a column whose answers are known, through TabPy, against stock TabPy's identity function."""

from __future__ import annotations

import argparse
import time
from functools import partial
from pathlib import Path

from benchmarks.pictures import many_digits
from benchmarks.report import Promise, Report
from benchmarks.stack import Stack, print_line, running
from benchmarks.stock import identity, stock_tabpy
from benchmarks.tableau import body_of, side_by_side, time_request, until_none_pending

ROWS = (10_000, 100_000)
_ROUNDS = 9
_WINDOW_S = 4.0  # shorter than the default 30 s only to save waiting; what is done after it is the same
_SHIPPED = Path(__file__).resolve().parent.parent / "models" / "store"


def run(arguments: argparse.Namespace) -> Report:
    """Measure warm columns, the first request after the window, and both again after a restart."""
    report = Report("Warm column through TabPy: ratio to stock TabPy's identity function",
                    ("rows", "request", "identity ms", "Pixfield ms", "ratio"))
    paths = [str(path) for path in many_digits(max(ROWS), arguments.cache)]
    folder = Path(paths[0]).parent.parent
    start = partial(running, arguments.scratch / "warm", images=(folder,), store=_SHIPPED, model="digits",
                    recheck_s=_WINDOW_S)
    with stock_tabpy({"identity": identity}) as stock:
        with start() as stack:
            print_line("  filling the store ...")
            for begin in range(0, len(paths), 10_000):
                until_none_pending(stack.settings.tabpy_port, paths[begin:begin + 10_000])
            for rows in ROWS:
                _measure(report, stock, stack, paths[:rows], "")
        with start() as stack:
            print_line(f"  after the restart the memory was filled within {stack.wait_until_filled():.1f} s of ready")
            for rows in ROWS:
                _measure(report, stock, stack, paths[:rows], " after a restart")
    return report


def _measure(report: Report, stock: int, stack: Stack, paths: list[str], when: str) -> None:
    base, ours = body_of("identity", paths), body_of("image_label", paths)
    port = stack.settings.tabpy_port

    def after_window() -> float:
        time.sleep(_WINDOW_S + 0.5)
        return time_request(port, ours)

    def warm() -> float:
        time_request(port, ours)  # puts the rows inside the window
        return time_request(port, ours)

    plans = (("first after the window", after_window, 3, 3.5), ("warm", warm, _ROUNDS, 1.5))
    for name, measure, rounds, limit in plans:
        yardstick, mine = side_by_side(lambda: time_request(stock, base), measure, rounds)
        ratio = mine / yardstick
        report.rows.append((len(paths), name + when, yardstick, mine, ratio))
        report.promises.append(Promise(f"{len(paths):,} rows, {name}{when}", ratio, limit))
