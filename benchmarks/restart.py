"""`bench restart`: `kill -9` of server or TabPy at random moments, in the middle of columns that nobody has asked for.

Right answers enter, taken from a server that nobody disturbs; each kill leaves as a `Kill`: how long until a column was
answered through TabPy again, which answers were lost that the store must have had, and which were wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from benchmarks.pictures import many_digits
from benchmarks.report import Promise, Report
from benchmarks.rest import classify
from benchmarks.stack import Stack, print_line, running
from benchmarks.tableau import ask, body_of

_SHIPPED = Path(__file__).resolve().parent.parent / "models" / "store"
_KILLS, _ROWS, _SLICE = 20, 6000, 100
_SLOW = {"engine_threads": 1, "decode_threads": 1, "batch_size": 1}  # columns that last longer than the commit interval
_BACK_S = 30.0
_GIVE_UP_S = 120.0
COMMITTED_S = 1.0
"""An answer given this long before the kill must be stored: the commit interval, and time to write on a busy disk."""
AWAY = (OSError, http.client.HTTPException, RuntimeError)
"""What a caller sees while a process is gone."""


@dataclass(frozen=True, slots=True)
class Kill:
    """What one kill did. `committed` answers had to be stored, `lost` of them were not; `unanswered` are rows of the
    column that had no answer on the next request."""

    victim: str
    after_s: float
    back_s: float
    answered: int
    committed: int
    lost: int
    wrong: int
    unanswered: int


@dataclass(slots=True)
class Slices:
    """A caller that asks a column of the server itself, slice by slice, and notes when each answer came."""

    url: str
    column: Sequence[str]
    labels: dict[str, str] = field(default_factory=dict)
    answered_at: dict[str, float] = field(default_factory=dict)

    def run(self) -> None:
        """Ask until the column is over or the server is away."""
        with contextlib.suppress(*AWAY):
            for begin in range(0, len(self.column), _SLICE):
                paths = list(self.column[begin:begin + _SLICE])
                columns = classify(self.url, paths, "label")
                now = time.monotonic()
                for path, label, status in zip(paths, columns["label"], columns["status"], strict=True):
                    if status == "ok":
                        self.labels[path], self.answered_at[path] = label, now


def run(arguments: argparse.Namespace) -> Report:
    """Twenty kills with a fixed seed, each in a column of its own."""
    report = Report("`kill -9` of server or TabPy in mid-column (digits)",
                    ("kill", "victim", "after s", "back after s", "answered before", "committed", "lost", "wrong"))
    paths = [str(path) for path in many_digits((_KILLS + 1) * _ROWS, arguments.cache)]
    folder = Path(paths[0]).parent.parent
    truth, row_s = right_answers(arguments.scratch / "truth", folder, paths)
    columns = [paths[begin:begin + _ROWS] for begin in range(0, _KILLS * _ROWS, _ROWS)]
    state = arguments.scratch / "restart"
    shutil.rmtree(state, ignore_errors=True)
    kills = []
    with serving(state, folder) as stack:
        for column, (victim, share) in zip(columns, plan(_KILLS, seed=1), strict=True):
            kills.append(kill_in(stack, column, truth, victim=victim, after_s=share * row_s * len(column)))
            print_line(f"  {kills[-1]}")
    report.rows += [(number, kill.victim, kill.after_s, kill.back_s, kill.answered, kill.committed, kill.lost,
                     kill.wrong) for number, kill in enumerate(kills, 1)]
    report.promises += promises(kills)
    return report


def plan(kills: int, *, seed: int) -> list[tuple[str, float]]:
    """Whom to kill, and after which share of a column's time; both processes come up alike often."""
    random = np.random.default_rng(seed)
    victims = random.permutation([("server", "TabPy")[number % 2] for number in range(kills)])
    return [(str(victim), float(share)) for victim, share in zip(victims, random.random(kills), strict=True)]


def promises(kills: Sequence[Kill]) -> list[Promise]:
    """What must hold of them."""
    back = sum(kill.back_s <= _BACK_S for kill in kills)
    return [Promise(f"of {len(kills)} kills, back within {_BACK_S:.0f} s", back, len(kills), is_floor=True),
            Promise("answers given before a kill, so to be compared", sum(kill.committed for kill in kills), 1,
                    is_floor=True),
            Promise(f"lost answers, given {COMMITTED_S:g} s or more before", sum(kill.lost for kill in kills), 0),
            Promise("wrong answers, before and after", sum(kill.wrong for kill in kills), 0),
            Promise("rows without an answer on the next request", sum(kill.unanswered for kill in kills), 0)]


