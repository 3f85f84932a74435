"""Over real HTTP, where it matters: content types, file names, limits, and threads that stay free."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from http_server import Address, listening

from models.registry import ModelVersion
from server.app import PLACES
from server.engine import OnnxEngine
from server.listening import BoundedChannel
from server.service import Service
from server.settings import Settings

if TYPE_CHECKING:
    from server_fixtures import Pictures, WatchedEngine

pytest_plugins = ("server_fixtures",)

WaitUntil = Callable[[Callable[[], object]], None]


Listen = Callable[..., Address]


@pytest.fixture
def listen(settings: Settings, watched: WatchedEngine) -> Iterator[Listen]:
    """Starts servers with the watched engine."""
    with ExitStack() as stack:

        def start(**changes: Any) -> Address:
            wanted = replace(settings, port=0, **changes)
            service = stack.enter_context(closing(Service(wanted, open_engine=lambda *_: watched)))
            return stack.enter_context(listening(service))

        yield start
        watched.gate.set()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, version: ModelVersion, engine: OnnxEngine) -> Iterator[Address]:
    """One server for all tests that leave it as it was."""
    folder = tmp_path_factory.mktemp("address")
    settings = Settings(images=(folder,), state=folder, port=0, engine="onnx", store=version.folder.parents[1],
                        model="digits", cache_mb=1, max_body_mb=4)
    with closing(Service(settings, open_engine=lambda *_: engine)) as service, listening(service) as one:
        yield one


def test_a_column_is_answered(listen: Listen, pictures: Pictures) -> None:
    """From bytes to bytes."""
    pictures.write("日本 語.png", 0)
    answer = listen().classify(["日本 語.png", "absent.png"], fields=["status"])
    assert answer["columns"] == {"status": ["ok", "file not found"]}


def test_an_answer_leaves_in_one_piece(address: Address) -> None:
    """Headers and body together, so that a caller wakes up once; the next answer on the connection too."""
    with socket.create_connection(("127.0.0.1", address.port), timeout=30) as connection:
        pieces = []
        for _ in range(20):
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            pieces.append(connection.recv(65_536))
    assert [(piece[:15], piece[-15:]) for piece in pieces] == [(b"HTTP/1.1 200 OK", b'{"status":"ok"}')] * 20


def test_the_listening_thread_leaves_an_answer_to_the_thread_that_has_it(
        address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    """It never looks after a connection whose answer fits the socket: going round for it took a third of a request."""
    rounds: list[object] = []
    monkeypatch.setattr(BoundedChannel, "handle_write", rounds.append)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: address.ask("GET", "/healthz"), range(400)))
    assert (answers, rounds) == ([(200, {"status": "ok"})] * 400, [])


def test_a_long_answer_reaches_a_slow_reader_whole(address: Address) -> None:
    """What the socket does not take at once follows, while others are answered."""
    body = json.dumps({"paths": ["a"] * 100_000}).encode()
    with socket.create_connection(("127.0.0.1", address.port), timeout=30) as connection:
        connection.sendall(b"POST /query/image_status HTTP/1.0\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
                           % len(data := b'{"data": %s}' % body) + data)
        first = connection.recv(1000)
        assert address.ask("GET", "/healthz")[0] == 200
        rest = b"".join(iter(lambda: connection.recv(65_536), b""))
    head, _, content = (first + rest).partition(b"\r\n\r\n")
    assert (head[:15], json.loads(content)["response"]) == (b"HTTP/1.0 200 OK", ["file not found"] * 100_000)


def test_json_sent_as_a_form_is_answered(address: Address) -> None:
    """As Tableau 2020.1 sends it."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = address.ask("POST", "/query/image_status", b'{"data": {"paths": [null]}}', headers)
    assert answer == (200, {"response": ["no path given"], "model": "digits", "version": "1"})


