"""What is around every answer: the check at the door, an id, a line in the log, counts, headers, and errors as JSON."""

from __future__ import annotations

import contextlib
import json
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from typing import cast

import orjson
from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import HTTPException

from server.doors import is_tableaus
from server.errors import BusyError, RequestError, UnauthorisedError, error_body
from server.functions import FUNCTIONS
from server.metrics import Metrics
from server.service import Service
from server.tasks import SECURITY_HEADERS

log = logging.getLogger(__name__)

BEARER = "Bearer"
BASIC = 'Basic realm="Pixfield", charset="UTF-8", Bearer'
"""For Tableau and browsers, which know a user and a password."""

_LOGGED = ("query", "evaluate", "classify_column")
_EVERYWHERE = [(name.lower(), name, value) for name, value in SECURITY_HEADERS.items()]


def wrap(app: Flask) -> None:
    """Put the envelope around everything `app` answers, pages that are not there included."""
    app.before_request(begin)
    app.after_request(finish)
    app.register_error_handler(RequestError, on_request_error)
    app.register_error_handler(HTTPException, on_http_error)
    app.register_error_handler(Exception, on_fault)


def service() -> Service:
    """The service of the application that answers."""
    return cast("Service", current_app.extensions["pixfield"])


@contextlib.contextmanager
def place(name: str, *, retry_after_s: Callable[[], int] = lambda: 1) -> Iterator[None]:
    """One of the application's places of that name among the requests that may wait; BusyError at once when all are
    taken.

    All kinds of places together are fewer than the threads, so that `/healthz` always finds one.
    """
    places = cast("threading.BoundedSemaphore", current_app.extensions[name])
    if not places.acquire(blocking=False):
        raise BusyError("too_many_requests", "too many requests are waiting", "ask again in a moment",
                        retry_after_s=retry_after_s())
    try:
        yield
    finally:
        places.release()


def json_response(content: object, status: int = 200) -> Response:
    """`content` as a JSON answer."""
    return Response(json_bytes(content), status, content_type="application/json")


def json_bytes(content: object) -> bytes:
    """`content` as JSON."""
    try:
        return orjson.dumps(content)
    except orjson.JSONEncodeError:  # a path with half of a surrogate pair goes back as it came
        return json.dumps(content).encode()


def new_id() -> str:
    """What a request is called in the log and in its answer."""
    return secrets.token_hex(4)


def begin() -> None:
    """Give the request its id and its time, then refuse it where the doors do."""
    g.started = time.monotonic()
    g.id = new_id()
    service().doors.check(request.path, request.environ)


def finish(response: Response) -> Response:
    """Count, time and log the request in one line; add the headers that every answer has."""
    endpoint = (request.endpoint or "unknown").rpartition(".")[2]
    count(service().metrics, endpoint, response.status_code, g.started)
    if endpoint in _LOGGED:
        name = (request.view_args or {}).get("name")
        path = request.path if name is None or name in FUNCTIONS else "/query/?"  # a caller's text is not for the log
        log_line(g.id, path, response.status_code, g.get("summary", ""), g.started)
    headers = response.headers
    present = {name.lower() for name, _ in headers}  # looked for once: werkzeug looks through all for each name
    headers.add("X-Request-Id", g.id)
    for lower, name, value in _EVERYWHERE:
        if lower not in present:
            headers.add(name, value)
    return response


def count(metrics: Metrics, endpoint: str, status: int, started: float) -> None:
    """Count a request and how long it took since `started` (time.monotonic())."""
    metrics.requests.labels(endpoint, str(status)).inc()
    metrics.latency.labels(endpoint).observe(time.monotonic() - started)


def log_line(id_: str, path: str, status: int, summary: str, started: float) -> None:
    """The one line of a request."""
    log.info("%s %s %d %s ms=%.0f", id_, path, status, summary, 1000 * (time.monotonic() - started))


def on_request_error(exc: RequestError) -> Response:
    """A RequestError as its JSON body and status."""
    response = _error(exc.status, exc.code, exc.message, exc.hint)
    if isinstance(exc, BusyError):
        response.headers["Retry-After"] = str(exc.retry_after_s)
    if isinstance(exc, UnauthorisedError):
        response.headers["WWW-Authenticate"] = BASIC if is_tableaus(request.path) else BEARER
    return response


def on_http_error(exc: HTTPException) -> Response:
    """Flask's own errors (no such page, wrong method, too large) in the same form."""
    code = (exc.name or "error").lower().replace(" ", "_")
    response = _error(exc.code or 500, code, exc.description or exc.name, "")
    if allowed := dict(exc.get_headers()).get("Allow"):
        response.headers["Allow"] = allowed
    return response


def on_fault(exc: Exception) -> Response:
    """Ours to mend: the traceback goes to the log, a reference to it to the caller."""
    log.error("request %s failed", g.get("id", "?"), exc_info=exc)
    message = f"the server failed on this request (id {g.get('id', '?')})"
    return _error(500, "internal", message, "see the server's log")


def _error(status: int, code: str, message: str, hint: str) -> Response:
    return json_response(error_body(code, message, hint, for_tableau=is_tableaus(request.path)), status)
