"""The pages that Tableau asks for by itself, so that it connects to the server as it would to a TabPy.

Tableau's Analytics Extensions API: `/info`, `/evaluate` for `SCRIPT_` fields and Table Extensions, `/query/<function>`
for `MODEL_EXTENSION_` fields, `/endpoints` for its list of functions; and `/fields`, what to paste. Nothing that comes
in is run: `script` reads a script and `answering` answers the one question that it may be.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, g, request

from server import script
from server.answering import answer, check_columns, or_nulls
from server.deadline import DEADLINE_HEADER, deadline_s
from server.endpoints import ENDPOINTS
from server.envelope import json_response, service
from server.errors import BadRequestError, RequestError, UnknownError
from server.fields_page import STYLE_SOURCE, fields_page
from server.functions import parse_call
from server.request_body import json_body

tableau = Blueprint("tableau", __name__)

VERSION = "1"
"""As `/openapi.json` has it."""


@tableau.get("/info")
def info() -> Response:
    """What Tableau looks at first: what kind of connection this is, and whether it needs a password."""
    features: dict[str, Any] = {"evaluate_enabled": True, "gzip_enabled": True, "arrow_enabled": False}
    if service().settings.token_file is not None:
        features["authentication"] = {"required": True, "methods": {"basic-auth": {}}}
    return json_response({"description": "Image paths in, columns out; runs no scripts", "creation_time": "0",
                          "state_path": "", "server_version": VERSION, "name": "Pixfield",
                          "versions": {"v1": {"features": features}}})


@tableau.get("/endpoints")
def endpoints() -> Response:
    """Every function in TabPy's form, for Tableau's list of functions."""
    return json_response(ENDPOINTS)


@tableau.get("/endpoints/<name>")
def endpoint(name: str) -> Response:
    """One of them."""
    if name not in ENDPOINTS:
        raise UnknownError("unknown_function", f"there is no function {name!r}",
                           f"functions are {', '.join(ENDPOINTS)}")
    return json_response(ENDPOINTS[name])


@tableau.post("/evaluate")
def evaluate() -> Response:
    """The script of a calculated field or a Table Extension: one question to one function; nothing is run."""
    text, data = script.arguments_sent(json_body())
    asked = script.parse(text)
    if asked is None:
        return json_response(1)
    arguments = asked.bound(data)
    until = _until()
    try:
        check_columns(arguments)
        return json_response(answer(parse_call(asked.function.name, arguments), until=until).response)
    except RequestError as exc:
        g.summary = f"nulls: {exc.code}"
        return json_response(or_nulls(asked.function, arguments, exc))


@tableau.post("/query/<name>")
def query(name: str) -> Response:
    """A function of the contract, in TabPy's form."""
    body = json_body()
    if not isinstance(body, dict) or "data" not in body:
        raise BadRequestError("no_data", 'expected {"data": {"paths": [...]}}', "send the arguments under data")
    answered = answer(parse_call(name, body["data"]), until=_until())
    return json_response({"response": answered.response, "model": answered.model, "version": answered.version})


@tableau.get("/fields")
def fields() -> Response:
    """What to paste into Tableau for every function, as a page for a browser."""
    policy = f"default-src 'none'; style-src {STYLE_SOURCE}; frame-ancestors 'none'"
    return Response(fields_page(), mimetype="text/html", headers={"Content-Security-Policy": policy})


def _until() -> float:
    """When this request gives up."""
    until: float = g.started + deadline_s(request.headers.get(DEADLINE_HEADER), service().settings.deadline_s)
    return until


