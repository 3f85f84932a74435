"""`/openapi.json`: the doors of the server for programs, made from the function and field tables."""

from __future__ import annotations

from typing import Any

from server.fields import FIELDS
from server.functions import FUNCTIONS

_TEXT = {"type": "string"}
_PATHS = {"type": "array", "items": {"type": ["string", "null"]}, "description": "image paths; null rows stay null"}
_ERROR = {"type": "object", "required": ["error"], "properties": {"error": {
    "type": "object", "required": ["code", "message", "hint"],
    "properties": {"code": _TEXT, "message": _TEXT, "hint": _TEXT}}}}
_STATUSES = {"400": "not what the endpoint takes", "401": "no token, or a wrong one", "404": "no such thing",
             "413": "too many rows or bytes", "422": "understood, but the values make no sense",
             "503": "full or not ready: see Retry-After"}


def document() -> dict[str, Any]:
    """The OpenAPI 3.1 description."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Pixfield", "version": "1", "description": "Columns of image paths in, of answers out."},
        "security": [{"bearer": []}],
        "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
                       "schemas": {"Error": _ERROR}},
        "paths": {
            "/v1/classify": {"post": _operation("Any fields of a column of paths, or of uploaded files",
                                                _classify_body(), _classify_answer())},
            **{f"/query/{name}": {"post": _operation(row.description, _query_body(row.parameters, row.required),
                                                     _object(response={}, model=_TEXT, version=_TEXT))}
               for name, row in FUNCTIONS.items()},
            "/v1/functions": {"get": _operation("The function table", None, _object(functions={"type": "array"}))},
            "/v1/models": {"get": _operation("Every usable version", None, _object(models={"type": "array"}))},
            "/v1/models/{reference}": {"get": _operation("One version", None, _object(name=_TEXT, version=_TEXT)) | {
                "parameters": [{"name": "reference", "in": "path", "required": True, "schema": _TEXT}]}},
            "/healthz": {"get": _operation("The process answers", None, _object(status=_TEXT)) | {"security": []}},
            "/readyz": {"get": _operation("Whether the model is warm", None, _object(ready={"type": "boolean"}))},
            "/metrics": {"get": {"summary": "Prometheus's text", "responses": {"200": {
                "description": "metrics", "content": {"text/plain": {"schema": _TEXT}}}}}},
        },
    }


def _operation(summary: str, body: dict[str, Any] | None, answer: dict[str, Any]) -> dict[str, Any]:
    errors = {status: {"description": text, "content": {"application/json": {
        "schema": {"$ref": "#/components/schemas/Error"}}}} for status, text in _STATUSES.items()}
    ok = {"200": {"description": "answered", "content": {"application/json": {"schema": answer}}}}
    operation: dict[str, Any] = {"summary": summary, "responses": ok | errors}
    if body is not None:
        operation["requestBody"] = {"required": True, "content": body}
    return operation


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def _query_body(parameters: tuple[str, ...], required: tuple[str, ...]) -> dict[str, Any]:
    named = _object(**{name: _PATHS if name == "paths" else {} for name in parameters}) | {"required": list(required)}
    data = {"oneOf": [named, {"type": "array", "description": "the arguments in order"}]}
    return {"application/json": {"schema": _object(data=data) | {"required": ["data"]}}}


def _classify_body() -> dict[str, Any]:
    fields = {"type": "array", "items": {"type": "string", "enum": sorted(FIELDS)}}
    plain = _object(paths=_PATHS, model=_TEXT, fields=fields, arguments={"type": "object"},
                    top_k={"type": "integer", "minimum": 1}, deadline_s={"type": "number", "minimum": 0})
    upload = _object(files={"type": "array", "items": {"type": "string", "format": "binary"}}, model=_TEXT,
                     fields={"type": "string", "description": "names with commas between them"})
    return {"application/json": {"schema": plain | {"required": ["paths"]}},
            "multipart/form-data": {"schema": upload | {"required": ["files"]}}}


def _classify_answer() -> dict[str, Any]:
    whole = {"type": "integer", "minimum": 0}
    columns = {"type": "object", "additionalProperties": {"type": "array"}}
    return _object(model=_TEXT, version=_TEXT, count=whole, pending=whole, columns=columns)
