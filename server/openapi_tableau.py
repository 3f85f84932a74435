"""Tableau's Analytics Extensions API in the OpenAPI document: the pages that Tableau asks for by itself."""

from __future__ import annotations

import re
from typing import Any

from server.functions import FUNCTIONS, Function
from server.openapi_parts import (
    ARGUMENT,
    DEADLINE_PARAMETER,
    MODEL,
    PATH,
    TABLEAUS,
    TEXT,
    WHOLE,
    Schema,
    html_responses,
    listed,
    record,
    tableau_responses,
)
from server.script import FORM, MAX_CHARACTERS

_ENDPOINT = record(description=TEXT, docstring=TEXT, creation_time=WHOLE, version=WHOLE, dependencies=listed(TEXT),
                   last_modified_time=WHOLE, type={"const": "model"}, target={"type": "null"},
                   is_public={"type": "boolean"}, schema={"type": "object"})
_INFO = record(description=TEXT, creation_time=TEXT, state_path=TEXT, server_version=TEXT, name=TEXT,
               versions=record(v1=record(features={"type": "object"})))
_ARGUMENT = r"(_arg[1-9]|'[a-z]{0,9}'|[0-9]{1,9})"
_NAMES = "|".join(map(re.escape, FUNCTIONS))
_SCRIPT = TEXT | {
    "description": f"{FORM} or return int(1). Also with other blanks, quotes and line ends, names before arguments"
                   " (paths=_arg1), a column of a table (_arg1['Image Path']), a row (_arg2[0]) and any text or number"
                   " as an argument; nothing else, and nothing is run",
    "maxLength": MAX_CHARACTERS,
    "pattern": rf"^return (int\(1\)|tabpy\.query\('({_NAMES})', _arg1(, {_ARGUMENT}){{0,2}}\)\['response'\])$",
    "example": FORM,
}
_SENT: Schema = {"type": "object", "patternProperties": {"^_arg[1-9]$": ARGUMENT}, "additionalProperties": False,
                 "description": "the columns _arg1, _arg2, ...; numbered from 1 without a gap",
                 "example": {"_arg1": ["a.png", None]}}


def _reading(summary: str, answer: Schema, *more: str) -> dict[str, Any]:
    return {"get": {"summary": summary, "security": TABLEAUS, "responses": tableau_responses(answer, *more)}}


def _evaluate() -> dict[str, Any]:
    body = record(script=_SCRIPT, data=_SENT)
    return {"post": {"summary": "The script of a calculated field or a Table Extension, read and not run",
                     "description": "An answer that there is none of is null in every row, and image_status says why.",
                     "security": TABLEAUS, "parameters": [DEADLINE_PARAMETER],
                     "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
                     "responses": tableau_responses({"description": "a column, a value, or a table of columns"},
                                                    "404", "413", "422", "503")}}


def _query(function: Function) -> dict[str, Any]:
    properties = dict.fromkeys(function.parameters, ARGUMENT) | {
        "paths": {"anyOf": [listed(PATH), PATH]}, "model": MODEL}
    named = {"type": "object", "properties": {name: properties[name] for name in function.parameters},
             "required": list(function.required), "additionalProperties": False}
    ordered = {"type": "array", "description": "the arguments in order",
               "prefixItems": [properties[name] for name in function.parameters],
               "minItems": len(function.required), "maxItems": len(function.parameters)}
    body = {"type": "object", "properties": {"data": {"anyOf": [named, ordered]}}, "required": ["data"]}
    answer = record(response={}, model=TEXT, version=TEXT)
    return {"post": {"summary": function.description, "security": TABLEAUS, "parameters": [DEADLINE_PARAMETER],
                     "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
                     "responses": tableau_responses(answer, "404", "413", "422", "503")}}


def _one_endpoint() -> dict[str, Any]:
    page = _reading("One function in TabPy's form", _ENDPOINT, "404")
    page["get"]["parameters"] = [{"name": "name", "in": "path", "required": True, "schema": TEXT | {"minLength": 1},
                                  "description": "a function's name", "example": "image_label"}]
    return page


TABLEAU_PAGES: dict[str, Any] = {
    "/info": _reading("What kind of connection this is, and whether it needs a password", _INFO),
    "/endpoints": _reading("Every function in TabPy's form", {"type": "object", "additionalProperties": _ENDPOINT}),
    "/endpoints/{name}": _one_endpoint(),
    "/evaluate": _evaluate(),
    **{f"/query/{name}": _query(row) for name, row in FUNCTIONS.items()},
    "/fields": {"get": {"summary": "What to paste into Tableau, as a page", "security": TABLEAUS,
                        "responses": html_responses()}},
}
"""Path -> its operations."""
