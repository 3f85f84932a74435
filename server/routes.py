"""The doors of the server: authorise, parse, call, serialise. No logic of its own.

`/query/<function>` speaks TabPy's form, `/v1/classify` the columnar one; both mean what `functions` and `fields` say.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import logging
import math
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, cast
from urllib.parse import quote

import orjson
from flask import Blueprint, Response, current_app, g, request
from werkzeug.exceptions import HTTPException

from models.errors import ModelError
from models.registry import Registry
from server import fields
from server.classify import Outcome, classify, classify_files
from server.errors import BadRequestError, BusyError, RequestError, TooLargeError, UnauthorisedError, UnprocessableError
from server.functions import FUNCTIONS, TABLE_FIELDS, Call, check_lengths, parse_call, path_column, single
from server.openapi import document
from server.served_model import ServedModel
from server.service import Service

log = logging.getLogger(__name__)

routes = Blueprint("pixfield", __name__)

OPEN = frozenset({"healthz"})
"""Endpoints without a token."""

DEADLINE_HEADER = "X-Pixfield-Deadline"
_MAX_DEADLINE_S = 600.0


def _service() -> Service:
    return cast("Service", current_app.extensions["pixfield"])


def _json(content: object, status: int = 200) -> Response:
    try:
        body = orjson.dumps(content)
    except orjson.JSONEncodeError:  # a path with half of a surrogate pair goes back as it came
        body = json.dumps(content).encode()
    return Response(body, status, mimetype="application/json")


# ---- before and after every request ------------------------------------------------------------------------------


@routes.before_request
def authorise() -> None:
    """Refuse a request without a valid token, where tokens are set."""
    g.started = time.monotonic()
    g.id = secrets.token_hex(4)
    tokens = _service().tokens
    if not tokens or (request.endpoint or "").rpartition(".")[2] in OPEN:
        return
    given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip().encode()
    if not any([hmac.compare_digest(given, token.encode()) for token in tokens]):  # noqa: C419 - all, in equal time
        raise UnauthorisedError("no_token", "this server needs a token", "send Authorization: Bearer <token>")


@routes.after_request
def account(response: Response) -> Response:
    """Count, time and log the request in one line."""
    endpoint = (request.endpoint or "unknown").rpartition(".")[2]
    seconds = time.monotonic() - g.started
    metrics = _service().metrics
    metrics.requests.labels(endpoint, str(response.status_code)).inc()
    metrics.latency.labels(endpoint).observe(seconds)
    if endpoint in ("query", "classify_column"):
        path = quote(request.path)  # a line break in it would forge a line of the log
        log.info("%s %s %d %s ms=%.0f", g.id, path, response.status_code, g.get("summary", ""), 1000 * seconds)
    response.headers["X-Request-Id"] = g.id
    return response


def on_request_error(exc: RequestError) -> Response:
    """A RequestError as its JSON body and status."""
    response = _json(exc.body(), exc.status)
    if isinstance(exc, BusyError):
        response.headers["Retry-After"] = str(exc.retry_after_s)
    return response


def on_http_error(exc: HTTPException) -> Response:
    """Flask's own errors (no such page, wrong method, too large) in the same form."""
    code = (exc.name or "error").lower().replace(" ", "_")
    return _json({"error": {"code": code, "message": exc.description or exc.name, "hint": ""}}, exc.code or 500)


def on_fault(exc: Exception) -> Response:
    """Ours to mend: the traceback goes to the log, a reference to it to the caller."""
    log.error("request %s failed", g.get("id", "?"), exc_info=exc)
    message = f"the server failed on this request (id {g.get('id', '?')})"
    return _json({"error": {"code": "internal", "message": message, "hint": "see the server's log"}}, 500)


# ---- columns -----------------------------------------------------------------------------------------------------


