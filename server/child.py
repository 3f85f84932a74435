"""A child process of the supervisor: started without a shell, told to stop through its stdin, never left behind.

The child reads its stdin and ends when the pipe does, so it goes with its parent however the parent goes, on every
system; a child that does not end is killed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

_ROOT = Path(__file__).resolve().parent.parent


class Child:
    """One module run by this Python; its stderr goes to `log`, or line by line to `relay`, or where ours goes."""

    def __init__(self, name: str, module: str, arguments: Sequence[str], *, log: Path | None,
                 relay: Callable[[str, str], None] | None = None) -> None:
        self.name = name
        self.log = log
        self.started_at = time.monotonic()
        self.is_ready = threading.Event()
        self.last_line = ""
        stderr: IO[bytes] | int | None = subprocess.PIPE if relay is not None else None
        if log is not None:
            stderr = log.open("ab")
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=stderr, env=_environment(), **_own_group())
        finally:
            if stderr is not None and not isinstance(stderr, int):
                stderr.close()
        self._reader = threading.Thread(target=self._read, name=f"{name}-stdout", daemon=True)
        self._reader.start()
        self._relay = threading.Thread(target=self._pass_on, args=(relay,), name=f"{name}-stderr", daemon=True)
        self._relay.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def stop(self, timeout_s: float) -> None:
        """Close its stdin, wait, and kill it when it does not end in time."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self._relay.join()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _read(self) -> None:
        """Drain stdout; a JSON line that says ready is the sign."""
        for line in self._process.stdout or ():
            if _is_ready_line(line):
                self.is_ready.set()

    def _pass_on(self, relay: Callable[[str, str], None] | None) -> None:
        """Hand each line of stderr to `relay`, and keep the last: it says why a start was refused."""
        for line in self._process.stderr or ():
            self.last_line = line.decode("utf-8", "replace").rstrip()
            if relay is not None and self.last_line:
                relay(self.name, self.last_line)


def _own_group() -> dict[str, Any]:
    """Ctrl-C reaches every process of a console; only the supervisor is to hear it."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _is_ready_line(line: bytes) -> bool:
    try:
        content = json.loads(line)
    except ValueError:
        return False
    return isinstance(content, dict) and content.get("status") == "ready"


def _environment() -> dict[str, str]:
    """Ours, with the project importable and UTF-8 everywhere."""
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUTF8": "1"}
