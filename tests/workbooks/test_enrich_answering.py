"""How the server is asked: again for what is pending, later where it is full, and not for ever."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from workbooks.enrich.answering import Asking
from workbooks.enrich.errors import EnrichError, ServerAwayError, StalledError
from workbooks.enrich.fields import Field, chosen
from workbooks.enrich.progress import Progress, duration
from workbooks.enrich.server_http import ServerHttp

Answer = tuple[int, dict[str, str], object]
FIELDS = [Field("label", pa.string()), Field("status", pa.string())]
FUNCTIONS = [{"name": "image_label", "returns": "string", "required": ["paths"]},
             {"name": "image_status", "returns": "string", "required": ["paths"]},
             {"name": "image_similarity", "returns": "number", "required": ["paths", "to"]},
             {"name": "image_table", "returns": "object", "required": ["paths"]}]


@contextmanager
def serving(answer: Callable[[dict[str, Any]], Answer]) -> Iterator[tuple[ServerHttp, list[float]]]:
    """A client of a server that answers as `answer` says, and the seconds that the client waited."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Nothing on the tests' standard error."""

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, headers, content = answer(body | {"token": self.headers.get("Authorization")})
            data = json.dumps(content).encode()
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(data))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    waited: list[float] = []
    try:
        with ServerHttp(f"http://127.0.0.1:{server.server_port}",
                        sleep=lambda _, seconds: waited.append(seconds)) as client:
            yield client, waited
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def columns(paths: list[str], pending: set[str]) -> Answer:
    """An answer whose labels are the paths' own, but for the pending ones."""
    status = ["pending" if path in pending else "ok" for path in paths]
    labels = [None if one == "pending" else path.upper() for path, one in zip(paths, status, strict=True)]
    return 200, {}, {"model": "m", "version": "3", "columns": {"label": labels, "status": status}}


def test_pending_rows_are_asked_again_until_there_are_none() -> None:
    """Only they; the rows stay in their order, and each is told once."""
    asked: list[list[str]] = []
    told: list[int] = []

    def answer(body: dict[str, Any]) -> Answer:
        asked.append(body["paths"])
        return columns(body["paths"], {"b", "d"} if len(asked) == 1 else {"d"} if len(asked) == 2 else set())

    with serving(answer) as (server, _):
        found = Asking(server, FIELDS, None, {}, tell=told.append).columns(["a", "b", "c", "d"])
    assert [column.to_pylist() for column in found] == [["A", "B", "C", "D"], ["ok"] * 4]
    assert (asked, told) == ([["a", "b", "c", "d"], ["b", "d"], ["d"]], [2, 1, 1])


def test_a_full_server_is_asked_when_it_says() -> None:
    """Retry-After in seconds is obeyed, one second without it."""
    answers: list[Answer] = [(503, {"Retry-After": "7"}, {}), (503, {}, {}), columns(["a"], set())]
    with serving(lambda _: answers.pop(0)) as (server, waited):
        assert Asking(server, FIELDS, None, {}).columns(["a"])[0].to_pylist() == ["A"]
    assert waited == [7, 1]


def test_rows_that_stay_pending_stop_it() -> None:
    """Not for ever; what is finished is kept, says the sentence."""
    times = iter(range(0, 10_000, 300))
    with serving(lambda body: columns(body["paths"], {"b"})) as (server, _):
        asking = Asking(server, FIELDS, None, {}, clock=lambda: next(times))
        with pytest.raises(StalledError, match=r"1 pictures stay pending, such as b: look whether .* goes on"):
            asking.columns(["a", "b"])


def test_one_version_answers_all_rows(tmp_path: Path) -> None:
    """The first request finds it out; the token goes with each."""
    bodies: list[dict[str, Any]] = []

    def answer(body: dict[str, Any]) -> Answer:
        bodies.append(body)
        return columns(body["paths"], set())

    (tmp_path / "token").write_text("first\nsecond\n")
    with serving(answer) as (server, _):
        server.token_file = tmp_path / "token"
        asking = Asking(server, FIELDS, "m@canary", {"rank": 2})
        assert asking.pin() == ("m", "3")
        asking.columns(["a"])
    assert [body["model"] for body in bodies] == ["m@canary", "m@3"]
    assert {(body["token"], str(body["arguments"])) for body in bodies} == {("Bearer first", "{'rank': 2}")}


def test_a_refusal_and_an_absence_are_said() -> None:
    """In the server's words; an absent server is tried for a minute."""
    error = {"error": {"code": "x", "message": "there is no model 'm'", "hint": "models are a, b"}}
    with serving(lambda _: (404, {}, error)) as (server, _), \
            pytest.raises(ServerAwayError, match=r"refuses \(404\): there is no model 'm'; models are a, b\."):
        Asking(server, FIELDS, "m", {}).pin()

    def checked() -> None:
        tries.append(1)
        if len(tries) == 3:
            raise ServerAwayError("it ended")

    tries: list[int] = []
    with ServerHttp("http://127.0.0.1:9", check=checked, sleep=lambda *_: None) as away, \
            pytest.raises(ServerAwayError, match="it ended"):
        Asking(away, FIELDS, None, {}).pin()
    assert len(tries) == 3


def test_batches_come_back_in_order() -> None:
    """Though several are asked at a time; an error ends it."""
    batches = [pa.record_batch({"path": [f"{number}.png"]}) for number in range(20)]
    with serving(lambda body: columns(body["paths"], set())) as (server, _):
        asking = Asking(server, FIELDS, None, {})
        found = list(asking.answered(iter(batches), lambda batch: list(batch.column(0).to_pylist())))
    assert [(batch, answers[0].to_pylist()) for batch, answers in found] == [
        (batch, [f"{number}.PNG"]) for number, batch in enumerate(batches)]


def test_fields_have_the_types_of_the_function_table() -> None:
    """With `status` at the end; a function's full name means its field."""
    found = chosen(["image_label", "top", "label", "similarity"], FUNCTIONS, {"to": "a.png"})
    assert [(field.name, str(field.type)) for field in found] == [
        ("label", "string"), ("top", "string"), ("similarity", "double"), ("status", "string")]
    assert found[1].array([[{"label": "猫"}], None]).to_pylist() == ['[{"label": "猫"}]', None]
    for names, said in ((["table"], "There is no field 'table'"), (["similarity"], "needs --to")):
        with pytest.raises(EnrichError, match=said):
            chosen(names, FUNCTIONS, {})


def test_progress_has_rate_and_time_left() -> None:
    """The rate knows nothing of what an earlier run did."""
    times = iter([0.0, 100.0, 100.0, 100.0, 100.0, 100.0])
    progress = Progress(10_000, 4000, clock=lambda: next(times))
    progress._done = 1000
    assert progress.line() == "5,000 of 10,000 rows (50 %), 10 a second, 8 min 20 s left"
    assert [duration(seconds) for seconds in (0, 59, 60, 3599, 7500)] == ["0 s", "59 s", "1 min 0 s", "59 min 59 s",
                                                                         "2 h 5 min"]
