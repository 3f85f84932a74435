"""Load and the end of a server: the real server process, asked by many at once."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from stack import free_ports, started

from benchmarks.pictures import many_digits
from benchmarks.tableau import ask, body_of
from server.app import PLACES
from server.settings import Settings, as_arguments

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "models" / "store"
ROWS = 3000


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Digits, each of other content."""
    return [str(path) for path in many_digits(ROWS, tmp_path_factory.mktemp("pictures"))]


class Server:
    """The server alone, as a child process; the engine takes one picture at a time, so that columns last."""

    def __init__(self, state: Path, folder: Path, **more: Any) -> None:
        slow = {"engine_threads": 1, "decode_threads": 1, "batch_size": 1}
        settings = Settings(images=(folder,), state=state, port=free_ports()[0], **{"model": "digits", **slow, **more})
        self.url = f"http://127.0.0.1:{settings.port}"
        state.mkdir(exist_ok=True)
        self.log = state / "server.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([sys.executable, "-m", "server", *as_arguments(settings), "--parent-pipe"],
                                            cwd=ROOT, stdin=subprocess.PIPE, stderr=log)
        until = time.monotonic() + 60
        while self.get("/readyz")[0] != 200:
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.05)

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body; 0 when nobody listens."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as exc:
            with exc:
                return exc.code, exc.read()
        except OSError:
            return 0, b""

    def classify(self, paths: list[str], **more: Any) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Status, content and headers of /v1/classify."""
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=60)
        try:
            body = json.dumps({"paths": paths, **more}).encode()
            connection.request("POST", "/v1/classify", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read()), dict(answer.headers)
        finally:
            connection.close()

    def stop(self) -> None:
        """Close its pipe, as a parent that goes does."""
        assert self.process.stdin is not None
        self.process.stdin.close()


@contextmanager
def serving(state: Path, digits: list[str], **more: Any) -> Iterator[Server]:
    """A ready server, gone at the end."""
    server = Server(state, Path(digits[0]).parent.parent, **more)
    try:
        yield server
    finally:
        server.stop()
        server.process.kill()
        server.process.wait()


# ---- stopping ----------------------------------------------------------------------------------------------------


def terminate(server: Server) -> None:
    """SIGTERM."""
    server.process.send_signal(signal.SIGTERM)


@pytest.mark.parametrize("stop", [
    pytest.param(terminate, marks=pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")),
    Server.stop])
def test_a_stopping_server_answers_what_is_under_way(tmp_path: Path, digits: list[str],
                                                     stop: Callable[[Server], None]) -> None:
    """The whole column is answered, a new one gets 503 with Retry-After, and the process ends with 0."""
    with serving(tmp_path, digits) as server, concurrent.futures.ThreadPoolExecutor(1) as pool:
        column = pool.submit(server.classify, digits)
        wait_for_misses(server)
        stop(server)
        status = 200
        while status == 200:
            status, content, headers = server.classify(digits[:1], deadline_s=0)
        assert (status, content["error"]["code"], headers["Retry-After"]) == (503, "stopping", "2")
        assert server.get("/readyz")[0] == 503
        status, content, _ = column.result()
        assert (status, set(content["columns"]["status"])) == (200, {"ok"})
        assert server.process.wait(20) == 0


def test_stopping_takes_no_longer_than_it_may(tmp_path: Path, digits: list[str]) -> None:
    """After --drain-s the rest is pending, and what was answered is stored for the next start."""
    with serving(tmp_path, digits, drain_s=0.2) as server, concurrent.futures.ThreadPoolExecutor(1) as pool:
        column = pool.submit(server.classify, digits)
        wait_for_misses(server)
        server.stop()
        status, content, _ = column.result()
        assert server.process.wait(20) == 0
    answered = content["columns"]["status"].count("ok")
    assert (status, set(content["columns"]["status"])) == (200, {"ok", "pending"})
    with serving(tmp_path, digits) as server:
        done = [path for path, row in zip(digits, content["columns"]["status"], strict=True) if row == "ok"]
        _, again, _ = server.classify(done, fields=["cached"])
        assert again["columns"]["cached"] == [True] * answered


def wait_for_misses(server: Server) -> None:
    """Wait until the model is at work."""
    while b"pixfield_inferences_total{" not in server.get("/metrics")[1]:
        time.sleep(0.01)


def test_a_stopping_supervisor_lets_tableau_s_column_through(tmp_path: Path, digits: list[str]) -> None:
    """TabPy waits for its answer and the server for TabPy's; then both are gone."""
    slow = {"engine_threads": 1, "decode_threads": 1, "batch_size": 1}
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with started(tmp_path, images=(Path(digits[0]).parent.parent,), **slow) as stack:
            processes = [psutil.Process(stack.supervisor.child(name).pid) for name in ("server", "TabPy")]
            column = pool.submit(ask, stack.settings.tabpy_port, body_of("image_label", list(digits)))
            until = time.monotonic() + 20
            while b"pixfield_inferences_total{" not in urllib.request.urlopen(f"{stack.server}/metrics").read():
                assert time.monotonic() < until
        answer = column.result()
    assert (len(answer), answer.count(None)) == (len(digits), 0)
    assert [process.is_running() for process in processes] == [False, False]


