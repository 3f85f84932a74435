"""Single images at moments fixed beforehand, whatever the server does meanwhile: an open loop, in a process of its own.

A plan enters (address, arrival times, photos to vary), an `Answer` for each arrival leaves. Latency counts from the
planned arrival, so a generator or a server that falls behind cannot hide it (coordinated omission). Every picture has
new content: a photo with a comment of its own, written just before it is asked for and removed after the answer.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np

_AHEAD_S = 0.25  # a picture is written this long before its arrival
_GIVE_UP_S = 120.0
NO_ANSWER = 0


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


class _Generator:
    """One run of a plan; connections are kept and used again."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        address = urlsplit(plan.url)
        self._host, self._port = address.hostname or "", address.port
        self._photos = [Path(name).read_bytes() for name in plan.originals]
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._late_s = 0.0

    async def run(self) -> dict[str, object]:
        """Every answer, CPU and lateness."""
        cpu, started = time.process_time(), time.monotonic() + 2 * _AHEAD_S
        tasks = []
        for number, arrival in enumerate(self._plan.arrivals):
            await asyncio.sleep(started + arrival - _AHEAD_S - time.monotonic())
            tasks.append(asyncio.create_task(self._arrive(number, started + arrival)))
        answers = await asyncio.gather(*tasks)
        cpu = (time.process_time() - cpu) / (time.monotonic() - started)
        for _, writer in self._free:
            writer.close()
        return {"answers": answers, "cpu": cpu, "late_s": self._late_s}

    async def _arrive(self, number: int, planned: float) -> Answer:
        path = Path(self._plan.folder) / f"arrival-{number:06d}.jpg"
        path.write_bytes(variant(self._photos[number % len(self._photos)], number))
        await asyncio.sleep(planned - time.monotonic())
        self._late_s = max(self._late_s, time.monotonic() - planned)
        try:
            async with asyncio.timeout(_GIVE_UP_S):
                status, retry_after, data = await self._ask(str(path))
        except (OSError, EOFError, TimeoutError) as exc:
            return Answer(NO_ANSWER, time.monotonic() - planned, "", repr(exc))
        seconds = time.monotonic() - planned
        path.unlink()
        row = json.loads(data)["columns"]["status"][0] if status == 200 else ""
        return Answer(status, seconds, retry_after, row)

    async def _ask(self, path: str) -> tuple[int, str, bytes]:
        reader, writer = self._free.pop() if self._free else await asyncio.open_connection(self._host, self._port)
        body = json.dumps({"paths": [path], "fields": ["label", "confidence"]}).encode()
        writer.write(b"POST /v1/classify HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
                     b"Content-Length: %d\r\n\r\n" % (self._host.encode(), len(body)) + body)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        data = await reader.readexactly(int(headers["content-length"]))
        if headers.get("connection", "").lower() == "close":
            writer.close()
        else:
            self._free.append((reader, writer))
        return int(head[0].split(" ")[1]), headers.get("retry-after", ""), data


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(_Generator(Plan(**json.load(sys.stdin))).run())))
