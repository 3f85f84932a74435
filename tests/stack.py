"""The real server and the real TabPy, started for a test as `serve` starts them."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server.settings import Settings
from server.supervisor import Supervisor


@dataclass(frozen=True, slots=True)
class Running:
    """Both at work, and where they answer."""

    supervisor: Supervisor
    settings: Settings

    @property
    def server(self) -> str:
        """The server's address."""
        return self.supervisor.url

    @property
    def tabpy(self) -> str:
        """TabPy's address."""
        return f"http://127.0.0.1:{self.settings.tabpy_port}"


@contextlib.contextmanager
def started(state: Path, **more: Any) -> Iterator[Running]:
    """Start both on free ports with the shipped digits model; their logs go to `state`."""
    port, tabpy_port = free_ports()
    settings = Settings(state=state, model="digits", port=port, tabpy_port=tabpy_port, **more)
    with Supervisor(settings, log_folder=state, say=lambda _: None) as supervisor:
        yield Running(supervisor, settings)


def free_ports() -> tuple[int, int]:
    """Two ports nobody listens on now."""
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1]), int(two.getsockname()[1])
