"""`bench cold`: photos nobody has asked for yet, through TabPy, against what decoding and the model alone allow."""

from __future__ import annotations

import argparse
import shutil
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

_ROUNDS = 3
_NAIVE_ROWS = 128


def run(arguments: argparse.Namespace) -> Report:
    """Measure the limits before and after the rounds, and take the fairest: their mean."""
    report = Report(f"Cold column of photos through TabPy ({NAME})", ("what", "images/s", "of the limit"))
    paths = photos(arguments.rows, folder=arguments.images, cache=arguments.cache)
    store = untrained_store(arguments.cache)
    rates, limits = [], [measure(paths, store, NAME)]
    for number in range(_ROUNDS):
        state = arguments.scratch / f"cold-{number}"
        shutil.rmtree(state, ignore_errors=True)
        print_line(f"  round {number + 1} of {_ROUNDS}")
        with running(state, images=(arguments.images or paths[0].parent,), store=store) as stack:
            rates.append(len(paths) / until_none_pending(stack.settings.tabpy_port, [str(path) for path in paths]))
        limits.append(measure(paths, store, NAME))
    both = sum(limit.both for limit in limits) / len(limits)
    rate = sorted(rates)[len(rates) // 2]
    report.rows += [(f"limit: decoding alone, {limits[-1].engine}", limits[-1].decode, ""),
                    ("limit: the model alone", limits[-1].model, ""),
                    ("limit: both together (mean of all)", both, 1.0),
                    *((f"Pixfield, round {number + 1}", each, each / both) for number, each in enumerate(rates)),
                    ("Pixfield, median", rate, rate / both)]
    if arguments.naive:
        report.rows.append(_naive(paths[:_NAIVE_ROWS], store, both))
    report.promises.append(Promise(f"{len(paths):,} photos, first request to none pending", rate / both, 0.9,
                                   is_floor=True))
    return report


def _naive(paths: list[Path], store: Path, both: float) -> tuple[str, float, float]:
    """The naive function on the same model: loaded before it is timed, as it would be on its second request."""
    version = Registry((store,)).resolve(NAME)
    function = naive_classifier(str(version.folder / "model.keras"), version.spec.input_size)
    column = [str(path) for path in paths]
    with stock_tabpy({"naive": function}) as port:
        time_request(port, body_of("naive", column[:1]))
        rate = len(column) / (time_request(port, body_of("naive", column)) / 1000)
    return f"naive: Keras inside stock TabPy ({len(column)} photos)", rate, rate / both
