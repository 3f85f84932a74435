"""Single images at moments fixed beforehand, whatever the server does meanwhile: an open loop, in a process of its own.

A plan enters (address, arrival times, photos to vary), an `Answer` for each arrival leaves. Latency counts from the
planned arrival, so a generator or a server that falls behind cannot hide it (coordinated omission). Every picture has
new content: a photo with a comment of its own. The generator shares the cores with the server, so between the first
arrival and the last answer it only sends and notes: all pictures are written before the clock starts (some 80 KB each)
and removed after it has stopped, and only then are the answers read.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np

_LEAD_S = 0.5  # before the first arrival
_GIVE_UP_S = 120.0
_LOOK_S = 0.05  # how often the end is looked for
NO_ANSWER = 0
_NONE = -1
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_RETRY = re.compile(rb"\r\nretry-after: *([^\r]*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send: `arrivals` in seconds from the start, to the server at `url`, with pictures made in `folder`."""

    url: str
    folder: str
    originals: Sequence[str]
    arrivals: Sequence[float]


class Answer(NamedTuple):
    """One arrival: HTTP status (`NO_ANSWER` for none), seconds since it was planned, Retry-After, the row's status."""

    http: int
    seconds: float
    retry_after: str
    row: str


class _Raw(NamedTuple):
    """An answer as it came: status line and headers, and body; no head, and a reason, where none came."""

    head: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """All answers in the order of the arrivals, the generator's share of one core, and how late it sent at worst."""

    answers: list[Answer]
    cpu: float
    late_s: float


def poisson(rate: float, seconds: float, *, seed: int) -> list[float]:
    """Arrival times of a Poisson process."""
    gaps = np.random.default_rng(seed).exponential(1 / rate, int(rate * seconds))
    return [float(moment) for moment in np.cumsum(gaps)]


def send(plan: Plan) -> Outcome:
    """Send everything from a process of its own."""
    done = subprocess.run([sys.executable, "-m", "benchmarks.open_loop"], input=json.dumps(asdict(plan)), check=True,
                          stdout=subprocess.PIPE, text=True, encoding="utf-8")
    content = json.loads(done.stdout)
    return Outcome([Answer(*row) for row in content["answers"]], content["cpu"], content["late_s"])


def variant(photo: bytes, number: int) -> bytes:
    """The JPEG with `number` in a comment: other content, the same picture."""
    comment = f"{number} {time.time_ns()}".encode()
    return photo[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + photo[2:]


class _Connection(asyncio.Protocol):
    """A kept connection: one request at a time goes out, `on_answer` is told of what comes back."""

    def __init__(self, on_answer: Callable[[_Connection, _Raw], None]) -> None:
        self._on_answer = on_answer
        self._received = b""
        self.transport: Any = None
        self.arrival = _NONE

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It may be used."""
        self.transport = transport

    def ask(self, arrival: int, request: bytes) -> None:
        """Send the request of one arrival."""
        self.arrival = arrival
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Collect until the answer is whole."""
        self._received = received = self._received + data if self._received else data
        head, end, body = received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head) if end else None
        if length is not None and len(body) >= int(length[1]):
            self._received = b""
            self._on_answer(self, _Raw(head, body))

    def connection_lost(self, exc: Exception | None) -> None:
        """An answer that was waited for does not come."""
        if self.arrival != _NONE:
            self._on_answer(self, _Raw(b"", repr(exc or EOFError("closed before the answer")).encode()))


class _Generator:
    """One run of a plan; connections are kept and used again."""

    def __init__(self, plan: Plan) -> None:
        self._arrivals = plan.arrivals
        address = urlsplit(plan.url)
        self._host, self._port = address.hostname or "", address.port or 80
        self._paths = [Path(plan.folder) / f"arrival-{number:06d}.jpg" for number in range(len(plan.arrivals))]
        photos = [Path(name).read_bytes() for name in plan.originals]
        for number, path in enumerate(self._paths):
            path.write_bytes(variant(photos[number % len(photos)], number))
        self._requests = [self._request(path) for path in self._paths]
        self._free: list[_Connection] = []
        self._asked: dict[int, _Connection | None] = {}
        self._raw: dict[int, tuple[float, _Raw]] = {}
        self._opening: set[asyncio.Task[None]] = set()
        self._started = self._late_s = 0.0

    async def run(self) -> dict[str, object]:
        """Every answer, CPU and lateness."""
        cpu, self._started = time.process_time(), time.monotonic() + _LEAD_S
        for number, arrival in enumerate(self._arrivals):
            await asyncio.sleep(self._started + arrival - time.monotonic())
            self._arrive(number)
        while self._asked:
            await asyncio.sleep(_LOOK_S)
            self._give_up_old()
        cpu = (time.process_time() - cpu) / (time.monotonic() - self._started)
        for connection in self._free:
            connection.transport.close()
        for path in self._paths:
            path.unlink()
        return {"answers": [_answer(*self._raw[number]) for number in range(len(self._arrivals))], "cpu": cpu,
                "late_s": self._late_s}

    def _arrive(self, number: int) -> None:
        self._late_s = max(self._late_s, time.monotonic() - self._started - self._arrivals[number])
        if self._free:
            self._asked[number] = connection = self._free.pop()
            connection.ask(number, self._requests[number])
        else:
            self._asked[number] = None
            task = asyncio.create_task(self._open(number))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self, number: int) -> None:
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: _Connection(self._on_answer), self._host, self._port)
        except OSError as exc:
            self._end(number, _Raw(b"", repr(exc).encode()))
            return
        if number in self._asked:
            self._asked[number] = connection
            connection.ask(number, self._requests[number])

    def _on_answer(self, connection: _Connection, raw: _Raw) -> None:
        self._end(connection.arrival, raw)
        connection.arrival = _NONE
        if raw.head and _CLOSES.search(raw.head) is None:
            self._free.append(connection)
        else:
            connection.transport.close()

    def _end(self, number: int, raw: _Raw) -> None:
        if number in self._asked:
            del self._asked[number]
            self._raw[number] = (time.monotonic() - self._started - self._arrivals[number], raw)

    def _give_up_old(self) -> None:
        oldest = time.monotonic() - self._started - _GIVE_UP_S
        for number, connection in list(self._asked.items()):
            if self._arrivals[number] < oldest:
                self._end(number, _Raw(b"", b"no answer in time"))
                if connection is not None:
                    connection.arrival = _NONE
                    connection.transport.abort()

    def _request(self, path: Path) -> bytes:
        body = json.dumps({"paths": [str(path)], "fields": ["label", "confidence"]}).encode()
        return (b"POST /v1/classify HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n" % (self._host.encode(), len(body)) + body)


def _answer(seconds: float, raw: _Raw) -> Answer:
    """What an answer says; read after the clock has stopped."""
    if not raw.head:
        return Answer(NO_ANSWER, seconds, "", raw.body.decode())
    status, retry_after = int(raw.head[9:12]), _RETRY.search(raw.head)
    row = json.loads(raw.body)["columns"]["status"][0] if status == 200 else ""
    return Answer(status, seconds, retry_after[1].decode() if retry_after else "", row)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(_Generator(Plan(**json.load(sys.stdin))).run())))
