"""Pixfield as `serve` starts it, for one benchmark: own ports, own state folder, stopped at the end."""

from __future__ import annotations

import contextlib
import json
import re
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.stock import free_port
from server.settings import Settings
from server.supervisor import Supervisor


@dataclass(frozen=True, slots=True)
class Stack:
    """A running Pixfield."""

    settings: Settings
    supervisor: Supervisor

    def metric(self, name: str) -> float:
        """The sum of a counter over its labels."""
        with urllib.request.urlopen(f"{self.supervisor.url}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))

    def is_filled(self) -> bool:
        """Whether stored answers are in memory."""
        with urllib.request.urlopen(f"{self.supervisor.url}/readyz", timeout=30) as answer:
            return bool(json.load(answer)["filled"])

    def wait_until_filled(self) -> float:
        """Wait for it; returns the seconds it took from here."""
        started = time.monotonic()
        while not self.is_filled():
            time.sleep(0.05)
        return time.monotonic() - started

    def server_memory_mb(self) -> float:
        """Resident memory of the server process."""
        return float(psutil.Process(self.supervisor.child("server").pid).memory_info().rss / 1e6)


@contextlib.contextmanager
def running(state: Path, *, images: tuple[Path, ...], store: Path, **more: Any) -> Iterator[Stack]:
    """Start server and TabPy on free ports; their logs go to `state`/logs."""
    settings = Settings(images=images, store=store, state=state, port=free_port(), tabpy_port=free_port(), **more)
    logs = state / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    with Supervisor(settings, log_folder=logs, say=lambda line: print_line(f"  {line}")) as supervisor:
        yield Stack(settings, supervisor)


def print_line(line: str) -> None:
    """A line of progress on stderr, so that the table alone is on stdout."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