@routes.post("/query/<name>")
def query(name: str) -> Response:
    """A function of the contract, in TabPy's form."""
    body = _body()
    if not isinstance(body, dict) or "data" not in body:
        raise BadRequestError("no_data", 'expected {"data": {"paths": [...]}}', "send the arguments under data")
    call = parse_call(name, body["data"])
    _check_rows(len(call.paths))
    model = _service().model(call.model)
    deadline_s = _deadline(request.headers.get(DEADLINE_HEADER))
    with _place():
        outcome = classify(call.paths, model, until=g.started + deadline_s)
    _summarise(outcome, model)
    answer = _answer(call, _request(outcome, model, call.arguments))
    return _json({"response": answer, "model": model.spec.name, "version": model.spec.version})


def _answer(call: Call, asked: fields.Request) -> Any:
    if call.function.field == "table":
        return {"path": call.paths} | {field: fields.column(field, asked) for field in TABLE_FIELDS}
    column = fields.column(call.function.field, asked)
    return column[0] if call.is_scalar else column


@routes.post("/v1/classify")
def classify_column() -> Response:
    """Any fields of a column of paths, or of uploaded files."""
    is_upload = request.mimetype == "multipart/form-data"
    body = dict(request.form) if is_upload else _body()
    if not isinstance(body, dict):
        raise BadRequestError("no_object", 'expected {"paths": [...], "fields": [...]}')
    names, arguments = _fields_of(body), _arguments_of(body)
    model = _service().model(single(body.get("model"), "model"))
    until = g.started + _deadline(body.get("deadline_s"))
    with _place():
        if is_upload:
            outcome = classify_files(_read_files(), model, until=until)
        else:
            paths = path_column(body.get("paths"))
            _check_rows(len(paths))
            check_lengths(arguments, len(paths))
            outcome = classify(paths, model, until=until)
    _summarise(outcome, model)
    asked = _request(outcome, model, arguments)
    columns = {name: fields.column(name, asked) for name in dict.fromkeys((*names, "status"))}
    return _json({"model": model.spec.name, "version": model.spec.version, "count": len(outcome),
                  "pending": outcome.pending, "columns": columns})


def _fields_of(body: Mapping[str, Any]) -> list[str]:
    names = body.get("fields", ["label", "confidence"])
    if isinstance(names, str):
        names = [name.strip() for name in names.split(",")]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadRequestError("bad_fields", "fields is no list of names")
    for name in names:
        fields.check_name(name)
    return [*names, "top"] if "top_k" in body and "top" not in names else names


def _arguments_of(body: Mapping[str, Any]) -> dict[str, Any]:
    arguments = body.get("arguments", {})
    if not isinstance(arguments, dict):
        raise BadRequestError("bad_arguments", 'arguments is no object such as {"rank": 2}')
    top_k = body.get("top_k", 3)
    if isinstance(top_k, str) and top_k.isdecimal():
        top_k = int(top_k)
    if not isinstance(top_k, int) or isinstance(top_k, bool) or top_k < 1:
        raise UnprocessableError("bad_top_k", f"top_k is {top_k!r}; expected a whole number above 0")
    return {**arguments, "top_k": top_k}


def _read_files() -> list[bytes]:
    """The uploaded files; raises where there are none, too many, or one is too large."""
    files = request.files.getlist("files")
    if not files:
        raise BadRequestError("no_files", "expected at least one file named files", "curl -F files=@cat.jpg ...")
    _check_rows(len(files))
    limit = _service().settings.max_image_mb * 1_000_000
    contents = [file.read() for file in files]
    for number, data in enumerate(contents):
        if len(data) > limit:
            raise TooLargeError("too_many_bytes", f"file {number} has {len(data):,} bytes; the limit is {limit:,.0f}")
    return contents


def _request(outcome: Outcome, model: ServedModel, arguments: Mapping[str, Any]) -> fields.Request:
    return fields.Request(outcome, model, arguments, _service().sign)


