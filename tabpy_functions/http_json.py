"""One JSON request over HTTP: what goes in is a method, a URL and a value, what comes out is a status and a value.

The standard library's client, because it knows nothing of proxies: TabPy and the server are always asked directly.
"""

import base64
import http.client
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and the body's value: parsed JSON, or the text where it is none."""

    status: int
    value: Any

    def reason(self) -> str:
        """What the answer says went wrong, in the words of TabPy or of the Pixfield server."""
        if not isinstance(self.value, dict):
            return " ".join(str(self.value).split())[:300]
        error = self.value.get("error")
        parts = [error.get("message"), error.get("hint")] if isinstance(error, dict) else []
        parts = parts or [self.value.get("message"), self.value.get("info")]
        return ". ".join(str(part).rstrip(".") for part in parts if part)


@dataclass(frozen=True, slots=True)
class Site:
    """An HTTP server's base address and the Authorization header it wants, if any."""

    url: str
    authorization: str = ""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{self.url!r} is no address: write it like http://127.0.0.1:9004")

    def ask(self, method: str, path: str, value: object = None, *, timeout_s: float = 30.0) -> Answer:
        """One request on a connection of its own; raises OSError or http.client.HTTPException."""
        parts = urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=timeout_s)
        headers = {"Authorization": self.authorization} if self.authorization else {}
        body = None if value is None else json.dumps(value).encode("ascii")
        try:
            headers["Content-Type"] = "application/json"
            connection.request(method, parts.path.rstrip("/") + path, body, headers)
            response = connection.getresponse()
            return Answer(response.status, _parsed(response.read()))
        finally:
            connection.close()


def bearer(token_file: Path | None) -> str:
    """The Authorization header for the token in a file; nothing without a file."""
    return f"Bearer {_first_line(token_file)}" if token_file else ""


def basic(user: str, password_file: Path) -> str:
    """The Authorization header for a user whose password is the file's first line."""
    return "Basic " + base64.b64encode(f"{user}:{_first_line(password_file)}".encode()).decode("ascii")


def _first_line(secret_file: Path) -> str:
    return (secret_file.read_text(encoding="utf-8").splitlines() or [""])[0].strip()


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body.decode("utf-8", "replace")
