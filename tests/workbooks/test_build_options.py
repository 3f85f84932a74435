"""`workbooks build` against a server that is no Pixfield server or refuses, and with options that cannot be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from workbooks.build import main


@contextmanager
def answering(status: int, value: Any) -> Iterator[str]:
    """A server that says the same to everybody; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(value[self.path] if isinstance(value, dict) and self.path in value else value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, name="stand-in")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one sentence a build ends with."""
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


@pytest.mark.parametrize("value", [[], "x", None, {}, {"functions": 3}, {"functions": [3]}])
def test_what_is_no_pixfield_server(value: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Answers 200, and something else."""
    with answering(200, value) as url:
        assert f"What answers at {url} is no Pixfield server" in refusal(capsys, "--server", url)


def test_a_token_that_is_missing_or_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Are told apart."""
    (tmp_path / "token").write_text("wrong", encoding="utf-8")
    with answering(401, {}) as url:
        assert "wants a token" in refusal(capsys, "--server", url)
        assert "refuses the token" in refusal(capsys, "--server", url, "--token-file", str(tmp_path / "token"))


def test_pictures_for_a_model_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A slip of the pen would leave them out without a word."""
    models = [{"name": "digits", "states": {"1": {"state": "ready"}}}]
    with answering(200, {"/v1/functions": {"functions": []}, "/v1/models": {"models": models}}) as url:
        said = refusal(capsys, "--server", url, "--pictures", f"digit={tmp_path}")
    assert "has no model digit that it can open; it has digits." in said


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999", "http://[::1", "localhost:9005", "ftp://x"])
def test_a_server_s_address_that_is_none(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With what one looks like."""
    assert "is no address: write it like http://" in refusal(capsys, "--server", url)


@pytest.mark.parametrize(("token", "said"), [(b"\xff", "it is no text in UTF-8"), ("ключ".encode(), "no header can")])
def test_a_token_that_is_none(token: bytes, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Is said of its file."""
    (tmp_path / "token").write_bytes(token)
    assert said in refusal(capsys, "--server", "http://127.0.0.1:9", "--token-file", str(tmp_path / "token"))