# ---- many at once ------------------------------------------------------------------------------------------------


def test_one_row_does_not_wait_behind_a_hundred_thousand(tmp_path: Path, digits: list[str]) -> None:
    """New single rows are answered while a column of 100,000 rows works, long before it is done."""
    column = [f"{'./' * number}{Path(*Path(path).parts[-2:])}" for number in range(40) for path in digits[:2500]]
    with serving(tmp_path, digits) as server, concurrent.futures.ThreadPoolExecutor(1) as pool:
        long = pool.submit(server.classify, column, deadline_s=15)
        wait_for_misses(server)
        times = []
        for path in digits[2500:2520]:
            started = time.monotonic()
            _, content, _ = server.classify([path])
            times.append(time.monotonic() - started)
            assert content["columns"]["status"] == ["ok"]
        assert not long.done()
        status, content, _ = long.result()
    assert (len(column), status, len(content["columns"]["status"])) == (100_000, 200, 100_000)
    assert max(times) < 3.0


def test_a_busy_server_refuses_at_once_and_stays_alive(tmp_path: Path, digits: list[str]) -> None:
    """With every place taken a request gets 503 and Retry-After at once; health answers; nothing is without answer."""
    count = PLACES + 24
    columns = [digits[6 * number:6 * number + 200] for number in range(count)]
    with serving(tmp_path, digits) as server, concurrent.futures.ThreadPoolExecutor(count) as pool:
        waiting = [pool.submit(server.classify, column, deadline_s=10) for column in columns]
        wait_for_misses(server)
        done, _ = concurrent.futures.wait(waiting, timeout=30, return_when=concurrent.futures.FIRST_COMPLETED)
        started = time.monotonic()
        assert server.get("/healthz")[0] == 200
        assert time.monotonic() - started < 2.0
        answers = [future.result() for future in waiting]
    assert done
    assert {status for status, *_ in answers} <= {200, 503}
    refused = [headers for status, _, headers in answers if status == 503]
    assert refused
    assert all(headers["Retry-After"].isdigit() for headers in refused)


def test_failing_requests_leave_nothing_behind(tmp_path: Path, digits: list[str]) -> None:
    """Descriptors and threads are as many after 600 requests that fail as after the first ones."""
    broken = Path(digits[0]).parent.parent / "broken.png"
    requests: list[tuple[list[Any], dict[str, Any]]] = [
        (["missing.png", "../up.png", None], {}), ([str(broken)], {}), (["a.png"], {"model": "nothing"}),
        ([1, 2], {"fields": ["nothing"]}), (digits[:1], {"deadline_s": -1}), (digits[:1], {"arguments": 7})]
    with serving(tmp_path, digits) as server:
        process = psutil.Process(server.process.pid)
        counts = []
        for number in range(100):
            broken.write_bytes(b"no picture %d" % number)
            for paths, more in requests:
                assert server.classify(paths, **more)[0] in (200, 400, 404, 422)
            if number in (9, 99):
                counts.append((process.num_threads(), len(process.open_files()), len(process.net_connections())))
        broken.unlink()
    first, last = counts
    assert [after <= before + 3 for before, after in zip(first, last, strict=True)] == [True] * 3


# ---- models ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_half_copied_version_does_not_stop_the_one_before(tmp_path: Path, digits: list[str], damage: str) -> None:
    """While a newer version is being copied the older one answers, and the half one says what is wrong with it."""
    store = tmp_path / "models"
    shutil.copytree(MODELS / "digits", store / "digits")
    with serving(tmp_path / "state", digits, store=store) as server:
        shutil.copytree(MODELS / "digits" / "1", store / "digits" / "2")
        spec = store / "digits" / "2" / "model.json"
        spec.write_text(spec.read_text(encoding="utf-8").replace('"version": "1"', '"version": "2"'), encoding="utf-8")
        model = store / "digits" / "2" / "model.onnx"
        if damage == "missing":
            model.unlink()
        else:
            model.write_bytes(model.read_bytes()[:-100])
        time.sleep(1.1)  # a reference is looked at again after a second
        status, content, _ = server.classify(digits[:3])
        assert (status, content.get("version"), content.get("columns", {}).get("status")) == (200, "1", ["ok"] * 3)
        status, content, _ = server.classify(digits[:3], model="digits@2")
        assert status in (404, 503)
        assert "model.onnx" in content["error"]["message"]
