"""A request for one picture is answered past Flask: the same as with it, and only where it is plain."""

from __future__ import annotations

import gzip
import io
import json
import re
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import requests
from http_server import Address, listening
from PIL import Image

from models.registry import ModelVersion
from server.engine import OnnxEngine
from server.service import Service
from server.settings import Settings
from server.singles import PATH, Singles

if TYPE_CHECKING:
    from server_fixtures import Pictures, WatchedEngine

pytest_plugins = ("server_fixtures",)

TOKEN = "a token of forty letters, as one should be"  # noqa: S105 - opens nothing but these tests
PLAIN: list[dict[str, Any]] = [
    {"paths": ["0.png"]},
    {"paths": ["0.png"], "fields": ["label", "confidence", "top", "id", "thumbnail_url", "map_x", "focus_x"]},
    {"paths": ["0.png"], "fields": []},
    {"paths": ["日本 語.png"], "fields": ["status", "duplicate_group"]},
    {"paths": ["absent.png"], "fields": ["label", "status"]},
    {"paths": ["../outside.png"], "fields": ["status"]},
    {"paths": [""], "fields": ["status"]},
]
OTHERS: list[Any] = [
    [], {}, "0.png", None, {"paths": "0.png"}, {"paths": []}, {"paths": [None]}, {"paths": [1]}, {"paths": [["0.png"]]},
    {"paths": ["0.png", "1.png"]}, {"paths": ["0.png"], "fields": "label"}, {"paths": ["0.png"], "fields": [1]},
    {"paths": ["0.png"], "fields": ["colour"]}, {"paths": ["0.png"], "top_k": 2},
    {"paths": ["0.png"], "model": "digits"}, {"paths": ["0.png"], "model": "absent"},
    {"paths": ["0.png"], "deadline_s": "soon"}, {"paths": ["0.png"], "fields": ["label_at"], "arguments": {"rank": 2}},
    {"paths": ["0" * 5000]},
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, version: ModelVersion, engine: OnnxEngine) -> Iterator[Address]:
    """One server with two pictures, for all tests that leave it as it was."""
    folder = tmp_path_factory.mktemp("singles")
    for number, name in enumerate(("0.png", "日本 語.png")):
        Image.fromarray(np.full((32, 32), 50 * number, np.uint8)).save(folder / name)
    settings = Settings(images=(folder,), state=folder, port=0, engine="onnx", store=version.folder.parents[1],
                        model="digits", cache_mb=1)
    with closing(Service(settings, open_engine=lambda *_: engine)) as service, listening(service) as one:
        assert one.classify(["absent.png", ""])["count"] == 2  # the model is open now
        yield one


@pytest.fixture
def fresh(settings: Settings, watched: WatchedEngine, pictures: Pictures) -> Iterator[Address]:
    """A server with one picture, and an engine that is watched."""
    pictures.write("0.png", 0)
    with closing(Service(settings, open_engine=lambda *_: watched)) as service, listening(service) as one:
        assert one.classify(["absent.png", ""])["count"] == 2
        yield one
        watched.gate.set()


@pytest.fixture
def past_flask(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each request whether it went past Flask."""
    taken: list[bool] = []
    call = Singles.__call__

    def noting(self: Singles, request: Any) -> Any:
        reply = call(self, request)
        taken.append(reply is not None)
        return reply

    monkeypatch.setattr(Singles, "__call__", noting)
    return taken


def post(one: Address, body: Any, **headers: str) -> requests.Response:
    """The body as JSON, or as it is."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return requests.post(f"http://127.0.0.1:{one.port}/v1/classify", data=data, timeout=30,
                         headers={"Content-Type": "application/json", **headers})


def shape(answer: requests.Response) -> tuple[int, Any, list[tuple[str, str]]]:
    """All of an answer but what differs from one to the next."""
    headers = [(name, value) for name, value in answer.headers.items() if name not in ("Date", "X-Request-Id")]
    return answer.status_code, answer.json(), headers


@pytest.mark.parametrize("body", PLAIN)
def test_a_plain_request_has_flasks_answer(site: Address, past_flask: list[bool], body: dict[str, Any]) -> None:
    """Status, columns and headers, for a new picture and a known one; an id of its own."""
    answers = [post(site, body), post(site, body), post(site, body | {"deadline_s": None})]
    assert past_flask == [True, True, False]
    assert shape(answers[0]) == shape(answers[1]) == shape(answers[2])
    assert answers[0].status_code == 200
    ids = {answer.headers["X-Request-Id"] for answer in answers}
    assert len(ids) == 3
    assert all(re.fullmatch("[0-9a-f]{8}", one) for one in ids)


@pytest.mark.parametrize("body", OTHERS)
def test_flask_answers_any_other(site: Address, past_flask: list[bool], body: object) -> None:
    """Whatever it asks for, right or wrong."""
    answer = post(site, body)
    assert past_flask == [False]
    assert (answer.status_code == 200) == ("columns" in answer.json())


