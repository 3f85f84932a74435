"""A server of our own for as long as a workbook is built: `run.py demo` as a child process.

It writes the held-out digits as files and classifies them; other pictures come in by `--images`.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbooks.authoring.errors import AuthoringError
from workbooks.gathering.client import Client

_START_S, _STOP_S = 180.0, 40.0
if sys.platform == "win32":
    _OWN_GROUP, _INTERRUPT = subprocess.CREATE_NEW_PROCESS_GROUP, signal.CTRL_BREAK_EVENT
else:
    _OWN_GROUP, _INTERRUPT = 0, signal.SIGINT
DIGITS_TABLE = Path("demo") / "digits.csv"
"""Where the demo's table of pictures and their true labels lies in the state folder."""


@dataclass(frozen=True, slots=True)
class Demo:
    """The server, and the address of the TabPy beside it."""

    client: Client
    tabpy: str


@contextlib.contextmanager
def demo_server(state: Path, images: Sequence[Path], public_url: str, store: Path) -> Iterator[Demo]:
    """The demo on free ports until the block ends; picture addresses begin with `public_url`.

    Raises:
        AuthoringError: it does not come up; the text has the last it said.
    """
    port, tabpy_port = _free_ports()
    command = [sys.executable, "-m", "server.demo", "--state", str(state), "--port", str(port), "--tabpy-port",
               str(tabpy_port), "--public-url", public_url,
               *(part for folder in images for part in ("--images", str(folder))),
               "--store", str(store)]
    client = Client(f"http://127.0.0.1:{port}")
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, creationflags=_OWN_GROUP)
        try:
            if not _is_up(child, client):
                log.seek(0)
                raise AuthoringError(f"No server could be started: {_last_line(log.read())} A running one is asked"
                                     " with --server URL.")
            yield Demo(client, f"http://127.0.0.1:{tabpy_port}")
        finally:
            _stop(child)


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1]), int(two.getsockname()[1])


def _is_up(child: subprocess.Popen[bytes], client: Client) -> bool:
    """It answers before it ends; the pictures are written before it starts."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + _START_S
    while child.poll() is None and time.monotonic() < until:
        try:
            with opener.open(client.url + "/readyz", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    return False


def _last_line(log: bytes) -> str:
    lines = [line for line in log.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing."


def _stop(child: subprocess.Popen[bytes]) -> None:
    """As Ctrl-C does, so that it takes its children with it."""
    if child.poll() is None:
        child.send_signal(_INTERRUPT)
    try:
        child.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
