"""`bench latency`: single images, each of new content, at random moments, at 0.85 of the offline rate."""

from __future__ import annotations

import argparse
import shutil

from benchmarks.offline import offline_rate
from benchmarks.open_loop import Plan, poisson, send
from benchmarks.pictures import photos
from benchmarks.report import Promise, Report
from benchmarks.stack import print_line, running
from benchmarks.tableau import percentile
from benchmarks.untrained import NAME, untrained_store

_ROUNDS, _SECONDS, _ORIGINALS = 3, 30.0, 100
_SHARE = 0.85
_P99_S = 1.0


def run(arguments: argparse.Namespace) -> Report:
    """Measure the offline rate before each round, then send at a share of it."""
    report = Report(f"Single images at {_SHARE} of the offline rate, Poisson arrivals ({NAME})",
                    ("round", "offline images/s", "sent/s", "p50 ms", "p99 ms", "worst ms", "not 200", "generator CPU",
                     "sent late at worst ms"))
    originals = photos(_ORIGINALS, folder=arguments.images, cache=arguments.cache)
    folder = arguments.scratch / "latency-pictures"
    for state in (folder, arguments.scratch / "latency"):
        shutil.rmtree(state, ignore_errors=True)
    folder.mkdir(parents=True)
    store, worst = untrained_store(arguments.cache), []
    with running(arguments.scratch / "latency", images=(folder,), store=store, no_tabpy=True) as stack:
        url = stack.supervisor.url
        for number in range(1, _ROUNDS + 1):
            print_line(f"  round {number} of {_ROUNDS}")
            offline = offline_rate(url, folder, originals)
            arrivals = poisson(_SHARE * offline, _SECONDS, seed=number)
            outcome = send(Plan(url, str(folder), list(map(str, originals)), arrivals))
            times = [1000 * answer.seconds for answer in outcome.answers]
            failed = sum((answer.http, answer.row) != (200, "ok") for answer in outcome.answers)
            report.rows.append((number, offline, len(arrivals) / arrivals[-1], percentile(times, 0.5),
                                percentile(times, 0.99), max(times), failed, outcome.cpu, 1000 * outcome.late_s))
            worst.append((percentile(times, 0.99) / 1000, failed))
    shutil.rmtree(folder)
    report.promises += [Promise("p99 in s, from the planned arrival (median of the rounds)",
                                sorted(worst)[_ROUNDS // 2][0], _P99_S),
                        Promise("images without an answer", sum(failed for _, failed in worst), 0)]
    return report
