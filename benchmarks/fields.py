"""`bench fields`: four calculated fields on one cold column at once, as a Tableau view asks them."""

from __future__ import annotations

import argparse
import shutil
import threading
import time
from pathlib import Path

from benchmarks.pictures import photos
from benchmarks.report import Promise, Report
from benchmarks.stack import Stack, running
from benchmarks.tableau import ask, body_of, until_none_pending
from benchmarks.untrained import NAME, untrained_store

_FIELDS = ("image_label", "image_confidence", "image_margin", "image_status")
_ROUNDS = 3


def run(arguments: argparse.Namespace) -> Report:
    """One field and four fields in turns, each on a cold server."""
    head = ("round", "1 field s", "4 fields s", "ratio", "inferences")
    report = Report(f"Four fields on one cold column ({NAME})", head)
    paths = photos(arguments.rows, folder=arguments.images, cache=arguments.cache)
    store = untrained_store(arguments.cache)
    distinct = len({path.read_bytes() for path in paths})
    ratios, inferences = [], []
    for number in range(_ROUNDS):
        one, _ = _cold(arguments, paths, store, _FIELDS[-1:])
        four, count = _cold(arguments, paths, store, _FIELDS)
        ratios.append(four / one)
        inferences.append(count)
        report.rows.append((number + 1, one, four, four / one, count))
    report.promises += [
        Promise("four fields against one (median)", sorted(ratios)[_ROUNDS // 2], 1.1),
        Promise(f"inferences for each of {distinct:,} distinct images", max(inferences) / distinct, 1.0),
    ]
    return report


def _cold(arguments: argparse.Namespace, paths: list[Path], store: Path, names: tuple[str, ...]) -> tuple[float, int]:
    """Seconds until every field is answered for every row, and how many inferences it took."""
    state = arguments.scratch / "fields"
    shutil.rmtree(state, ignore_errors=True)
    with running(state, images=(arguments.images or paths[0].parent,), store=store) as stack:
        seconds = _time(stack, [str(path) for path in paths], names)
        return seconds, int(stack.metric("pixfield_inferences_total"))


def _time(stack: Stack, paths: list[str], names: tuple[str, ...]) -> float:
    port = stack.settings.tabpy_port
    started = time.perf_counter()
    threads = [threading.Thread(target=_until_answered, args=(port, name, paths)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started


def _until_answered(port: int, name: str, paths: list[str]) -> None:
    if name == "image_status":
        until_none_pending(port, paths)
        return
    while None in ask(port, body_of(name, paths)):
        pass
