"""The pages of the server: parse, call, serialise. No logic of its own; `envelope` is around every one.

`/query/<function>` speaks TabPy's form, `/v1/classify` the columnar one; both mean what `functions` and `fields` say.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from flask import Blueprint, Response, g, request
from werkzeug.exceptions import RequestEntityTooLarge

from models.errors import ModelError
from server import fields
from server.classify import Outcome, classify, classify_files
from server.deadline import DEADLINE_HEADER, deadline_s, shown
from server.envelope import json_response, place, service
from server.errors import BadRequestError, TooLargeError, UnprocessableError
from server.functions import (
    ARGUMENTS,
    FUNCTIONS,
    Call,
    argument_column,
    check_lengths,
    parse_call,
    path_column,
    single,
)
from server.gathering import Gathered, gather, named_pictures
from server.openapi import document
from server.picture_kinds import KINDS
from server.picture_page import page_of
from server.seeing_page import filters_json, filters_png, layers_json
from server.served_model import ServedModel

routes = Blueprint("pixfield", __name__)

PLACES = "pixfield_places"
"""The application's places for columns."""



# ---- columns -----------------------------------------------------------------------------------------------------


@routes.post("/query/<name>")
def query(name: str) -> Response:
    """A function of the contract, in TabPy's form."""
    body = _body()
    if not isinstance(body, dict) or "data" not in body:
        raise BadRequestError("no_data", 'expected {"data": {"paths": [...]}}', "send the arguments under data")
    call = parse_call(name, body["data"])
    _check_rows(len(call.paths))
    until = g.started + deadline_s(request.headers.get(DEADLINE_HEADER), service().settings.deadline_s)
    names = call.function.fields
    with _model_of(call, until) as model:
        with _place(model):
            named = named_pictures(names, argument_column(call.arguments.get("to"), len(call.paths)), model,
                                   until=until)
            outcome = classify(call.paths, model, until=until, needs_focus=not fields.NEED_FOCUS.isdisjoint(names))
            gathered = gather(names, outcome, model, named=named)
        _summarise(outcome, model)
        answer = _answer(call, _request(outcome, model, call.arguments, call.paths, gathered))
    return json_response({"response": answer, "model": model.spec.name, "version": model.spec.version})


def _model_of(call: Call, until: float) -> contextlib.AbstractContextManager[ServedModel]:
    """The model a call means, the keys themselves for theirs, or any one where the function depends on none."""
    if call.function.field == "duplicate_group":
        return contextlib.nullcontext(service().fingerprints())
    return service().using(call.model, until=until) if call.function.has_model else service().using_any(until=until)


def _answer(call: Call, asked: fields.Request) -> Any:
    if call.function.field == "table":
        return {"path": call.paths} | {field: fields.column(field, asked) for field in call.function.fields}
    column = fields.column(call.function.field, asked)
    return column[0] if call.is_scalar else column


@routes.post("/v1/classify")
def classify_column() -> Response:
    """Any fields of a column of paths, or of uploaded files."""
    is_upload = request.mimetype == "multipart/form-data"
    body = _form() if is_upload else _body()
    if not isinstance(body, dict):
        raise BadRequestError("no_object", 'expected {"paths": [...], "fields": [...]}')
    names, arguments = _fields_of(body), _arguments_of(body)
    until = g.started + deadline_s(body.get("deadline_s"), service().settings.deadline_s)
    with service().using(single(body.get("model"), "model"), until=until) as model:
        with _place(model):
            pictures: list[Any] = _read_files() if is_upload else _paths_of(body, arguments)
            named = named_pictures(names, argument_column(arguments.get("to"), len(pictures)), model, until=until)
            answer = functools.partial(classify_files if is_upload else classify, pictures, until=until)
            outcome = answer(model) if is_upload else answer(model, needs_focus=not fields.NEED_FOCUS.isdisjoint(names))
            gathered = gather(names, outcome, model, named=named, classify_with=answer,
                              fingerprints=functools.partial(service().fingerprints, is_under_way=True))
        _summarise(outcome, model)
        asked = _request(outcome, model, arguments, [] if is_upload else pictures, gathered)
        columns = {name: fields.column(name, asked) for name in dict.fromkeys((*names, "status"))}
    return json_response({"model": model.spec.name, "version": model.spec.version, "count": len(outcome),
                  "pending": outcome.pending + len(gathered.pending), "columns": columns})


def _paths_of(body: Mapping[str, Any], arguments: Mapping[str, Any]) -> list[str | None]:
    paths = path_column(body.get("paths"))
    _check_rows(len(paths))
    check_lengths(arguments, len(paths))
    return paths


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
    for name in arguments:
        if name not in ARGUMENTS:
            raise UnprocessableError("unknown_argument", f"there is no argument {shown(name)}",
                                     f"arguments are {', '.join(ARGUMENTS)}")
    top_k = body.get("top_k", 3)
    if isinstance(top_k, str) and re.fullmatch("[0-9]{1,10}", top_k):
        top_k = int(top_k)
    if not isinstance(top_k, int) or isinstance(top_k, bool) or top_k < 1:
        raise UnprocessableError("bad_top_k", f"top_k is {shown(top_k)}; expected a whole number above 0")
    return {**arguments, "top_k": top_k}


