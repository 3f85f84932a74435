"""Child processes that decode what is not ordinary: killed at the limit, bounded in memory, replaced when they die.

Bytes enter, a prepared picture or the reason why not leaves. `Quarantine` is the server's side; `python -m
server.quarantine` is the child's. They speak over the child's stdin and stdout: a line of JSON, then bytes; no pickle.
Where the system cannot bound a process's memory (Windows: it would take a job object), the pixel limit still does.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import logging
import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np

from models.picture import Picture, PictureError, PictureLimits, read_picture

log = logging.getLogger(__name__)

T = TypeVar("T")

_ROOT = Path(__file__).resolve().parent.parent
START_S = 30.0  # a new Python that imports numpy and Pillow on a busy machine
_CREDENTIALS = ("AWS_", "AZURE_", "GOOGLE_", "FSSPEC_")  # of storages: a decoder has no use for them
_ORPHAN_S = 5.0  # a child whose server is gone ends by itself so much after the limit


@dataclass(frozen=True, slots=True)
class Order:
    """How a picture is to be read: the arguments of `read_picture`."""

    size: int
    channels: int
    resize: str
    max_megapixels: float

    def read(self, data: bytes) -> Picture:
        """Decode `data` here and now; raises PictureError."""
        return read_picture(data, size=self.size, channels=self.channels, resize=self.resize,
                            limits=PictureLimits(self.max_megapixels))


class Quarantine:
    """As many children as are used at once, made on demand; safe for many threads; `close` ends them all.

    Args:
        max_s: seconds a picture may take.
        max_mb: memory a child may take.
        idle_s: seconds after which `trim` ends a child that has nothing to do.
    """

    def __init__(self, *, max_s: float, max_mb: int, idle_s: float = 60.0) -> None:
        self._max_s, self._max_mb, self.idle_s = max_s, max_mb, idle_s
        self._idle: list[_Child] = []
        self._busy: set[_Child] = set()
        self._lock = threading.Lock()
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._idle) + len(self._busy)

    def read(self, data: bytes, order: Order) -> Picture:
        """Decode `data` in a child; raises PictureError, also for a child that dies or takes too long."""
        try:
            child = self._take()
        except (OSError, _LostError) as exc:
            log.warning("a decoder process could not be started: %s", exc)
            raise PictureError("no decoder process could be started for this image: ask again", is_final=False) from exc
        try:
            return child.read(data, order, self._max_s)
        except _LostError as exc:
            log.warning("a decoder process ended on a picture of %d bytes: %s", len(data), exc)
            raise PictureError(too_slow(self._max_s) if child.is_late else "this image ends its decoder") from exc
        except MemoryError as exc:
            raise PictureError(f"decoding takes too much memory: more than {self._max_mb:,} MB (--max-decode-mb)"
                               ) from exc
        finally:
            self._give_back(child)

    def trim(self) -> None:
        """End the children that have had nothing to do for a while."""
        with self._lock:
            old = [child for child in self._idle if time.monotonic() - child.used_at > self.idle_s]
            self._idle = [child for child in self._idle if child not in old]
        for child in old:
            child.end()

    def close(self) -> None:
        """End every child; what is being decoded fails."""
        with self._lock:
            self._is_closed = True
            children = [*self._idle, *self._busy]
            self._idle = []
        for child in children:
            child.end()

    def _take(self) -> _Child:
        with self._lock:
            child = self._idle.pop() if self._idle else None
        is_new = child is None
        child = child or _Child(self._max_s, self._max_mb)
        with self._lock:
            self._busy.add(child)
            is_closed = self._is_closed
        try:
            if is_closed:
                raise _LostError("the server is being stopped")
            if is_new:
                child.greet()
        except _LostError:
            self._give_back(child)
            raise
        return child

    def _give_back(self, child: _Child) -> None:
        with self._lock:
            self._busy.discard(child)
            is_kept = not self._is_closed and child.is_alive
            if is_kept:
                child.used_at = time.monotonic()
                self._idle.append(child)
        if not is_kept:
            child.end()


def too_slow(max_s: float) -> str:
    """The status of a picture that takes too long."""
    return f"decoding takes too long: more than {max_s:g} s (--max-decode-s)"


class _LostError(Exception):
    """The child is gone, or did not answer as it should."""


class _Child:
    """One process; one picture at a time."""

    def __init__(self, max_s: float, max_mb: int) -> None:
        command = [sys.executable, "-m", "server.quarantine", str(max_mb), str(max_s + _ORPHAN_S)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.DEVNULL, env=_environment(), **_own_group())
        self.used_at = time.monotonic()
        self.is_late = False

    @property
    def is_alive(self) -> bool:
        """Whether it can take another picture."""
        return not self.is_late and self._process.poll() is None

    def greet(self) -> None:
        """Wait until it has started: that is not decoding; raises _LostError."""
        self._within(START_S, self._line)

    def read(self, data: bytes, order: Order, max_s: float) -> Picture:
        """Send, wait, receive.

        Raises:
            PictureError: as the child says.
            MemoryError: the child's memory was not enough.
            _LostError: it says nothing more.
        """
        answer, pixels = self._within(max_s, lambda: self._exchange(data, order))
        if "error" in answer and not answer["is_final"]:
            raise MemoryError
        if "error" in answer:
            raise PictureError(answer["error"])
        return Picture(np.frombuffer(pixels, np.uint8).reshape(answer["shape"]), answer["note"])

    def end(self) -> None:
        """Kill it and free its pipes; safe while another thread reads from it, which then sees the end."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError, ValueError):
                if pipe is not None:
                    pipe.close()

    def _within(self, seconds: float, work: Callable[[], T]) -> T:
        timer = threading.Timer(seconds, self._expire)
        timer.name = "quarantine-limit"
        timer.daemon = True
        timer.start()
        try:
            return work()
        except (OSError, ValueError) as exc:  # a broken pipe, half a line, a pipe that was closed
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1.0)
            raise _LostError(f"status {self._process.poll()}") from exc
        finally:
            timer.cancel()

    def _expire(self) -> None:
        self.is_late = True
        self._process.kill()

    def _exchange(self, data: bytes, order: Order) -> tuple[dict[str, Any], bytes]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None  # noqa: S101, PT018 - pipes were asked for
        stdin.write(json.dumps({"bytes": len(data), **asdict(order)}).encode() + b"\n")
        stdin.write(data)
        stdin.flush()
        answer = self._line()
        pixels = stdout.read(answer["bytes"]) if "bytes" in answer else b""
        if len(pixels) != answer.get("bytes", 0):
            raise ValueError("half an answer")
        return answer, pixels

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 - the pipe was asked for
        answer = json.loads(self._process.stdout.readline())
        if not isinstance(answer, dict):
            raise ValueError(f"expected an object, received {type(answer).__name__}")
        return answer


