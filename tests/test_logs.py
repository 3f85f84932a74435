"""The log as an administrator reads it: files that are put aside, JSON lines, and nothing secret in them."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from stack import free_ports

from server import logs
from server.errors import SettingsError
from server.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
TOKEN = "secret-token-1234567"  # noqa: S105 - the test looks for it
PICTURE = "confidential-customer-name.png"


@contextlib.contextmanager
def set_up(settings: Settings) -> Iterator[None]:
    """The root logger as `settings` say, and as it was afterwards."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    root.handlers.clear()
    try:
        logs.set_up(settings, process="test")
        yield
    finally:
        for handler in root.handlers:
            handler.close()
        root.handlers[:] = before
        root.setLevel(level)
        logging.captureWarnings(capture=False)


def test_full_files_are_put_aside_and_the_oldest_go(tmp_path: Path) -> None:
    """As many as --log-files, none above --log-max-mb."""
    settings = Settings(log_file=tmp_path / "log.txt", log_max_mb=0.001, log_files=2)
    with set_up(settings):
        for number in range(200):
            logging.getLogger("x").info("line %d", number)
    files = sorted(tmp_path.iterdir())
    assert [path.name for path in files] == ["log.txt", "log.txt.1", "log.txt.2"]
    assert max(path.stat().st_size for path in files) <= 1000
    assert "line 199" in files[0].read_text()


def test_json_is_one_object_a_line_whatever_is_said(tmp_path: Path) -> None:
    """Line breaks and tracebacks stay inside, and a child's own text is wrapped, its JSON passed on."""
    settings = Settings(log_file=tmp_path / "log.json", log_format="json")
    with set_up(settings):
        take = logs.relay(settings)
        assert take is not None
        try:
            raise ValueError("odd")
        except ValueError:
            logging.getLogger("x").exception("two\nlines")
        take("TabPy", "plain text")
        take("server", '{"message": "own"}')
    lines = [json.loads(line) for line in (tmp_path / "log.json").read_text().splitlines()]
    assert [line["message"] for line in lines] == ["two\nlines", "plain text", "own"]
    assert (lines[0]["process"], lines[0]["level"], lines[1]["process"]) == ("test", "ERROR", "TabPy")
    assert "ValueError: odd" in lines[0]["traceback"]


def test_a_log_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    """The flag and the file are named."""
    with pytest.raises(SettingsError) as caught, set_up(Settings(log_file=tmp_path / "none" / "log")):
        pass
    assert str(caught.value).startswith(f"--log-file {tmp_path / 'none' / 'log'} cannot be written")


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGTERM")
def test_one_file_has_all_processes_and_no_secrets(tmp_path: Path) -> None:
    """Server, TabPy and supervisor in one file; neither token nor picture path after requests of every kind."""
    port, tabpy_port = free_ports()
    token, log = tmp_path / "token", tmp_path / "pixfield.log"
    token.write_text(TOKEN)
    (tmp_path / PICTURE).write_bytes(b"no picture")
    command = [sys.executable, "-m", "server.supervisor", f"--port={port}", f"--tabpy-port={tabpy_port}",
               "--model=digits", f"--images={tmp_path}", f"--state={tmp_path / 'state'}", f"--token-file={token}",
               f"--log-file={log}", "--log-format=json", "--verbose"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Ctrl-C"):
            break
    server, tabpy = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{tabpy_port}"
    column = json.dumps({"data": {"paths": [PICTURE, str(tmp_path / PICTURE)]}}).encode()
    assert _ask(f"{server}/query/image_label", column, TOKEN) == 200
    assert _ask(f"{server}/query/image_label", column, TOKEN + "x") == 401
    assert _ask(f"{server}/query/{PICTURE}", column, "") == 401
    assert _ask(f"{server}/query/image_label", b"{" + column, TOKEN) == 400
    assert _ask(f"{tabpy}/query/image_status", column, "") == 200
    script = {"script": "raise ValueError(len(_arg1))", "data": {"_arg1": [PICTURE]}}
    assert _ask(f"{tabpy}/evaluate", json.dumps(script).encode(), "") == 500
    os.kill(process.pid, signal.SIGTERM)
    said = process.communicate(timeout=30)[1]
    text = log.read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert said == ""
    assert {"server", "supervisor"} <= {line["process"] for line in lines}
    assert any("rows=2" in line["message"] for line in lines)
    assert TOKEN not in text
    assert PICTURE not in text


def _ask(url: str, body: bytes, token: str) -> int:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"} if token else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code