def right_answers(state: Path, folder: Path, paths: Sequence[str]) -> tuple[dict[str, str], float]:
    """Path -> label as an undisturbed server answers, and the seconds that a row took."""
    shutil.rmtree(state, ignore_errors=True)
    truth: dict[str, str] = {}
    with running(state, images=(folder,), store=_SHIPPED, model="digits", no_tabpy=True, **_SLOW) as stack:
        started = time.monotonic()
        for begin in range(0, len(paths), _ROWS):
            part = list(paths[begin:begin + _ROWS])
            columns = classify(stack.supervisor.url, part, "label", deadline_s=600)
            if set(columns["status"]) != {"ok"}:
                raise RuntimeError(f"the undisturbed server answered {set(columns['status'])}")
            truth |= zip(part, columns["label"], strict=True)
        return truth, (time.monotonic() - started) / len(paths)


@contextlib.contextmanager
def serving(state: Path, folder: Path) -> Iterator[Stack]:
    """Server and TabPy as `serve` runs them: the supervisor's own watch starts again what ends."""
    stop = threading.Event()
    with running(state, images=(folder,), store=_SHIPPED, model="digits", **_SLOW) as stack:
        thread = threading.Thread(target=stack.supervisor.watch, args=(stop,), name="watch")
        thread.start()
        try:
            yield stack
        finally:
            stop.set()
            thread.join()


def kill_in(stack: Stack, column: Sequence[str], truth: dict[str, str], *, victim: str, after_s: float) -> Kill:
    """Ask `column` through TabPy and of the server at once, kill `victim` after so long, and look what came of it."""
    slices = Slices(stack.supervisor.url, column)
    through_tabpy: list[str | None] = []
    callers = [threading.Thread(target=slices.run, name="slices"),
               threading.Thread(target=_ask_once, args=(stack, column, through_tabpy), name="column")]
    for caller in callers:
        caller.start()
    time.sleep(after_s)
    process = psutil.Process(stack.supervisor.child(victim).pid)
    process.kill()
    killed_at = time.monotonic()
    committed = [path for path, when in list(slices.answered_at.items()) if when <= killed_at - COMMITTED_S]
    lost = len(set(committed) - _stored(stack))  # now: whoever asks again stores again
    again = _until_back(stack, column, process.pid, victim)
    back_s = time.monotonic() - killed_at
    for caller in callers:
        caller.join()
    labels = [*zip(column, through_tabpy, strict=False), *slices.labels.items(), *zip(column, again, strict=True)]
    return Kill(victim, after_s, back_s, answered=sum(when <= killed_at for when in slices.answered_at.values()),
                committed=len(committed), lost=lost,
                wrong=sum(label not in (None, truth[path]) for path, label in labels),
                unanswered=again.count(None))


def _ask_once(stack: Stack, column: Sequence[str], answer: list[str | None]) -> None:
    with contextlib.suppress(*AWAY):
        answer += ask(stack.settings.tabpy_port, body_of("image_label", list(column)))


def _until_back(stack: Stack, column: Sequence[str], pid: int, victim: str) -> list[str | None]:
    """Wait for another process and for TabPy to answer a column of one; then ask the whole column, once."""
    until = time.monotonic() + _GIVE_UP_S
    first = body_of("image_label", list(column[:1]))
    while time.monotonic() < until:
        with contextlib.suppress(*AWAY):
            if stack.supervisor.child(victim).pid != pid and ask(stack.settings.tabpy_port, first) != [None]:
                return ask(stack.settings.tabpy_port, body_of("image_label", list(column)))
        time.sleep(0.05)
    raise RuntimeError(f"{victim} was not back after {_GIVE_UP_S:.0f} s")


def _stored(stack: Stack) -> set[str]:
    """Every path text that the file has an answer for, read as the killed process left it."""
    with contextlib.closing(sqlite3.connect(stack.settings.state / "answers.sqlite", timeout=30)) as connection:
        answered = {digest for (digest,) in connection.execute("SELECT digest FROM answers")}
        return {text for text, digest in connection.execute("SELECT text, digest FROM sources") if digest in answered}
