"""What the endpoints of the OpenAPI document share: kinds of values, headers, and the answers that are errors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from server.envelope import BASIC, BEARER
from server.picture_page import PICTURE_HEADERS, UNPINNED

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer", "minimum": 0}
PATH: Schema = {"type": ["string", "null", "number", "boolean"],
                "description": "an image path; null stays null, what is no text is taken as its text"}
MODEL: Schema = {"description": "name, name@version or name@alias; a list repeats it, as Tableau's parameters do",
                 "anyOf": [{"type": ["string", "null"]}, {"type": "array", "items": {"type": ["string", "null"]}}]}
ARGUMENT: Schema = {"description": "one value, or a list with one a row"}
SECONDS: Schema = {"description": "seconds to wait, 0 to 600; absent or null is --deadline-s", "anyOf": [
    {"type": "number", "minimum": 0, "maximum": 600}, {"type": "null"}, TEXT | {"pattern": r"^[0-9]{1,2}(\.[0-9]+)?$"}]}

DEADLINE_PARAMETER: Schema = {
    "name": "X-Pixfield-Deadline", "in": "header", "required": False,
    "description": "seconds to wait; rows without an answer by then are null, their status is pending",
    "schema": {"type": "number", "minimum": 0, "maximum": 600}}


TABLEAUS: list[Schema] = [{"bearer": []}, {"basic": []}]
"""`security` of the pages that Tableau asks for."""


def record(**properties: Schema) -> Schema:
    """An object that always has these keys."""
    return {"type": "object", "required": list(properties), "properties": properties}


def listed(items: Schema) -> Schema:
    """A list of them."""
    return {"type": "array", "items": items}


def _header(description: str, schema: Schema) -> Schema:
    return {"description": description, "required": True, "schema": schema}


_HEADERS = {
    "X-Request-Id": _header("names the request in the server's log", TEXT | {"pattern": "^[0-9a-f]{8}$"}),
    "X-Content-Type-Options": _header("always nosniff", {"const": "nosniff"}),
    "Cache-Control": _header("answers are not kept on the way", {"const": "no-store"}),
    "Retry-After": _header("seconds until it is worth asking again", WHOLE),
    "WWW-Authenticate": _header("the scheme of the token", {"const": BEARER}),
    "WWW-Authenticate-Basic": _header("the schemes of the token", {"const": BASIC}),
    "Allow": _header("the methods there are", TEXT),
}
_ALWAYS = ("X-Request-Id", "X-Content-Type-Options", "Cache-Control")

_ERRORS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "400": ("BadRequest", "not what the endpoint takes", ()),
    "401": ("Unauthorised", "no token, or a wrong one", ("WWW-Authenticate",)),
    "403": ("Forbidden", "a page of another site asks", ()),
    "404": ("NotFound", "no such model, function, field, picture or page", ()),
    "405": ("MethodNotAllowed", "another method: see Allow", ("Allow",)),
    "413": ("TooLarge", "too many rows or bytes", ()),
    "421": ("Misdirected", "addressed to a name that is not this server's", ()),
    "422": ("Unprocessable", "understood, but the values make no sense", ()),
    "431": ("HeadersTooLarge", "headers beyond 64 KB", ()),
    "500": ("Internal", "the server's fault: the message has the request's id", ()),
    "503": ("Busy", "full or not ready", ("Retry-After",)),
}
_EVERYWHERE = ("400", "401", "403", "405", "413", "421", "431", "500")


_FOR_TABLEAU = {"WWW-Authenticate": "WWW-Authenticate-Basic"}
_ERROR = record(code=TEXT, message=TEXT, hint=TEXT)


def _headers(*more: str) -> Schema:
    return {name.removesuffix("-Basic"): {"$ref": f"#/components/headers/{name}"} for name in (*_ALWAYS, *more)}


def _error(description: str, headers: Iterable[str], schema: str = "Error") -> Schema:
    return {"description": description, "headers": _headers(*headers),
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}


COMPONENTS: Schema = {
    "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer",
                                   "description": "a line of --token-file; asked for where that is set"},
                        "basic": {"type": "http", "scheme": "basic",
                                  "description": "any user name, and a line of --token-file as the password"}},
    "schemas": {"Error": record(error=_ERROR),
                "TableauError": record(error=_ERROR, message=TEXT, info=TEXT)},
    "headers": _HEADERS,
    "responses": {name: _error(description, headers) for name, description, headers in _ERRORS.values()}
    | {f"Tableau{name}": _error(description, [_FOR_TABLEAU.get(header, header) for header in headers], "TableauError")
       for name, description, headers in _ERRORS.values()},
}


_PICTURE_HEADERS = {
    "ETag": _header("of this content and this way of drawing", TEXT | {"pattern": '^W/"[^"]+"$'}),
    "Cache-Control": _header("kept by browsers, not on the way; asked about each time where no version is named",
                             {"enum": [PICTURE_HEADERS["Cache-Control"], UNPINNED]}),
    "Cross-Origin-Resource-Policy": _header("other sites' pages may show it",
                                            {"const": PICTURE_HEADERS["Cross-Origin-Resource-Policy"]}),
    "Vary": _header("always Origin", {"const": PICTURE_HEADERS["Vary"]}),
    "Access-Control-Allow-Origin": {"description": "the Origin that was sent, where it is a name of the server's",
                                    "schema": TEXT},
}


def picture_responses(*more: str) -> Schema:
    """As `responses`, of an endpoint that answers with a PNG, or with 304 for one that the caller has."""
    headers = _headers() | _PICTURE_HEADERS
    png = {"description": "the picture", "headers": headers,
           "content": {"image/png": {"schema": TEXT | {"contentMediaType": "image/png"}}}}
    same = {"description": "as the caller has it", "headers": headers}
    return responses({}, *more) | {"200": png, "304": same}


def tableau_responses(answer: Schema, *more: str) -> Schema:
    """As `responses`, of a page that Tableau asks for: its errors say `message` and `info`, as TabPy's do."""
    return responses(answer, *more, of="Tableau")


def html_responses() -> Schema:
    """Those of a page for a browser."""
    page = {"description": "the page", "headers": _headers(), "content": {"text/html": {"schema": TEXT}}}
    return tableau_responses({}) | {"200": page}


def responses(answer: Schema, *more: str, of: str = "") -> Schema:
    """The good answer, the errors that every endpoint has, and `more` of them by status."""
    good = {"description": "answered", "headers": _headers(), "content": {"application/json": {"schema": answer}}}
    errors = {status: {"$ref": f"#/components/responses/{of}{_ERRORS[status][0]}"}
              for status in sorted({*_EVERYWHERE, *more})}
    return {"200": good} | errors
