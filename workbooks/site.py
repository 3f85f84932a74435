"""One JSON request over HTTP to TabPy or to a Pixfield server, directly: proxies of the environment are not used.

The standard library's client, because the workbooks know nothing of the server's code. What asks thousands of times
keeps its connections: `enrich.server_http`.
"""

from __future__ import annotations

import http.client
import json
import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

MAX_ANSWER = 500_000_000


class AwayError(OSError):
    """Nothing answers at an address."""


def is_address(url: str) -> bool:
    """Whether it can be asked over HTTP: it has a host and a port that there are, and a path in plain letters."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        host.encode("idna")
        is_place = bool(host) and parts.port != 0
    except ValueError:  # [ without ], a port that is no number or too large, a name with an empty part
        return False
    return parts.scheme in ("http", "https") and is_place and url == url.strip() \
        and re.fullmatch("[!-~]*", parts.path) is not None


def is_sendable(token: str) -> bool:
    """A header can carry it."""
    return token.isprintable() and all(ord(letter) < 256 for letter in token)


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and the body's value: parsed JSON, or the text where it is none."""

    status: int
    value: Any

    def reason(self) -> str:
        """What went wrong, in the words of TabPy or of the server, shortened."""
        if not isinstance(self.value, dict):
            return " ".join(str(self.value).split())[:200]
        error = self.value.get("error")
        own = [self.value.get("message"), self.value.get("info")]
        parts = [error.get("message")] if isinstance(error, dict) else own
        return " ".join(". ".join(str(part).rstrip(".") for part in parts if part).split())[:300]


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the password elsewhere: it is an answer like any other."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Never."""


@dataclass(frozen=True, slots=True)
class Site:
    """A server's base address and the Authorization header it wants, if any."""

    url: str
    authorization: str = ""

    def ask(self, *path: str, value: object = None, timeout_s: float = 30.0) -> Answer:
        """GET, or POST with a value; `path` in its parts, unescaped. Raises AwayError when nothing answers."""
        body = None if value is None else json.dumps(value, allow_nan=False).encode("ascii")
        where = "".join(f"/{quote(part, safe='')}" for part in path)
        headers = {"Content-Type": "application/json"}
        if self.authorization:
            headers["Authorization"] = self.authorization
        request = urllib.request.Request(self.url.rstrip("/") + where, body, headers)  # noqa: S310 - checked
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())
        try:
            with opener.open(request, timeout=timeout_s) as response:
                return Answer(response.status, _parsed(response.read(MAX_ANSWER)))
        except urllib.error.HTTPError as exc:
            with exc:
                return Answer(exc.code, _parsed(exc.read(1_000_000)))
        except TimeoutError as exc:
            raise AwayError(f"{self.url} did not answer within {timeout_s:.0f} s") from exc
        except (OSError, http.client.HTTPException) as exc:
            why = getattr(exc, "reason", None) or exc
            raise AwayError(f"nothing answers at {self.url} ({why})") from exc


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")
