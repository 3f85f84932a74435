"""An import in a child process: a file that crashes or hangs its reader, or eats all memory, costs one sentence.

The order goes to the child's stdin, one line of JSON comes back from its stdout. The child is watched from here, so
that time and memory are bounded alike on every system; it ends with its parent.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from models.errors import ModelError
from models.importing.order import Order, Report

_ROOT = Path(__file__).resolve().parents[2]
_STEP_S = 0.1  # between two looks at the child's memory
COMMAND = (sys.executable, "-m", "models.importing.child")


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an import may take: seconds, and megabytes of memory."""

    seconds: float
    megabytes: int


def import_apart(order: Order, bounds: Bounds, *, command: Sequence[str] = COMMAND) -> Report:
    """The child's report; raises `ModelError` with its sentence, or with one on how it ended."""
    with tempfile.TemporaryDirectory(prefix="pixfield-import-", ignore_cleanup_errors=True) as scratch:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                   env=_environment(scratch))
        answer: list[bytes] = []
        reader = threading.Thread(target=_exchange, args=(process, order, answer), name="import-answer", daemon=True)
        reader.start()
        try:
            fault = _watch(process, bounds)
        finally:
            _end(process)
            reader.join()
            _clear(order, process.pid)
    content = _parsed(answer)
    if "error" in content:
        raise ModelError(content["error"])
    if fault is not None:
        raise ModelError(f"{order.file.name}: {fault}")
    if "lines" not in content:
        raise ModelError(f"{order.file.name} ends its reader (status {process.returncode}); nothing was imported, and "
                         "the file is probably damaged.")
    return Report(content["lines"], content["warnings"])


def _watch(process: subprocess.Popen[bytes], bounds: Bounds) -> str | None:
    """Wait for the end; why the child must be ended before it."""
    until = time.monotonic() + bounds.seconds
    while True:
        try:
            process.wait(_STEP_S)
        except subprocess.TimeoutExpired:
            if time.monotonic() > until:
                return f"importing takes longer than {bounds.seconds:g} s (--max-s); nothing was imported."
            if _megabytes(process.pid) > bounds.megabytes:
                return f"importing takes more than {bounds.megabytes:,} MB of memory (--max-mb); nothing was imported."
        else:
            return None


def _megabytes(pid: int) -> float:
    """Memory of a process and its children."""
    import psutil

    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        return sum(one.memory_info().rss for one in family) / 1e6
    except psutil.Error:  # it has ended meanwhile
        return 0.0


def _end(process: subprocess.Popen[bytes]) -> None:
    """The child and what it started."""
    import psutil

    if process.poll() is None:
        try:
            family = psutil.Process(process.pid).children(recursive=True)
        except psutil.Error:
            family = []
        process.kill()
        for one in family:
            try:
                one.kill()
            except psutil.Error:
                continue
    process.wait()


def _clear(order: Order, pid: int) -> None:
    """A child that was killed leaves half a version behind, under a name that is never listed."""
    for path in (order.root / order.name).glob(f".arriving-*-{pid}"):
        shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(OSError):  # the name's folder stays where it holds versions
        (order.root / order.name).rmdir()


def _exchange(process: subprocess.Popen[bytes], order: Order, answer: list[bytes]) -> None:
    """Send the order and keep stdin open: its end tells the child that nobody waits any more."""
    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None and stdout is not None  # noqa: S101, PT018 - pipes were asked for
    with contextlib.suppress(OSError):  # it has ended already; what it said is still there
        stdin.write(order.to_json().encode() + b"\n")
        stdin.flush()
    answer.append(stdout.read())
    for pipe in (stdin, stdout):
        with contextlib.suppress(OSError):  # what could not be sent above cannot be sent now
            pipe.close()


def _parsed(answer: list[bytes]) -> dict[str, Any]:
    try:
        content = json.loads(answer[0])
    except (IndexError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _environment(scratch: str) -> dict[str, str]:
    """Ours, with the project importable, UTF-8 everywhere, TensorFlow quiet, and temporary files where we clear up."""
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUTF8": "1", "TF_CPP_MIN_LOG_LEVEL": "3",
            **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), scratch)}


def private_stdout() -> IO[bytes]:
    """For the child: stdout as it was; what libraries print there later goes to stderr."""
    private = os.dup(1)
    os.dup2(2, 1)
    return open(private, "wb")  # noqa: PTH123 - a descriptor; open as long as the process
