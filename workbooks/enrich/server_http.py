"""Requests to the server: JSON in, JSON out, one connection a thread that is kept between requests.

The standard library's client, because it knows nothing of proxies: the server is always asked directly. A server that
is full (503, Retry-After) or away for a moment is asked again.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import orjson

from workbooks.enrich.errors import ServerAwayError, StalledError
from workbooks.site import is_address

_AWAY_S = 60.0  # a server that `serve` watches is back within 30
_AGAIN_S = 0.5
_LONGEST_WAIT_S = 60
_CONNECT_S = 10.0


@dataclass(slots=True)
class ServerHttp:
    """A server's address and token; safe for many threads; a context manager that closes what they opened.

    Args:
        url: such as http://127.0.0.1:9005.
        token_file: its first line is the bearer token; read at every new connection.
        check: called before each attempt; raises when asking again is in vain.
        sleep: waits for some seconds, or less where the event is set meanwhile.
    """

    url: str
    token_file: Path | None = None
    check: Callable[[], None] = lambda: None
    sleep: Callable[[threading.Event, float], object] = threading.Event.wait
    clock: Callable[[], float] = time.monotonic
    _local: threading.local = field(default_factory=threading.local)
    _open: list[http.client.HTTPConnection] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not is_address(self.url):
            raise ServerAwayError(f"--server {self.url}: write an address such as http://127.0.0.1:9005.")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._open:
            self._open.pop().close()

    def once(self, method: str, path: str, value: object = None, *, timeout_s: float = 30.0) -> tuple[int, Any, int]:
        """One request: the status, the body's value, and the seconds of Retry-After (0 without one).

        Raises:
            OSError, http.client.HTTPException: the server cannot be reached.
        """
        connection = self._connection()
        try:
            headers = {"Content-Type": "application/json"} | self._authorization()
            body = None if value is None else _encoded(value)
            _connect(connection, timeout_s)
            connection.request(method, urlsplit(self.url).path.rstrip("/") + path, body, headers)
            response = connection.getresponse()
            data = response.read()
        except BaseException:
            self._local.connection = None
            self._open.remove(connection)
            connection.close()
            raise
        wait = response.headers.get("Retry-After", "")
        return response.status, _parsed(data), int(wait) if re.fullmatch("[0-9]{1,6}", wait) else 0

    def post(self, path: str, value: object, *, timeout_s: float, stopped: threading.Event,
             full: Callable[[str], None]) -> Any:
        """The answer to a POST, however often it has to be asked.

        Args:
            path: of the server.
            value: what becomes the body.
            timeout_s: how long one answer may take.
            stopped: set, from any thread, when nobody wants the answer any more.
            full: told why the server is full, each time; raises when it is enough.

        Raises:
            ServerAwayError: it is refused, or the server stays away for a minute.
            StalledError: it was stopped.
        """
        away_since: float | None = None
        while not stopped.is_set():
            self.check()
            try:
                status, answer, wait_s = self.once("POST", path, value, timeout_s=timeout_s)
            except (OSError, http.client.HTTPException) as exc:
                away_since = self.clock() if away_since is None else away_since
                if self.clock() - away_since > _AWAY_S:
                    raise ServerAwayError(f"The server at {self.url} does not answer any more ({exc}): start it, and"
                                          " the same command goes on.") from exc
                self.sleep(stopped, _AGAIN_S)
                continue
            if status == 503:
                away_since = None
                full(reason(answer))
                self.sleep(stopped, min(max(wait_s, 1), _LONGEST_WAIT_S))
            elif status == 200:
                return answer
            else:
                raise ServerAwayError(f"The server at {self.url} refuses ({status}): {reason(answer)}")
        raise StalledError("Stopped; the same command goes on.")

    def interrupt(self) -> None:
        """End every request that is under way, in whichever thread; what it waits for fails at once."""
        for connection in list(self._open):
            if connection.sock is not None:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)  # below TLS, which its own thread is in

    def _connection(self) -> http.client.HTTPConnection:
        kept: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if kept is None:
            parts = urlsplit(self.url)
            host = parts.hostname or ""
            kept = http.client.HTTPConnection(host, parts.port) if parts.scheme == "http" else \
                http.client.HTTPSConnection(host, parts.port, context=ssl.create_default_context())
            self._local.connection = kept
            self._open.append(kept)
        return kept

    def _authorization(self) -> dict[str, str]:
        if self.token_file is None:
            return {}
        try:
            lines = self.token_file.read_text(encoding="ascii").splitlines()  # as the server reads it
        except OSError as exc:
            raise ServerAwayError(f"--token-file {self.token_file} cannot be read ({exc.strerror}).") from exc
        except UnicodeDecodeError as exc:
            raise ServerAwayError(f"--token-file {self.token_file} cannot be read (byte {exc.start} is not ASCII): put"
                                  " the server's token in its first line.") from exc
        token = (lines or [""])[0].strip()
        if not token.isprintable():
            raise ServerAwayError(f"--token-file {self.token_file} has a control character in its first line: put the"
                                  " server's token there.")
        return {"Authorization": f"Bearer {token}"}


def _connect(connection: http.client.HTTPConnection, timeout_s: float) -> None:
    """Be connected within seconds; then the answer may take its time."""
    if connection.sock is None:
        connection.timeout = _CONNECT_S
        connection.connect()
    if connection.sock is not None:
        connection.sock.settimeout(timeout_s)


def reason(answer: object) -> str:
    """What an error's body says, in a sentence."""
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        return " ".join(str(answer).split())[:200] or "no reason is given"
    hint = "name one with --model" if error.get("code") == "unknown_model" else error.get("hint")
    parts = [str(part or "").strip().rstrip(".") for part in (error.get("message"), hint)]
    return "; ".join(part for part in parts if part) + "."


def _encoded(value: object) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:  # a path with half of a surrogate pair
        return json.dumps(value).encode("ascii")


def _parsed(data: bytes) -> Any:
    try:
        return orjson.loads(data) if data else None
    except orjson.JSONDecodeError:
        return data.decode("utf-8", "replace")
