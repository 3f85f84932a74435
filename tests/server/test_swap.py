"""Versions exchanged under load: the real server process, fifty requests a second, promotions and damage meanwhile."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from model_versions import write_version

from models.promotion import promote, roll_back
from models.registry import ModelVersion, Registry
from server.settings import Settings, as_arguments

if TYPE_CHECKING:
    from server_fixtures import Pictures

pytest_plugins = ("server_fixtures",)

ROOT = Path(__file__).resolve().parents[2]
RATE = 50.0
SECONDS = 8.0
PICTURES = 40
ROWS = 3

WaitUntil = Callable[[Callable[[], object]], None]
Answer = dict[str, Any]


@dataclass(slots=True)
class Server:
    """The server process, and where it answers."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    refused: list[tuple[int, bytes]] = field(default_factory=list)

    def ask(self, method: str, path: str, body: object = None) -> Answer:
        """The content of an answer; what is no answer is kept in `refused`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, None if body is None else json.dumps(body),
                               {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
            if answer.status != 200:
                self.refused.append((answer.status, content))
            return {} if answer.status != 200 else dict(json.loads(content))
        except OSError as exc:
            self.refused.append((0, repr(exc).encode()))
            return {}
        finally:
            connection.close()

    def classify(self, names: list[str], model: str | None = None) -> Answer:
        """Labels and confidences of pictures."""
        return self.ask("POST", "/v1/classify", {"paths": names, "model": model, "fields": ["label", "confidence"]})

    def states(self) -> dict[str, Any]:
        """The states of the versions of digits."""
        (listed,) = self.ask("GET", "/v1/models")["models"]
        return dict(listed["states"])

    def weigh(self) -> tuple[int, float]:
        """How many threads it has, and how many megabytes of memory."""
        process = psutil.Process(self.process.pid)
        return process.num_threads(), process.memory_info().rss / 1e6


@pytest.fixture
def root(tmp_path: Path, version: ModelVersion) -> Path:
    """A store with digits 1 and 2, whose labels tell them apart; 1 is the champion."""
    for number in ("1", "2"):
        write_version(tmp_path / "models", number, source=version.folder)
    promote(Registry([tmp_path / "models"]), "digits@1")
    return tmp_path / "models"


@pytest.fixture
def server(tmp_path: Path, root: Path, pictures: Pictures, free_port: int, wait_until: WaitUntil) -> Iterator[Server]:
    """A ready server that closes what nobody uses after a second."""
    for number in range(PICTURES):
        pictures.write(f"{number}.png", number)
    settings = Settings(images=(pictures.folder,), state=tmp_path / "state", store=root, port=free_port, engine="onnx",
                        model_idle_s=1.0, max_rows=100)
    command = [sys.executable, "-m", "server", *as_arguments(settings), "--parent-pipe"]
    log = tmp_path / "server.log"
    with log.open("wb") as file:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stderr=file)
    running = Server(process, free_port, log)
    try:
        wait_until(lambda: running.ask("GET", "/readyz").get("filled"))
        running.refused.clear()
        yield running
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(20)
        finally:
            process.kill()


def test_swaps_under_load_fail_no_request_and_mix_no_versions(server: Server, root: Path, version: ModelVersion,
                                                              wait_until: WaitUntil) -> None:
    """Promotions, ways back and a damaged champion at 50 requests a second: every answer is whole and of one version.

    What the versions say of each picture is asked by their pins before; memory and threads are as before afterwards.
    """
    names = [f"{number}.png" for number in range(PICTURES)]
    said = {number: dict(zip(names, rows(server.classify(names, f"digits@{number}")), strict=True)) for number in "12"}
    assert all(said["1"][name] != said["2"][name] for name in names)
    wait_until(lambda: server.states()["2"]["state"] == "idle")
    threads, megabytes = server.weigh()
    registry = Registry([root])
    with ThreadPoolExecutor(24) as pool:
        stop = threading.Event()
        changes = pool.submit(change_again_and_again, registry, version.folder, stop)
        answers = load(server, pool)
        stop.set()
        swaps = changes.result()
    assert (server.refused, len(answers)) == ([], int(RATE * SECONDS))
    mixed = [answer for asked, answer in answers
             if rows(answer) != [said[answer["version"]][name] for name in asked] or answer["pending"]]
    seen = Counter(answer["version"] for _, answer in answers)
    assert (mixed, set(seen), min(seen.values()) > RATE / 2, swaps >= 3) == ([], {"1", "2"}, True, True)
    assert "model.onnx has SHA-256" in server.states()["3"]["reason"]
    assert "goes on answering for the default model: digits@3: model.onnx has SHA-256" in server.log.read_text()
    wait_until(lambda: sorted(state["state"] for state in server.states().values()) == ["idle", "serving", "unusable"])
    threads_after, megabytes_after = server.weigh()
    assert (threads_after <= threads + 1, megabytes_after < megabytes + 40) == (True, True)


def rows(answer: Answer) -> list[tuple[str, float, str]]:
    """Label, confidence and status by row."""
    columns = answer["columns"]
    return list(zip(columns["label"], columns["confidence"], columns["status"], strict=True))


def load(server: Server, pool: ThreadPoolExecutor) -> list[tuple[list[str], Answer]]:
    """Ask at the rate for the seconds, whether or not answers have come; what was asked and answered."""
    started = time.monotonic()
    asked, futures = [], []
    for number in range(int(RATE * SECONDS)):
        time.sleep(max(0.0, started + number / RATE - time.monotonic()))
        asked.append([f"{(number * ROWS + row) % PICTURES}.png" for row in range(ROWS)])
        futures.append(pool.submit(server.classify, asked[-1]))
    return [(names, future.result()) for names, future in zip(asked, futures, strict=True)]


def change_again_and_again(registry: Registry, source: Path, stop: threading.Event) -> int:
    """Promote, go back, let the champion be a damaged version, and so on; how often it changed."""
    root = registry.roots[0]
    write_version(root, "3", source=source, is_damaged=True)
    changes: list[Callable[[], object]] = [
        lambda: promote(registry, "digits@2"),
        lambda: roll_back(registry, "digits"),
        lambda: (root / "digits" / "aliases.json").write_text('{"champion": "3"}', encoding="utf-8"),
        lambda: promote(registry, "digits@2"),
    ]
    count = 0
    while not stop.wait(1.8) and count < len(changes):
        changes[count]()
        count += 1
    return count
