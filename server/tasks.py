"""What waitress does with one request: the answers that Pixfield gives to it, and the headers on all of them.

A parsed request enters, bytes on its connection leave.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson
from waitress.task import ErrorTask, WSGITask

from server.doors import is_tableaus
from server.errors import error_body

log = logging.getLogger(__name__)

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""On every answer: nothing here is a frame or a file that another site may embed or a proxy may keep."""

_HINTS = {413: "send less at once, or raise --max-body-mb", 431: "send fewer or shorter headers"}


class JsonErrorTask(ErrorTask):  # type: ignore[misc]  # waitress publishes no types
    """What waitress refuses by itself, in the server's error form; the connection ends with it."""

    @staticmethod
    def count(status: int) -> None:
        """Told the status of each; `bound` sets another one."""

    def execute(self) -> None:
        """Write the answer."""
        error, request_id = self.request.error, secrets.token_hex(4)
        self.count(error.code)
        code = error.reason.lower().replace(" ", "_")
        path = getattr(self.request, "path", "")  # none where the request line could not be read
        body = orjson.dumps(error_body(code, error.reason, _HINTS.get(error.code, ""), for_tableau=is_tableaus(path)))
        log.info("%s %s before its body was read", request_id, error.code)
        self.status = f"{error.code} {error.reason}"
        self.response_headers += [("Content-Type", "application/json"), ("X-Request-Id", request_id),
                                  *SECURITY_HEADERS.items()]
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(b"" if getattr(self.request, "command", "") == "HEAD" else body)


class Reply(NamedTuple):
    """An answer that needed no application: status line, headers, body."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes


Shortcut = Callable[[Any], Reply | None]
"""Answers a parsed request, or leaves it to the application."""


class OneSendTask(WSGITask):  # type: ignore[misc]  # waitress publishes no types
    """An answer that leaves with one call: waitress sends the headers by themselves, and the caller wakes up twice."""

    shortcut: Callable[[Any], Reply | None]
    wrote_header: bool

    def execute(self) -> None:
        """Ask the shortcut that `bound` was given, then the application."""
        reply = self.shortcut(self.request)
        if reply is None:
            super().execute()
            return
        self.complete, self.status, self.content_length = True, reply.status, len(reply.body)
        self.response_headers += reply.headers
        self.write(reply.body)

    def write(self, data: bytes) -> None:
        """As waitress, but headers and the whole body together where this is the whole body."""
        if self.wrote_header or not self.complete or not self.has_body or self.content_length != len(data):
            super().write(data)
            return
        self.channel.write_soon(self.build_response_header() + data)
        self.wrote_header = True
        self.content_bytes_written = len(data)