def test_a_long_column_is_answered(address: Address) -> None:
    """Several megabytes."""
    answer = address.classify([f"a rather long folder name/{'x' * 100}/{number}.png" for number in range(20_000)])
    assert (answer["count"], set(answer["columns"]["status"])) == (20_000, {"file not found"})


@pytest.mark.parametrize("disposition", ['filename="写真 ①.png"', "filename=plain.png",
                                         "filename*=UTF-8''%E5%86%99%E7%9C%9F.png", r'filename="C:\\pictures\\a.png"'])
def test_uploads_of_any_name_are_answered(address: Address, pictures: Pictures, disposition: str) -> None:
    """As curl, browsers and old programs write them."""
    head = f'--edge\r\nContent-Disposition: form-data; name="files"; {disposition}\r\n\r\n'
    body = head.encode() + pictures.draw(0) + b"\r\n--edge--\r\n"
    _, answer = address.ask("POST", "/v1/classify", body, {"Content-Type": "multipart/form-data; boundary=edge"})
    assert (answer["count"], answer["columns"]["status"]) == (1, ["ok"])


@pytest.mark.parametrize("body", [b"", b"no form", b"--edge\r\n\r\n", b"--edge\r\nContent-Disposition: form-data"])
def test_a_broken_form_is_refused(address: Address, body: bytes) -> None:
    """400, and no traceback."""
    headers = {"Content-Type": "multipart/form-data; boundary=edge"}
    assert address.ask("POST", "/v1/classify", body, headers)[0] == 400


def test_a_body_above_the_limit_is_refused_before_it_is_read(address: Address) -> None:
    """413 by its length alone."""
    assert address.ask("POST", "/v1/classify", headers={"Content-Length": "50000000"})[0] == 413


@pytest.mark.parametrize("request_line", ["GET /healthz", "POST /query/%2e%2e", "GET /%00", "GET /v1/models/%ff",
                                          "GET /v1/models/..%2f..%2fetc", "GET //healthz", "BREW /healthz"])
def test_odd_requests_are_answered_with_a_status(address: Address, request_line: str) -> None:
    """None is a fault of ours."""
    method, url = request_line.split()
    assert address.ask(method, url)[0] in (200, 308, 400, 404, 405)


def test_health_answers_while_every_place_is_taken(listen: Listen, pictures: Pictures, watched: WatchedEngine,
                                                   wait_until: WaitUntil) -> None:
    """All who may wait do, for a model that does not answer; metrics and models are free too."""
    names = [pictures.write(f"{number}.png", number).name for number in range(PLACES)]
    address = listen()
    model = address.service.model(None)
    watched.gate.clear()
    with ThreadPoolExecutor(PLACES) as pool:
        answers = [pool.submit(address.classify, [name]) for name in names]
        wait_until(lambda: len(model.in_flight) == PLACES)
        statuses = [address.ask("GET", url)[0] for url in ("/healthz", "/metrics", "/v1/models") for _ in range(5)]
        refused = address.ask("POST", "/v1/classify", b'{"paths": []}')[0]
        watched.gate.set()
        pending = [answer.result()["pending"] for answer in answers]
    assert (statuses, refused, pending) == ([200] * 15, 503, [0] * PLACES)


def test_many_callers_get_their_own_answers(listen: Listen, pictures: Pictures, watched: WatchedEngine) -> None:
    """Eight at once over the same pictures in other orders; each picture is inferred once."""
    names = [pictures.write(f"{number}.png", number).name for number in range(12)]
    address = listen()
    with ThreadPoolExecutor(8) as pool:
        columns = list(pool.map(lambda turn: address.classify(names[turn:] + names[:turn], fields=["id", "label"]),
                                range(8)))
    turned = [[*zip(*answer["columns"].values(), strict=True)] for answer in columns]
    back = [rows[12 - turn:] + rows[:12 - turn] for turn, rows in enumerate(turned)]
    assert ([rows == back[0] for rows in back], watched.inferences) == ([True] * 8, 12)
