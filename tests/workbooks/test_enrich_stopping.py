"""What ends the asking: a server that stays full, one that is gone, one that answers something else, and Ctrl-C."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pytest
from test_enrich_answering import FIELDS, columns, serving

from workbooks.enrich.answering import Asking
from workbooks.enrich.errors import ServerAwayError, StalledError
from workbooks.enrich.server_http import ServerHttp

FULL = {"error": {"code": "full", "message": "100 requests wait", "hint": ""}}
BATCHES = [pa.record_batch({"path": [f"{number}.png"]}) for number in range(20)]


def texts_of(batch: pa.RecordBatch) -> list[str | None]:
    """The paths."""
    return list(batch.column(0).to_pylist())


def test_a_server_that_stays_full_is_given_up() -> None:
    """After 15 minutes without an answer; that it is full is said soon, and once."""
    said: list[str] = []
    with serving(lambda _: (503, {"Retry-After": "60"}, FULL)) as (server, waited):
        asking = Asking(server, FIELDS, None, {}, say=said.append, clock=lambda: float(sum(waited)))
        with pytest.raises(StalledError, match=r"full for 15 minutes \(100 requests wait\): look .* it goes on\."):
            asking.columns(["a"])
    assert (sum(waited), said) == (960, ["The server is full (100 requests wait): waiting until it has room."])


def test_an_answer_to_another_batch_is_patience_for_all() -> None:
    """One that is always refused goes on being asked while others are answered."""
    answers = itertools.count()

    def answer(body: dict[str, list[str]]) -> tuple[int, dict[str, str], object]:
        return (503, {"Retry-After": "60"}, FULL) if next(answers) < 40 else columns(body["paths"], set())

    with serving(answer) as (server, waited):
        asking = Asking(server, FIELDS, None, {}, clock=lambda: float(sum(waited)))

        def tick(_: threading.Event, seconds: float) -> None:
            waited.append(seconds)
            asking._last = asking.clock()  # as a batch beside this one does

        server.sleep = tick
        assert asking.columns(["a"])[0].to_pylist() == ["A"]
    assert sum(waited) > asking.patience_s


def test_a_server_that_is_gone_is_tried_for_a_minute_only() -> None:
    """Also where more batches wait for their turn, and none of them begins a minute of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    began = time.monotonic()

    def clock() -> float:
        return (time.monotonic() - began) * 100

    def sleep(stopped: threading.Event, seconds: float) -> None:
        stopped.wait(seconds / 100)

    with ServerHttp(f"http://127.0.0.1:{port}", sleep=sleep, clock=clock) as server, \
            pytest.raises(ServerAwayError, match="does not answer any more"):
        list(Asking(server, FIELDS, None, {}).answered(iter(BATCHES), texts_of))
    assert 60 <= clock() < 110


def test_stopping_waits_for_no_answer() -> None:
    """As Ctrl-C does, in the middle of requests that nobody answers."""
    began = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        def batches() -> Iterator[pa.RecordBatch]:
            yield from BATCHES[:3]
            for _ in range(3):
                connections.enter_context(silent.accept()[0])
            raise KeyboardInterrupt

        with ExitStack() as connections, ServerHttp(f"http://127.0.0.1:{silent.getsockname()[1]}") as server, \
                pytest.raises(KeyboardInterrupt):
            list(Asking(server, FIELDS, None, {}).answered(batches(), texts_of))
    assert time.monotonic() - began < 5


def test_stopping_waits_for_no_full_server() -> None:
    """However long it asks to be left alone."""
    began, is_asked = time.monotonic(), threading.Event()

    def batches() -> Iterator[pa.RecordBatch]:
        yield BATCHES[0]
        assert is_asked.wait(5)
        raise KeyboardInterrupt

    def answer(_: object) -> tuple[int, dict[str, str], object]:
        is_asked.set()
        return 503, {"Retry-After": "60"}, FULL

    with serving(answer) as (server, _):
        server.sleep = threading.Event.wait
        with pytest.raises(KeyboardInterrupt):
            list(Asking(server, FIELDS, None, {}).answered(batches(), texts_of))
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("answer", [{}, [], "text", None, {"model": "m", "version": "1"},
                                    {"model": "m", "version": "1", "columns": {"label": ["a"]}},
                                    {"model": "m", "version": "1", "columns": {"label": ["a"], "status": []}}])
def test_another_answer_than_pixfields_is_said(answer: object) -> None:
    """With status 200, and no traceback."""
    with serving(lambda _: (200, {}, answer)) as (server, _), \
            pytest.raises(ServerAwayError, match="gives no answers of Pixfield's: name the address"):
        Asking(server, FIELDS, None, {}).columns(["a"])


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999", "http://[::1", "http://127.0.0.1:a", "http://127.0.0.1:0",
                                 "ftp://127.0.0.1", "127.0.0.1:9005", "http://", "http://a..b", "http://a/ä",
                                 "http://a/ b"])
def test_what_is_no_address_is_said(url: str) -> None:
    """Before anybody is asked."""
    with pytest.raises(ServerAwayError, match="write an address such as http://127"):
        ServerHttp(url)


@pytest.mark.parametrize(("data", "said"), [("tök".encode(), "byte 1 is not ASCII"), (b"\xff\xfet", "byte 0 is not"),
                                            (b"a\tb", "has a control character")])
def test_a_token_that_no_header_carries_is_said(tmp_path: Path, data: bytes, said: str) -> None:
    """With what is to be in the file."""
    (tmp_path / "token").write_bytes(data)
    with ServerHttp("http://127.0.0.1:9", tmp_path / "token") as server, \
            pytest.raises(ServerAwayError, match=rf"--token-file .*token.*{said}.*: put the server's token"):
        server._authorization()
