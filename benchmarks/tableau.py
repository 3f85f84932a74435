"""Requests as Tableau sends them, and their times."""

from __future__ import annotations

import http.client
import json
import statistics
import time
from collections.abc import Callable
from typing import Any


def body_of(function: str, column: list[Any]) -> bytes:
    """The body of one calculated field."""
    script = f"return tabpy.query('{function}', _arg1)['response']"
    return json.dumps({"data": {"_arg1": column}, "script": script}).encode()


def ask(port: int, body: bytes) -> list[Any]:
    """Send it to TabPy's /evaluate; the answer."""
    column: list[Any] = json.loads(_post(port, body))
    return column


def time_request(port: int, body: bytes) -> float:
    """Milliseconds until the whole answer is here; it is not parsed, that is Tableau's own work."""
    started = time.perf_counter()
    _post(port, body)
    return 1000 * (time.perf_counter() - started)


def _post(port: int, body: bytes) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    try:
        connection.request("POST", "/evaluate", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        data = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise RuntimeError(f"TabPy answered {answer.status}: {data[:300]!r}")
    return data


def until_none_pending(port: int, paths: list[str]) -> float:
    """Seconds from the first request for `image_status` until no row is pending."""
    body = body_of("image_status", paths)
    started = time.perf_counter()
    while (statuses := ask(port, body)).count("pending"):
        pass
    seconds = time.perf_counter() - started
    wrong = [status for status in statuses if status != "ok"]
    if wrong:
        raise RuntimeError(f"{len(wrong)} of {len(paths)} pictures have no answer: {wrong[0]}")
    return seconds


def side_by_side(first: Callable[[], float], second: Callable[[], float], rounds: int) -> tuple[float, float]:
    """Medians of two measurements taken in turns, so that a slow moment of the machine hits both."""
    pairs = [(first(), second()) for _ in range(rounds)]
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)


def percentile(values: list[float], share: float) -> float:
    """The nearest-rank percentile of `values`."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
