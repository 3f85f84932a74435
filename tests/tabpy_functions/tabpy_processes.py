"""Real TabPy processes: ours by its launcher, the stock one by its own command."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parents[2]
DIRTY = {"http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "ODD": "100%", "ALL_PROXY": "http://x"}
START_S = 30


@dataclass(frozen=True, slots=True)
class TabPy:
    """A running TabPy and the ways to ask it."""

    url: str
    process: subprocess.Popen[str]
    ready: dict[str, Any]

    def evaluate(self, script: str, *columns: Any, **options: Any) -> requests.Response:
        """A SCRIPT_* calculation, as Tableau sends it."""
        data = {f"_arg{i}": column for i, column in enumerate(columns, start=1)}
        return requests.post(f"{self.url}/evaluate", json={"data": data, "script": script}, timeout=60, **options)

    def query(self, function: str, data: Any, **options: Any) -> requests.Response:
        """A MODEL_EXTENSION_* calculation, as Tableau sends it."""
        return requests.post(f"{self.url}/query/{function}", json={"data": data}, timeout=60, **options)


def free_port() -> int:
    """A port nobody has at this moment."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def stopped(process: subprocess.Popen[str]) -> int:
    """Asks a process to stop and waits for it."""
    process.terminate()
    code = process.wait(10)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            pipe.close()
    return code


def launcher(*arguments: str, env: Mapping[str, str] | None = None, **options: Any) -> subprocess.Popen[str]:
    """The launcher in a process of its own, its environment as bad as it gets."""
    command = [sys.executable, "-m", "tabpy_functions.launcher", "--port", "0", *arguments]
    surroundings = {**os.environ, **DIRTY, "PYTHONPATH": str(ROOT), **(env or {})}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=surroundings, **options)


@contextmanager
def launched_tabpy(*arguments: str, **options: Any) -> Iterator[TabPy]:
    """A TabPy of ours, ready."""
    process = launcher(*arguments, **options)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"the launcher ended with {process.wait(10)}"
        ready = json.loads(line)
        yield TabPy(f"http://127.0.0.1:{ready['port']}", process, ready)
    finally:
        stopped(process)


@contextmanager
def stock_tabpy(folder: Path, settings: Mapping[str, str], env: Mapping[str, str]) -> Iterator[TabPy]:
    """A stock TabPy, started by its own command, as somebody else's machine has it."""
    port = free_port()
    values = {"TABPY_PORT": port, "TABPY_STATE_PATH": folder, "TABPY_QUERY_OBJECT_PATH": folder, **settings}
    config = folder / "stock.conf"
    config.write_text("[TabPy]\n" + "".join(f"{name} = {value}\n" for name, value in values.items()))
    clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower() and "%" not in value}
    command = [str(Path(sys.executable).with_name("tabpy")), "--config", str(config), "--disable-auth-warning"]
    with (folder / "stock.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env={**clean, **env}, stdout=log, stderr=log, text=True)
    try:
        wait_for(f"http://127.0.0.1:{port}/info")
        yield TabPy(f"http://127.0.0.1:{port}", process, {})
    finally:
        stopped(process)


def wait_for(url: str) -> None:
    """Returns when something answers there."""
    end = time.monotonic() + START_S
    while True:
        try:
            requests.get(url, timeout=5)
        except requests.ConnectionError:
            assert time.monotonic() < end, f"nothing answers at {url}"
            time.sleep(0.05)
        else:
            return
