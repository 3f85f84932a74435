"""`/openapi.json`: the doors of the server for programs, made from the function and field tables.

Every endpoint, parameter, header and status stands here; a program that sends what the document allows is answered, and
what the document forbids is refused. `openapi_parts` has what the endpoints share.
"""

from __future__ import annotations

from typing import Any

from server.fields import FIELDS
from server.functions import ARGUMENTS
from server.openapi_parts import (
    ARGUMENT,
    COMPONENTS,
    MODEL,
    PATH,
    SECONDS,
    TEXT,
    WHOLE,
    listed,
    record,
    responses,
)
from server.openapi_pictures import PICTURES
from server.openapi_seeing import SEEING
from server.openapi_tableau import TABLEAU_PAGES

Operation = dict[str, Any]


def document() -> dict[str, Any]:
    """The OpenAPI 3.1 description."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Pixfield", "version": "1", "description": "Columns of image paths in, of answers out."},
        "security": [{"bearer": []}],
        "components": COMPONENTS,
        "paths": {
            "/v1/classify": {"post": _classify()},
            **TABLEAU_PAGES,
            "/v1/functions": {"get": _reading("The function table", record(functions=listed(_FUNCTION)))},
            "/v1/models": {"get": _reading("Every version and its state", record(models=listed(_LISTED_MODEL)))},
            "/v1/models/{reference}": {"get": _model()},
            **PICTURES,
            **SEEING,
            "/healthz": {"get": _health()},
            "/readyz": {"get": _ready()},
            "/metrics": {"get": _metrics()},
            "/openapi.json": {"get": _reading("This document", {"type": "object", "required": ["openapi", "paths"]})},
        },
    }


_FUNCTION = record(name=TEXT, parameters=listed(TEXT), required=listed(TEXT), returns=TEXT, description=TEXT,
                   example={})
_STATE = {"type": "object", "required": ["state", "aliases"], "properties": {
    "state": TEXT | {"enum": ["serving", "opening", "leaving", "idle", "unusable"]}, "aliases": listed(TEXT),
    "reason": TEXT | {"description": "why it is unusable"}}}
_LISTED_MODEL = {"type": "object", "required": ["name", "versions", "aliases", "states"],
                 "properties": {"name": TEXT, "versions": listed(TEXT) | {"description": "the usable ones"},
                                "aliases": {"type": "object", "additionalProperties": TEXT},
                                "states": {"type": "object", "additionalProperties": _STATE},
                                "problem": TEXT | {"description": "an alias file that cannot be read, or why a"
                                                   " reference goes on with the version it meant before"}}}
_MODEL_CARD = record(name=TEXT, version=TEXT, labels=listed(TEXT), digest=TEXT, engine=TEXT, about={"type": "object"},
                     input=record(size=WHOLE, channels=WHOLE, resize=TEXT),
                     outputs={"type": "object", "additionalProperties": listed(WHOLE)},
                     reference={"anyOf": [{"type": "null"}, record(pictures=WHOLE, labels=listed(TEXT),
                                                                   clusters=listed(TEXT))]})
_READY = record(ready={"type": "boolean"}, filled={"type": "boolean"}, fault={"type": ["string", "null"]})


def _reading(summary: str, answer: dict[str, Any], *more: str) -> Operation:
    return {"summary": summary, "responses": responses(answer, *more)}


def _model() -> Operation:
    parameter = {"name": "reference", "in": "path", "required": True, "schema": TEXT | {"minLength": 1},
                 "description": "name, name@version or name@alias", "example": "digits@1"}
    return _reading("What `model.json` says of one version", _MODEL_CARD, "404", "422", "503") | {
        "parameters": [parameter]}


def _health() -> Operation:
    operation = _reading("The process answers", record(status={"const": "ok"})) | {"security": []}
    del operation["responses"]["401"]
    return operation


def _ready() -> Operation:
    operation = _reading("Whether the default model is warm", _READY)
    unready = operation["responses"]["200"] | {"description": "not yet, or not at all: see fault"}
    operation["responses"]["503"] = unready
    return operation


def _metrics() -> Operation:
    operation = _reading("Prometheus's text", {})
    operation["responses"]["200"]["content"] = {"text/plain": {"schema": TEXT}}
    return operation


def _classify() -> Operation:
    shared = {"top_k": {"anyOf": [WHOLE | {"minimum": 1}, TEXT | {"pattern": "^0*[1-9][0-9]{0,8}$"}]},
              "deadline_s": SECONDS}
    names = {"type": "string", "description": "names with commas between them"}
    column = {"type": "object", "required": ["paths"], "properties": shared | {
        "paths": listed(PATH), "model": MODEL,
        "arguments": {"type": "object", "properties": dict.fromkeys(ARGUMENTS, ARGUMENT),
                      "additionalProperties": False},
        "fields": {"anyOf": [listed(TEXT | {"enum": sorted(FIELDS)}), names]}}}
    upload = {"type": "object", "required": ["files"], "properties": shared | {
        "files": listed({"type": "string", "format": "binary"}) | {"minItems": 1}, "model": TEXT, "fields": names}}
    columns = {"type": "object", "additionalProperties": {"type": "array"}, "required": ["status"]}
    answer = record(model=TEXT, version=TEXT, count=WHOLE, pending=WHOLE, columns=columns)
    return {"summary": "Any fields of a column of paths, or of uploaded files",
            "requestBody": {"required": True, "content": {"application/json": {"schema": column},
                                                          "multipart/form-data": {"schema": upload}}},
            "responses": responses(answer, "404", "413", "422", "503")}
