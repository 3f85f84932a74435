"""Requests that TabPy is not to see: those a page in a browser makes another site's.

TabPy runs any script, whatever the content type, so a page that a user of this machine looks at could send it one: to
`localhost` across origins, or under a name of its own that it lets point here. Programs, Tableau among them, send no
Origin, and address TabPy by the name they were given.
"""

import ipaddress
import json
import re
import socket
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, HTTPServerRequest, ResponseStartLine
from tornado.routing import Router

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_ANYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::[0-9]{1,5})?", re.IGNORECASE | re.ASCII)


class HostGuard(Router):  # type: ignore[misc]  # tornado is not followed
    """The door in front of an application: its own names pass, others get 421 (Host) or 403 (Origin)."""

    def __init__(self, application: Any, *, host: str | None, public_hosts: Iterable[str]) -> None:
        self._application = application
        self._takes_any_address = host in _ANYWHERE
        is_open = host is not None and host not in _LOOPBACK  # to other machines, which need a password
        self._machine = socket.gethostname().lower() if is_open else ""
        names = [*_LOOPBACK, *([host] if host else []), *public_hosts]
        self._names = frozenset(name.lower() for name in names)

    def find_handler(self, request: HTTPServerRequest, **more: Any) -> HTTPMessageDelegate | None:
        """The application's own handler, or the refusal."""
        refusal = self.refusal(request.headers, request.version)
        if refusal is not None:
            return _Refusing(request, *refusal)
        return self._application.find_handler(request, **more)

    def refusal(self, headers: Any, version: str) -> tuple[int, str, str] | None:
        """Status, reason and what to do, or nothing."""
        host, origin = headers.get("Host"), headers.get("Origin")
        if not (host is None and version == "HTTP/1.0") and not self._has(host or ""):
            return 421, "Misdirected Request", "TabPy is not called so: use --public-host and a password file"
        if origin is not None and not self._has(_netloc(origin)):
            return 403, "Forbidden", "a page of another site may not ask TabPy: name its host with --public-host"
        return None

    def _has(self, netloc: str) -> bool:
        match = _HOST.fullmatch(netloc)
        name = (match[1] or match[2].removesuffix(".")).lower() if match else ""
        is_machine = self._machine and (name == self._machine or name.startswith(f"{self._machine}."))
        return name in self._names or bool(is_machine) or (self._takes_any_address and _is_address(name))


class _Refusing(HTTPMessageDelegate):  # type: ignore[misc]  # tornado is not followed
    """Forgets the body and answers in TabPy's form of an error."""

    def __init__(self, request: HTTPServerRequest, status: int, reason: str, message: str) -> None:
        self._connection: Any = request.connection
        self._status, self._reason, self._message = status, reason, message

    def finish(self) -> None:
        """Answer."""
        body = json.dumps({"message": self._message, "info": {}}).encode()
        headers = HTTPHeaders({"Content-Type": "application/json", "Content-Length": str(len(body))})
        self._connection.write_headers(ResponseStartLine("HTTP/1.1", self._status, self._reason), headers, body)
        self._connection.finish()


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