def _form() -> dict[str, str]:
    """What an upload says beside its files; raises TooLargeError, since each part costs memory and time of its own."""
    try:
        return dict(request.form)
    except RequestEntityTooLarge as exc:
        parts, size = request.max_form_parts, request.max_form_memory_size
        raise TooLargeError("too_many_parts", f"a form has at most {parts:,} parts, and {size:,} bytes of text",
                            "send the files in several requests") from exc


def _read_files() -> list[bytes]:
    """The uploaded files; raises where there are none, too many, or one is too large."""
    files = request.files.getlist("files")
    if not files:
        raise BadRequestError("no_files", "expected at least one file named files", "curl -F files=@cat.jpg ...")
    _check_rows(len(files))
    limit = service().settings.max_image_mb * 1_000_000
    contents = [file.read() for file in files]
    for number, data in enumerate(contents):
        if len(data) > limit:
            raise TooLargeError("too_many_bytes", f"file {number} has {len(data):,} bytes; the limit is {limit:,.0f}")
    return contents


def _request(outcome: Outcome, model: ServedModel, arguments: Mapping[str, Any], paths: Sequence[str | None],
             gathered: Gathered) -> fields.Request:
    return fields.Request(outcome, model, arguments, service().sign, paths, service().pictures.addresses, gathered)


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


def _check_rows(rows: int) -> None:
    limit = service().settings.max_rows
    if rows > limit:
        raise TooLargeError("too_many_rows", f"{rows:,} rows in one request; the limit is {limit:,} (--max-rows)",
                            "ask for the column in parts")


def _place(model: ServedModel) -> contextlib.AbstractContextManager[None]:
    """A place among the requests that may wait for a model."""
    return place(PLACES, retry_after_s=lambda: model.admission.retry_after_s)


def _summarise(outcome: Outcome, model: ServedModel) -> None:
    """What the log line and the metrics say of this request; a column of which nothing is known or taken is busy."""
    rows, misses, failures, pending = len(outcome), len(outcome.computed), len(outcome.errors), outcome.pending
    if outcome.busy is not None and pending == rows:
        raise outcome.busy
    metrics = service().metrics
    for status, count in (("ok", rows - failures - pending), ("failed", failures), ("pending", pending)):
        if count:
            metrics.rows_by_status[status].inc(count)
    metrics.hits.inc(rows - misses - failures - pending)
    metrics.misses.inc(misses)
    g.summary = f"model={model.name} rows={rows} misses={misses} failures={failures} pending={pending}"


# ---- pictures ----------------------------------------------------------------------------------------------------


for kind in KINDS.values():
    routes.add_url_rule(f"/v1/images/<id>/{kind.path}", kind.name, page_of(kind))


# ---- about the server --------------------------------------------------------------------------------------------


@routes.get("/v1/functions")
def functions() -> Response:
    """The function table, from which TabPy's forwarders are made."""
    return json_response({"functions": [function.describe() for function in FUNCTIONS.values()]})


@routes.get("/v1/models")
def models() -> Response:
    """Every version: whether it is at work, being opened, idle or unusable and why, and its aliases."""
    listed = [_listed(name) for name in service().models.registry.all_names()]
    return json_response({"models": [model for model in listed if model["states"]]})


def _listed(name: str) -> dict[str, Any]:
    """A model with its versions; a broken alias file is told with it, and hides no other model."""
    at_work, aliases, problems = service().models, {}, []
    try:
        aliases = at_work.registry.aliases(name)
    except ModelError as exc:
        problems.append(str(exc))
    problems += [f"{reference} goes on as before: {reason}"
                 for reference, reason in at_work.meanings.problems(name).items() if reason not in problems]
    states = {version: {**state, "aliases": sorted(alias for alias, target in aliases.items() if target == version)}
              for version, state in at_work.states(name).items()}
    usable = [version for version, state in states.items() if state["state"] != "unusable"]
    listed = {"name": name, "versions": usable, "aliases": aliases, "states": states}
    return listed | ({"problem": " ".join(problems)} if problems else {})


@routes.get("/v1/models/<reference>")
def model_card(reference: str) -> Response:
    """What `model.json` says of one version."""
    with service().using(reference) as model:
        return json_response(model.card())


routes.add_url_rule("/v1/models/<reference>/layers.json", view_func=layers_json)
routes.add_url_rule("/v1/models/<reference>/filters.json", view_func=filters_json)
routes.add_url_rule("/v1/models/<reference>/filters.png", view_func=filters_png)


@routes.get("/healthz")
def healthz() -> Response:
    """The process answers."""
    return json_response({"status": "ok"})


@routes.get("/readyz")
def readyz() -> Response:
    """The default model is warm and checked; `filled` says whether stored answers are in memory."""
    state = service()
    content = {"ready": state.is_ready, "filled": state.is_filled, "fault": state.fault}
    return json_response(content, 200 if state.is_ready else 503)


@routes.get("/metrics")
def metrics() -> Response:
    """Prometheus's text."""
    return Response(service().metrics.render(), mimetype="text/plain")


@routes.get("/openapi.json")
def openapi() -> Response:
    """The OpenAPI 3.1 description of all this."""
    return json_response(document())
