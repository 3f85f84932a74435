"""Requests to the server: JSON in, JSON out, one connection a thread that is kept between requests.

The standard library's client, because it knows nothing of proxies: the server is always asked directly. A server that
is full (503, Retry-After) or away for a moment is asked again.
"""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import orjson

from workbooks.enrich.errors import ServerAwayError

_AWAY_S = 60.0  # a server that `serve` watches is back within 30
_AGAIN_S = 0.5
_LONGEST_WAIT_S = 60


@dataclass(slots=True)
class ServerHttp:
    """A server's address and token; safe for many threads; a context manager that closes what they opened.

    Args:
        url: such as http://127.0.0.1:9005.
        token_file: its first line is the bearer token; read at every new connection.
        check: called before each attempt; raises when asking again is in vain.
    """

    url: str
    token_file: Path | None = None
    check: Callable[[], None] = lambda: None
    sleep: Callable[[float], None] = time.sleep
    _local: threading.local = field(default_factory=threading.local)
    _open: list[http.client.HTTPConnection] = field(default_factory=list)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
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
        connection = self._connection(timeout_s)
        try:
            headers = {"Content-Type": "application/json"} | self._authorization()
            body = None if value is None else _encoded(value)
            connection.request(method, urlsplit(self.url).path.rstrip("/") + path, body, headers)
            response = connection.getresponse()
            data = response.read()
        except BaseException:
            self._local.connection = None
            self._open.remove(connection)
            connection.close()
            raise
        wait = response.headers.get("Retry-After", "")
        return response.status, _parsed(data), int(wait) if wait.isdigit() else 0

    def post(self, path: str, value: object, *, timeout_s: float) -> Any:
        """The answer to a POST, however often it has to be asked.

        Raises:
            ServerAwayError: it is refused, or the server stays away for a minute.
        """
        away_since: float | None = None
        while True:
            self.check()
            try:
                status, answer, wait_s = self.once("POST", path, value, timeout_s=timeout_s)
            except (OSError, http.client.HTTPException) as exc:
                away_since = away_since or time.monotonic()
                if time.monotonic() - away_since > _AWAY_S:
                    raise ServerAwayError(f"The server at {self.url} does not answer any more ({exc}): start it, and"
                                          " the same command goes on.") from exc
                self.sleep(_AGAIN_S)
                continue
            if status == 503:
                away_since = None
                self.sleep(min(max(wait_s, 1), _LONGEST_WAIT_S))
            elif status == 200:
                return answer
            else:
                raise ServerAwayError(f"The server at {self.url} refuses ({status}): {reason(answer)}")

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        kept: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if kept is None:
            parts = urlsplit(self.url)
            host = parts.hostname or ""
            kept = http.client.HTTPConnection(host, parts.port) if parts.scheme == "http" else \
                http.client.HTTPSConnection(host, parts.port, context=ssl.create_default_context())
            self._local.connection = kept
            self._open.append(kept)
        kept.timeout = timeout_s
        if kept.sock is not None:
            kept.sock.settimeout(timeout_s)
        return kept

    def _authorization(self) -> dict[str, str]:
        if self.token_file is None:
            return {}
        try:
            lines = self.token_file.read_text(encoding="utf-8").splitlines()
        except OSError as exc:
            raise ServerAwayError(f"--token-file {self.token_file} cannot be read ({exc.strerror}).") from exc
        return {"Authorization": f"Bearer {(lines or [''])[0].strip()}"}


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
