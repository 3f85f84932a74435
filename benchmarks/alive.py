"""`bench alive`: how TabPy answers others while four columns of 1,000 cold photos wait in it."""

from __future__ import annotations

import argparse
import http.client
import shutil
import threading
import time
from collections.abc import Callable

from benchmarks.pictures import photos
from benchmarks.report import Promise, Report
from benchmarks.stack import print_line, running
from benchmarks.tableau import body_of, percentile, time_request, until_none_pending
from benchmarks.untrained import NAME, untrained_store

_COLUMNS, _ROWS, _OTHER_ROWS = 4, 1000, 100
_EVERY_S = 0.1
_P99_MS = 250.0


def run(arguments: argparse.Namespace) -> Report:
    """Ask /info and a warm 100-row column ten times a second while the cold columns wait."""
    report = Report(f"TabPy while {_COLUMNS} columns of {_ROWS:,} cold photos wait in it ({NAME})",
                    ("request", "samples", "p50 ms", "p99 ms", "worst ms"))
    cold = photos(_COLUMNS * _ROWS, folder=None, cache=arguments.cache, seed=1)
    warm = photos(_OTHER_ROWS, folder=None, cache=arguments.cache)
    state = arguments.scratch / "alive"
    shutil.rmtree(state, ignore_errors=True)
    images = (arguments.cache,)
    with running(state, images=images, store=untrained_store(arguments.cache), deadline_s=20.0) as stack:
        port = stack.settings.tabpy_port
        other = [str(path) for path in warm]
        until_none_pending(port, other)
        columns = [body_of("image_label", [str(p) for p in cold[n::_COLUMNS]]) for n in range(_COLUMNS)]
        waiting = [threading.Thread(target=time_request, args=(port, column)) for column in columns]
        for thread in waiting:
            thread.start()
        time.sleep(0.5)
        times = _sample(waiting, {"/info": lambda: _info(port),
                                  f"{_OTHER_ROWS} warm rows": _column(port, body_of("image_label", other))})
        print_line(f"  {int(stack.metric('pixfield_inferences_total')):,} inferences meanwhile")
    for name, values in times.items():
        worst = percentile(values, 0.99)
        report.rows.append((name, len(values), percentile(values, 0.5), worst, max(values)))
        report.promises.append(Promise(f"{name}, p99 in ms", worst, _P99_MS))
    return report


def _column(port: int, body: bytes) -> Callable[[], float]:
    return lambda: time_request(port, body)


def _sample(waiting: list[threading.Thread], requests: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Times of each request, sent at a fixed pace by a thread of its own while all columns wait."""
    times: dict[str, list[float]] = {name: [] for name in requests}

    def repeat(name: str, request: Callable[[], float]) -> None:
        while all(thread.is_alive() for thread in waiting):
            started = time.perf_counter()
            times[name].append(request())
            time.sleep(max(0.0, _EVERY_S - (time.perf_counter() - started)))

    samplers = [threading.Thread(target=repeat, args=item) for item in requests.items()]
    for thread in samplers:
        thread.start()
    for thread in (*samplers, *waiting):
        thread.join()
    return times


def _info(port: int) -> float:
    started = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", "/info")
        connection.getresponse().read()
    finally:
        connection.close()
    return 1000 * (time.perf_counter() - started)
