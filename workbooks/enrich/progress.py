"""How far an enrichment is, at which rate, and how long it will take: a line that changes in a terminal, else a line
every ten seconds."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable
from typing import IO

_TERMINAL_S, _FILE_S = 0.5, 10.0


class Progress:
    """Rows that got an answer, of `total`; for many threads.

    Args:
        total: rows of the table.
        before: rows that were finished by an earlier run, of which the rate knows nothing.
        stream: where lines go.
    """

    def __init__(self, total: int, before: int, *, stream: IO[str] | None = None,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream or sys.stderr
        self._total, self._before, self._clock = total, before, clock
        self._lock = threading.Lock()
        self._done, self._began = 0, clock()
        self._is_terminal = self._stream.isatty()
        self._every_s = _TERMINAL_S if self._is_terminal else _FILE_S
        self._shown_at = self._began

    def add(self, rows: int) -> None:
        """Count rows, and say so where it is time."""
        with self._lock:
            self._done += rows
            if self._clock() - self._shown_at >= self._every_s:
                self._shown_at = self._clock()
                self._show()

    def end(self) -> None:
        """Leave the line that changes."""
        if self._is_terminal:
            self._write("\r\x1b[K")

    @property
    def rate(self) -> float:
        """Rows a second since the beginning."""
        return self._done / max(self._clock() - self._began, 1e-9)

    def line(self) -> str:
        """The line as it stands now."""
        done = self._before + self._done
        left_s = (self._total - done) / self.rate if self._done else 0.0
        return (f"{done:,} of {self._total:,} rows ({100 * done // max(self._total, 1)} %),"
                f" {self.rate:,.0f} a second, {duration(left_s)} left")

    def _show(self) -> None:
        self._write(f"\r{self.line()}\x1b[K" if self._is_terminal else f"{self.line()}\n")

    def _write(self, text: str) -> None:
        """Where nobody reads any more, the work goes on all the same."""
        with contextlib.suppress(OSError):
            self._stream.write(text)
            self._stream.flush()


def duration(seconds: float) -> str:
    """Such as 45 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