def _environment() -> dict[str, str]:
    """Ours, with the project importable, without a storage's credentials, and without a numerical library's threads,
    which reserve memory."""
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(_CREDENTIALS)}
    return {**kept, "PYTHONPATH": os.pathsep.join(paths), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def _own_group() -> dict[str, Any]:
    """Ctrl-C is for the supervisor alone."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


# ---- the child ---------------------------------------------------------------------------------------------------


def main(max_mb: int, max_s: float) -> None:
    """Read pictures from stdin until it ends."""
    requests, answers = sys.stdin.buffer, _private_stdout()
    warnings.simplefilter("ignore")
    _limit_memory(max_mb)
    _send(answers, {"ready": True})
    with Path(os.devnull).open("w") as nowhere:
        while line := requests.readline():
            order = json.loads(line)
            data = requests.read(order.pop("bytes"))
            faulthandler.dump_traceback_later(max_s, exit=True, file=nowhere)  # ends us where our server cannot
            _answer(answers, data, Order(**order))
            faulthandler.cancel_dump_traceback_later()
            del data


def _answer(answers: IO[bytes], data: bytes, order: Order) -> None:
    try:
        picture = order.read(data)
    except PictureError as exc:
        _send(answers, {"error": str(exc), "is_final": exc.is_final})
    else:
        pixels = picture.pixels.tobytes()
        _send(answers, {"note": picture.note, "bytes": len(pixels), "shape": picture.pixels.shape}, pixels)


def _send(answers: IO[bytes], content: dict[str, Any], more: bytes = b"") -> None:
    answers.write(json.dumps(content).encode() + b"\n" + more)
    answers.flush()


def _private_stdout() -> IO[bytes]:
    """Stdout as it was; what a C library prints there later goes nowhere."""
    private = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return open(private, "wb")  # noqa: PTH123 - a descriptor; open as long as the process


def _limit_memory(max_mb: int) -> None:
    if sys.platform != "win32":
        import resource
        size = max_mb * 1_000_000
        with contextlib.suppress(ValueError, OSError):  # macOS refuses some; the pixel limit still holds there
            resource.setrlimit(resource.RLIMIT_AS, (size, size))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
