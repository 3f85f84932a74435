"""The pages of the server: parse, call, serialise. No logic of its own; `envelope` is around every one.

What Tableau asks for by itself (`/query/<function>`, `/evaluate`, ...) stands in `tableau`; both mean what `functions`
and `fields` say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, g, request
from werkzeug.exceptions import RequestEntityTooLarge

from models.errors import ModelError
from server import fields
from server.answering import Wish, check_rows, classified, place_of
from server.deadline import deadline_s, shown
from server.envelope import json_response, service
from server.errors import BadRequestError, TooLargeError, UnprocessableError
from server.functions import ARGUMENTS, FUNCTIONS, check_lengths, path_column, single
from server.openapi import document
from server.picture_kinds import KINDS
from server.picture_page import page_of
from server.request_body import json_body
from server.seeing_page import filters_json, filters_png, layers_json

routes = Blueprint("pixfield", __name__)

# ---- columns -----------------------------------------------------------------------------------------------------


@routes.post("/v1/classify")
def classify_column() -> Response:
    """Any fields of a column of paths, or of uploaded files."""
    is_upload = request.mimetype == "multipart/form-data"
    body = _form() if is_upload else json_body()
    if not isinstance(body, dict):
        raise BadRequestError("no_object", 'expected {"paths": [...], "fields": [...]}')
    names, arguments = _fields_of(body), _arguments_of(body)
    until = g.started + deadline_s(body.get("deadline_s"), service().settings.deadline_s)
    with service().using(single(body.get("model"), "model"), until=until) as model, place_of(model):
        pictures: list[Any] = _read_files() if is_upload else _paths_of(body, arguments)
        content, g.summary = classified(pictures, Wish(names, arguments, until), model, service(), are_files=is_upload)
    return json_response(content)


def _paths_of(body: Mapping[str, Any], arguments: Mapping[str, Any]) -> list[str | None]:
    paths = path_column(body.get("paths"))
    check_rows(len(paths))
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
    check_rows(len(files))
    limit = service().settings.max_image_mb * 1_000_000
    contents = [file.read() for file in files]
    for number, data in enumerate(contents):
        if len(data) > limit:
            raise TooLargeError("too_many_bytes", f"file {number} has {len(data):,} bytes; the limit is {limit:,.0f}")
    return contents


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