@pytest.mark.parametrize(("body", "headers"), [
    (b"{", {}), (b"\xff", {}), (b'{"paths": ["\\ud800"]}', {}),
    (b'{"paths": ["0.png"]}', {"Content-Type": "text/plain"}),
    (gzip.compress(b'{"paths": ["0.png"]}', mtime=0), {"Content-Encoding": "gzip"}),
    (b'{"paths": ["0.png"]}', {"Content-Encoding": "br"}),
])
def test_flask_reads_what_is_no_plain_json(site: Address, past_flask: list[bool], body: bytes, headers: dict[str, str]
                                           ) -> None:
    """And finds the whole body."""
    answer = post(site, body, **headers)
    assert past_flask == [False]
    assert answer.json()["columns"] if answer.status_code == 200 else answer.json()["error"]["code"] in (
        "not_json", "unknown_encoding")


def test_it_is_counted_and_logged_as_by_flask(site: Address, past_flask: list[bool],
                                              caplog: pytest.LogCaptureFixture) -> None:
    """Once, under the same name."""
    caplog.set_level("INFO", "server.envelope")
    counter = re.compile('pixfield_requests_total{endpoint="classify_column",status="200"} ([0-9]+)')
    before = int(counter.findall(site.ask("GET", "/metrics")[1])[0])
    post(site, {"paths": ["0.png"]})
    post(site, {"paths": ["0.png"], "model": None})
    lines = [re.sub("^[0-9a-f]{8}|ms=[0-9]+", "", record.getMessage()) for record in caplog.records]
    assert past_flask[-2:] == [True, False]
    assert lines[0].replace("misses=1", "misses=0") == lines[1]
    assert counter.findall(site.ask("GET", "/metrics")[1]) == [str(before + 2)]


def test_without_a_place_it_is_left_to_flask(site: Address) -> None:
    """Which refuses it, and says when to ask again; no place is given back that was not taken."""
    none_left = threading.BoundedSemaphore(1)
    assert none_left.acquire(blocking=False)
    plain = SimpleNamespace(path=PATH, command="POST", query="", chunked=False, content_length=20, headers={
        "CONTENT_TYPE": "application/json"}, get_body_stream=lambda: io.BytesIO(b'{"paths": ["0.png"]}'))
    assert Singles(site.service, none_left)(plain) is None
    assert not none_left.acquire(blocking=False)


def test_when_stopping_it_is_refused(fresh: Address, past_flask: list[bool]) -> None:
    """With the reason, and when to ask again."""
    fresh.service.refuse_new()
    answer = post(fresh, {"paths": ["0.png"]})
    assert (answer.status_code, answer.json()["error"]["code"], answer.headers["Retry-After"]) == (503, "stopping", "2")
    assert past_flask == [False]


def test_a_fault_is_told_and_leaves_no_place_taken(settings: Settings, watched: WatchedEngine, pictures: Pictures,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    """500 with the request's id, as often as it happens; afterwards all goes on."""
    pictures.write("0.png", 0)
    monkeypatch.setattr("server.app.PLACES", 2)
    with closing(Service(settings, open_engine=lambda *_: watched)) as service, listening(service) as one:
        with monkeypatch.context() as patch:
            patch.setattr("server.answering.classify", lambda *_, **__: 1 / 0)
            answers = [post(one, {"paths": ["0.png"]}, Connection="close") for _ in range(5)]
        assert {(answer.status_code, answer.json()["error"]["code"]) for answer in answers} == {(500, "internal")}
        assert post(one, {"paths": ["0.png"]}).status_code == 200


def test_the_doors_come_first(settings: Settings, watched: WatchedEngine, pictures: Pictures, tmp_path: Path) -> None:
    """No token, a wrong one, another site's page, another name: refused, though the body is plain."""
    pictures.write("0.png", 0)
    tokens = tmp_path / "tokens"
    tokens.write_text(TOKEN, encoding="ascii")
    with (closing(Service(replace(settings, token_file=tokens), open_engine=lambda *_: watched)) as service,
          listening(service) as one):
        right = {"Authorization": f"Bearer {TOKEN}"}
        given = [{}, {"Authorization": "Bearer other"}, right | {"Origin": "https://other.example"},
                 right | {"Host": "other.example"}]
        assert [post(one, {"paths": ["0.png"]}, **headers).status_code for headers in given] == [401, 401, 403, 421]
        assert watched.inferences == 0
        assert post(one, {"paths": ["0.png"]}, **right).json()["columns"]["status"] == ["ok"]


def test_a_deadline_is_kept(fresh: Address, watched: WatchedEngine, past_flask: list[bool]) -> None:
    """What the model does not answer in time is pending."""
    watched.gate.clear()
    object.__setattr__(fresh.service.settings, "deadline_s", 0.2)
    answer = post(fresh, {"paths": ["0.png"], "fields": ["label"]}).json()
    watched.gate.set()
    assert past_flask == [True]
    assert (answer["pending"], answer["columns"]) == (1, {"label": [None], "status": ["pending"]})


def test_a_version_is_named(site: Address, version: ModelVersion) -> None:
    """The one that answered."""
    answer = post(site, {"paths": ["0.png"]}).json()
    assert (answer["model"], answer["version"]) == (version.spec.name, version.spec.version)