def _body() -> Any:
    """The JSON of the body whatever its content type says: Tableau 2020.1 sends JSON as a form."""
    data = request.get_data()
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        try:  # half of a surrogate pair in one path is that row's fault; orjson would refuse the whole column
            return json.loads(data, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            raise BadRequestError("not_json", f"the body is not JSON: {exc}", "send UTF-8 JSON") from exc


def _refuse_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are not JSON


def _deadline(value: object) -> float:
    """Seconds the request may wait: its own wish, else the setting."""
    if value is None:
        return _service().settings.deadline_s
    try:
        seconds = math.nan if isinstance(value, bool) else float(cast("str | float", value))
    except (TypeError, ValueError, OverflowError):
        raise UnprocessableError("bad_deadline", f"deadline_s is {value!r}; expected seconds") from None
    if not 0 <= seconds <= _MAX_DEADLINE_S:
        raise UnprocessableError("bad_deadline", f"deadline_s is {seconds}; expected 0 to {_MAX_DEADLINE_S:.0f}")
    return seconds


def _check_rows(rows: int) -> None:
    limit = _service().settings.max_rows
    if rows > limit:
        raise TooLargeError("too_many_rows", f"{rows:,} rows in one request; the limit is {limit:,} (--max-rows)",
                            "ask for the column in parts")


@contextlib.contextmanager
def _place() -> Iterator[None]:
    """A place among the requests that may wait for the model; BusyError at once when all are taken.

    There are fewer places than threads, so that `/healthz` always finds one.
    """
    places = cast("threading.BoundedSemaphore", current_app.extensions["pixfield_places"])
    if not places.acquire(blocking=False):
        raise BusyError("too_many_requests", "too many requests are waiting", "ask again in a moment")
    try:
        yield
    finally:
        places.release()


def _summarise(outcome: Outcome, model: ServedModel) -> None:
    """What the log line and the metrics say of this request; a full queue that left the whole column out is busy."""
    rows, misses, failures, pending = len(outcome), len(outcome.computed), len(outcome.errors), outcome.pending
    if rows and pending == rows and model.in_flight.is_full:
        raise BusyError("queue_full", "the queue is full", "ask again in a moment", retry_after_s=5)
    metrics = _service().metrics
    for status, count in (("ok", rows - failures - pending), ("failed", failures), ("pending", pending)):
        metrics.rows.labels(status).inc(count)
    metrics.hits.inc(rows - misses - failures - pending)
    metrics.misses.inc(misses)
    g.summary = f"model={model.name} rows={rows} misses={misses} failures={failures} pending={pending}"


# ---- about the server --------------------------------------------------------------------------------------------


@routes.get("/v1/functions")
def functions() -> Response:
    """The function table, from which TabPy's forwarders are made."""
    return _json({"functions": [function.describe() for function in FUNCTIONS.values()]})


@routes.get("/v1/models")
def models() -> Response:
    """Every usable version."""
    registry = _service().models.registry
    return _json({"models": [{"name": name, "versions": registry.versions(name), **_aliases(registry, name)}
                             for name in registry.names()]})


def _aliases(registry: Registry, name: str) -> dict[str, Any]:
    """A model's aliases; a broken alias file is told with it, and hides no other model."""
    try:
        return {"aliases": registry.aliases(name)}
    except ModelError as exc:
        return {"aliases": {}, "problem": str(exc)}


@routes.get("/v1/models/<reference>")
def model_card(reference: str) -> Response:
    """What `model.json` says of one version."""
    model = _service().model(reference)
    spec = model.spec
    return _json({"name": spec.name, "version": spec.version, "labels": list(spec.labels),
                  "input": {"size": spec.input_size, "channels": spec.channels, "resize": spec.resize},
                  "digest": spec.digest, "engine": model.engine.name, "about": dict(spec.about)})


@routes.get("/healthz")
def healthz() -> Response:
    """The process answers."""
    return _json({"status": "ok"})


@routes.get("/readyz")
def readyz() -> Response:
    """The default model is warm and checked; `filled` says whether stored answers are in memory."""
    service = _service()
    content = {"ready": service.is_ready, "filled": service.is_filled, "fault": service.fault}
    return _json(content, 200 if service.is_ready else 503)


@routes.get("/metrics")
def metrics() -> Response:
    """Prometheus's text."""
    return Response(_service().metrics.render(), mimetype="text/plain")


@routes.get("/openapi.json")
def openapi() -> Response:
    """The OpenAPI 3.1 description of all this."""
    return _json(document())
