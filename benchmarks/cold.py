"""`bench cold`: photos nobody has asked for yet, through TabPy, against what decoding and the model alone allow."""

from __future__ import annotations

import argparse
import shutil
import statistics
from pathlib import Path

from benchmarks.limits import measure
from benchmarks.naive import naive_classifier
from benchmarks.pictures import photos
from benchmarks.report import Promise, Report
from benchmarks.stack import print_line, running
from benchmarks.stock import stock_tabpy
from benchmarks.tableau import body_of, time_request, until_none_pending
from benchmarks.untrained import NAME, untrained_store
from models.registry import Registry

_ROUNDS = 5
_NAIVE_ROWS = 128


def run(arguments: argparse.Namespace) -> Report:
    """Measure the limits before and after each round; a round's ratio is to the mean of its two neighbours."""
    report = Report(f"Cold column of photos through TabPy ({NAME})", ("what", "images/s", "of the limit"))
    paths = photos(arguments.rows, folder=arguments.images, cache=arguments.cache)
    store = untrained_store(arguments.cache)
    limits, rates, ratios = [measure(paths, store, NAME)], [], []
    for number in range(_ROUNDS):
        print_line(f"  round {number + 1} of {_ROUNDS}")
        rates.append(_rate(arguments, paths, store))
        limits.append(measure(paths, store, NAME))
        ratios.append(rates[-1] / statistics.mean(limit.both for limit in limits[-2:]))
    both = statistics.median(limit.both for limit in limits)
    report.rows += [("limit: decoding alone (median)", statistics.median(limit.decode for limit in limits), ""),
                    (f"limit: the model alone, {limits[0].engine}", statistics.median(x.model for x in limits), ""),
                    ("limit: both together", both, 1.0),
                    *((f"Pixfield, round {number}", rate, ratio)
                      for number, (rate, ratio) in enumerate(zip(rates, ratios, strict=True), 1))]
    if arguments.naive:
        report.rows.append(_naive(paths[:_NAIVE_ROWS], store, both))
    report.promises.append(Promise(f"{len(paths):,} photos, first request to none pending (median)",
                                   statistics.median(ratios), 0.9, is_floor=True))
    return report


def _rate(arguments: argparse.Namespace, paths: list[Path], store: Path) -> float:
    """Images per second on a server that has seen nothing yet."""
    state = arguments.scratch / "cold"
    shutil.rmtree(state, ignore_errors=True)
    with running(state, images=(arguments.images or paths[0].parent,), store=store) as stack:
        return len(paths) / until_none_pending(stack.settings.tabpy_port, [str(path) for path in paths])


def _naive(paths: list[Path], store: Path, both: float) -> tuple[str, float, float]:
    """The naive function on the same model: loaded before it is timed, as it would be on its second request."""
    version = Registry((store,)).resolve(NAME)
    function = naive_classifier(str(version.folder / "model.keras"), version.spec.input_size)
    column = [str(path) for path in paths]
    with stock_tabpy({"naive": function}) as port:
        time_request(port, body_of("naive", column[:1]))
        rate = len(column) / (time_request(port, body_of("naive", column)) / 1000)
    return f"naive: Keras inside stock TabPy ({len(column)} photos)", rate, rate / both
