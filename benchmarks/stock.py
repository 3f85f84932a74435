"""The yardstick: stock TabPy, started by its own command with its own settings, and what people deploy on it."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_TIMEOUT_S = 60


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def stock_tabpy(functions: dict[str, Callable[..., Any]]) -> Iterator[int]:
    """Stock TabPy with `functions` deployed by its own client; yields its port."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "tabpy.conf"
        # the section names TabPy's documentation gives; everything else stays at its default
        config.write_text(f"[TabPy]\nTABPY_PORT = {port}\nTABPY_STATE_PATH = {folder}\n"
                          f"TABPY_QUERY_OBJECT_PATH = {folder}/query_objects\n", encoding="utf-8")
        command = [sys.executable, "-m", "tabpy.tabpy", "--config", str(config), "--disable-auth-warning"]
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(f"http://127.0.0.1:{port}/info")
            _deploy(port, functions)
            yield port
        finally:
            process.kill()
            process.wait()


def wait_for(url: str) -> None:
    """Wait until `url` answers."""
    until = time.monotonic() + _TIMEOUT_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def _deploy(port: int, functions: dict[str, Callable[..., Any]]) -> None:
    import cloudpickle
    from tabpy.tabpy_tools.client import Client

    for function in functions.values():  # TabPy cannot import our modules; people's functions stand in notebooks
        cloudpickle.register_pickle_by_value(sys.modules[function.__module__])
    client = Client(f"http://127.0.0.1:{port}/")
    for name, function in functions.items():
        client.deploy(name, function, "benchmark", override=True)


def identity(column: list[Any]) -> list[Any]:
    """What TabPy itself costs: the column comes back as it went."""
    return column
