"""`bench soak`: minutes of everything at once; memory, descriptors and threads of the server must stay flat."""

from __future__ import annotations

import argparse
import http.client
import itertools
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from benchmarks.open_loop import variant
from benchmarks.pictures import photos
from benchmarks.report import Promise, Report
from benchmarks.rest import classify
from benchmarks.stack import Stack, running
from benchmarks.tableau import ask, body_of
from benchmarks.untrained import NAME, untrained_store

_ORIGINALS, _COLD_ROWS = 100, 40
_EVERY_S = 0.5
_WARM_UP = 0.25  # the share of the samples in which caches, pools and allocators may still grow
_CACHE_MB = 8  # small, so that the bound of the caches is reached and tested too
_MB_A_HOUR = 30.0
_RISE = 5.0
"""Descriptors and threads that the fitted line may rise over the whole measurement: requests under way differ."""


@dataclass(slots=True)
class Load:
    """Callers in threads of their own until `stop`; what failed is kept as text."""

    stop: threading.Event = field(default_factory=threading.Event)
    failures: list[str] = field(default_factory=list)
    count: int = 0

    def repeat(self, request: Callable[[], bool]) -> None:
        """Send until the end; an exception or a False is a failure."""
        while not self.stop.is_set():
            try:
                if not request():
                    self.failures.append("a wrong answer")
            except (OSError, RuntimeError, http.client.HTTPException) as exc:
                self.failures.append(repr(exc))
            self.count += 1
            self.stop.wait(0.01)


def run(arguments: argparse.Namespace) -> Report:
    """Cold and warm columns through TabPy, rows that fail, clients that go away; then lines through the samples."""
    report = Report(f"{arguments.minutes:g} minutes of mixed load ({NAME})",
                    ("what", "first", "last", "highest", "slope an hour"))
    originals = photos(_ORIGINALS, folder=arguments.images, cache=arguments.cache)
    state, folder = arguments.scratch / "soak", arguments.scratch / "soak-pictures"
    for old in (state, folder):
        shutil.rmtree(old, ignore_errors=True)
    folder.mkdir(parents=True)
    warm = [str(shutil.copy(path, folder)) for path in originals]
    load = Load()
    with running(state, images=(folder,), store=untrained_store(arguments.cache), cache_mb=_CACHE_MB) as stack:
        ask(stack.settings.tabpy_port, body_of("image_label", warm))
        requests = (_warm(stack, warm), _cold(stack, folder, originals), _failing(stack, folder), _leaving(stack, warm))
        callers = [threading.Thread(target=load.repeat, args=(request,)) for request in requests]
        for caller in callers:
            caller.start()
        samples = _samples(psutil.Process(stack.supervisor.child("server").pid), 60 * arguments.minutes)
        load.stop.set()
        for caller in callers:
            caller.join()
    shutil.rmtree(folder)
    report.rows.append(("requests", load.count, "", "", ""))
    _judge(report, samples)
    report.rows += [("failure", text, "", "", "") for text in load.failures[:3]]
    report.promises.append(Promise("failed requests", len(load.failures), 0))
    return report


def _samples(process: psutil.Process, seconds: float) -> dict[str, list[tuple[float, float]]]:
    """Name -> (seconds, value) twice a second."""
    descriptors = getattr(process, "num_handles" if psutil.WINDOWS else "num_fds")
    look = {"memory MB": lambda: process.memory_info().rss / 1e6, "descriptors": descriptors,
            "threads": process.num_threads}
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in look}
    started = time.monotonic()
    while (now := time.monotonic() - started) < seconds:
        for name, value in look.items():
            samples[name].append((now, float(value())))
        time.sleep(_EVERY_S)
    return samples


def _judge(report: Report, samples: dict[str, list[tuple[float, float]]]) -> None:
    """A straight line through each, without the warming up; its slope times the time is the rise."""
    for name, all_points in samples.items():
        points = np.array(all_points[int(_WARM_UP * len(all_points)):])
        slope = float(np.polyfit(points[:, 0], points[:, 1], 1)[0])
        report.rows.append((name, float(points[0, 1]), float(points[-1, 1]), float(points[:, 1].max()), 3600 * slope))
        if name == "memory MB":
            hours = max(1.0, (points[-1, 0] - points[0, 0]) / 3600)  # in minutes an allocator's steps look like slopes
            report.promises.append(Promise("MB that memory rises in the time", slope * points[-1, 0],
                                           _MB_A_HOUR * hours))
        else:
            report.promises.append(Promise(f"{name} that the line rises in the time", slope * points[-1, 0], _RISE))


def _warm(stack: Stack, paths: list[str]) -> Callable[[], bool]:
    body = body_of("image_confidence", paths)
    return lambda: None not in ask(stack.settings.tabpy_port, body)


def _cold(stack: Stack, folder: Path, originals: list[Path]) -> Callable[[], bool]:
    """New pictures through TabPy, removed when they are answered."""
    data = [path.read_bytes() for path in originals]
    numbers = itertools.count()

    def request() -> bool:
        paths = [folder / f"cold-{next(numbers):08d}.jpg" for _ in range(_COLD_ROWS)]
        for number, path in enumerate(paths):
            path.write_bytes(variant(data[number % len(data)], number))
        column = ask(stack.settings.tabpy_port, body_of("image_status", [str(path) for path in paths]))
        for path in paths:
            path.unlink()
        return set(column) <= {"ok", "pending"}

    return request


def _failing(stack: Stack, folder: Path) -> Callable[[], bool]:
    """Rows that cannot be answered: never the same name twice, and a file that is no picture."""
    broken = folder / "broken.jpg"
    numbers = itertools.count()

    def request() -> bool:
        broken.write_bytes(b"no picture %d" % next(numbers))
        paths = [str(broken), "../outside.jpg", "", f"missing-{next(numbers)}.jpg"]
        return "ok" not in classify(stack.supervisor.url, paths, "label")["status"]

    return request


def _leaving(stack: Stack, paths: list[str]) -> Callable[[], bool]:
    """A caller that asks and closes without reading the answer."""
    body = body_of("image_label", paths)

    def request() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", stack.settings.port, timeout=30)
        try:
            connection.request("POST", "/query/image_label", body, {"Content-Type": "application/json"})
        finally:
            connection.close()
        time.sleep(0.1)
        return True

    return request
