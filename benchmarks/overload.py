"""`bench overload`: single images at twice the rate the server can bear, and how it is afterwards."""

from __future__ import annotations

import argparse
import shutil
import threading
import time
from collections import Counter
from typing import Self

from benchmarks.offline import offline_rate
from benchmarks.open_loop import Answer, Plan, poisson, send
from benchmarks.pictures import photos
from benchmarks.report import Promise, Report
from benchmarks.rest import classify
from benchmarks.stack import Stack, running
from benchmarks.tableau import percentile
from benchmarks.untrained import NAME, untrained_store

_SECONDS, _ORIGINALS, _TIMES = 60.0, 100, 2.0
_DEADLINE_S = 20.0
_REFUSED_S = 1.0  # "at once" for somebody who waits: a refusal must not wait behind the work
_MEMORY_MB = 200.0
_WARM_ROUNDS, _WARM_RATIO = 15, 1.5


def run(arguments: argparse.Namespace) -> Report:
    """Send, count what came back, and ask a warm column before and after."""
    report = Report(f"Single images at twice the offline rate for {_SECONDS:.0f} s ({NAME})", ("what", "value"))
    originals = photos(_ORIGINALS, folder=arguments.images, cache=arguments.cache)
    state, folder = arguments.scratch / "overload", arguments.scratch / "overload-pictures"
    for old in (state, folder):
        shutil.rmtree(old, ignore_errors=True)
    folder.mkdir(parents=True)
    warm = [str(shutil.copy(path, folder)) for path in originals]
    with running(state, images=(folder,), store=untrained_store(arguments.cache), no_tabpy=True,
                 deadline_s=_DEADLINE_S) as stack:
        offline = offline_rate(stack.supervisor.url, folder, originals)
        before_ms = _warm_ms(stack, warm)
        plan = Plan(stack.supervisor.url, str(folder), list(map(str, originals)),
                    poisson(_TIMES * offline, _SECONDS, seed=1))
        memory_mb = stack.server_memory_mb()
        with Highest(stack) as highest:
            outcome = send(plan)
        after_ms = _warm_ms(stack, warm)
        report.rows += [("offline images/s", offline), ("sent/s", len(plan.arrivals) / plan.arrivals[-1]),
                        ("generator CPU", outcome.cpu), ("sent late at worst s", outcome.late_s),
                        ("memory before, highest MB", f"{memory_mb:,.0f}, {highest.value:,.0f}"),
                        (f"warm column of {len(warm)} before, after ms", f"{before_ms:.1f}, {after_ms:.1f}")]
    shutil.rmtree(folder)
    _judge(report, outcome.answers)
    report.promises += [Promise("MB added at the highest", highest.value - memory_mb, _MEMORY_MB),
                        Promise("warm column afterwards against before (medians)", after_ms / before_ms, _WARM_RATIO)]
    return report


def _judge(report: Report, answers: list[Answer]) -> None:
    accepted = [answer.seconds for answer in answers if answer.http == 200]
    refused = [answer.seconds for answer in answers if answer.http == 503 and answer.retry_after.isdigit()]
    report.rows += [(f"answered {code or 'nothing'}", count) for code, count in
                    sorted(Counter(answer.http for answer in answers).items())]
    report.rows += [("accepted/s", len(accepted) / _SECONDS),
                    ("accepted but pending", sum(answer.row == "pending" for answer in answers))]
    for name, times in (("accepted", accepted), ("refused", refused)):
        if times:
            shown = ", ".join(f"{value:.3f}" for value in (*(percentile(times, x) for x in (0.5, 0.99)), max(times)))
            report.rows.append((f"{name}: p50, p99, worst s", shown))
    report.promises += [
        Promise("neither 200 nor 503 with Retry-After", len(answers) - len(accepted) - len(refused), 0),
        Promise("refused, so that this was an overload", len(refused), 1, is_floor=True),
        Promise("p99 of the accepted in s", percentile(accepted, 0.99), _DEADLINE_S),
        Promise("p99 of the refused in s", percentile(refused or [0.0], 0.99), _REFUSED_S)]


class Highest:
    """The server's highest resident memory in MB between enter and exit, looked at five times a second."""

    def __init__(self, stack: Stack) -> None:
        self._stack, self._stop = stack, threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory")
        self.value = stack.server_memory_mb()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.2):
            self.value = max(self.value, self._stack.server_memory_mb())


def _warm_ms(stack: Stack, paths: list[str]) -> float:
    """Median of some requests for a column whose answers are known after the first."""
    times = []
    for _ in range(_WARM_ROUNDS + 1):
        started = time.perf_counter()
        if set(classify(stack.supervisor.url, paths, "label")["status"]) != {"ok"}:
            raise RuntimeError("the warm column has rows without an answer")
        times.append(1000 * (time.perf_counter() - started))
    return percentile(times[1:], 0.5)
