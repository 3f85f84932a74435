"""The server's function table: what `GET /v1/functions` says is the one list of functions there is."""

import http.client
import json
import keyword
from dataclasses import dataclass
from typing import Any

from tabpy_functions.errors import FunctionTableError, ServerAwayError
from tabpy_functions.http_json import Site

RETURNS = ("string", "number", "boolean", "object")


@dataclass(frozen=True, slots=True)
class Function:
    """One row of the table: the name and parameters are public and never change."""

    name: str
    parameters: tuple[str, ...]
    required: tuple[str, ...]
    description: str
    returns: str
    example: str

    def __post_init__(self) -> None:
        for word in (self.name, *self.parameters):
            if not word.isidentifier() or not word.isascii() or keyword.iskeyword(word):
                raise FunctionTableError(f"The server names a function or parameter {word!r}: update the server.")
        if self.parameters[:1] != ("paths",) or self.returns not in RETURNS:
            raise FunctionTableError(f"The server describes {self.name} in a form not known here: update both sides.")
        for what, text in (("description", self.description), ("example", self.example)):
            _check_text(self.name, what, text)


def fetch(server: Site, *, timeout_s: float = 10.0) -> tuple[Function, ...]:
    """The functions the server has; raises FunctionTableError with what to do."""
    try:
        answer = server.ask("GET", "/v1/functions", timeout_s=timeout_s)
    except (OSError, http.client.HTTPException) as exc:
        raise ServerAwayError(
            f"Pixfield server not reached at {server.url}: start it with `python run.py serve`."
        ) from exc
    if answer.status == 503:
        raise ServerAwayError(f"The Pixfield server at {server.url} is not ready: {answer.reason()}.")
    if answer.status in (401, 403):
        raise FunctionTableError(f"The Pixfield server at {server.url} wants its token: name its file (--token-file).")
    if answer.status != 200:
        raise FunctionTableError(
            f"{server.url} answered HTTP {answer.status} to /v1/functions: name the address of a Pixfield server."
        )
    return parse(answer.value)


def parse(table: Any) -> tuple[Function, ...]:
    """The functions in the server's JSON."""
    try:
        return tuple(
            Function(
                name=row["name"],
                parameters=tuple(row["parameters"]),
                required=tuple(row["required"]),
                description=row["description"],
                returns=row["returns"],
                example=_as_text(row.get("example")),
            )
            for row in table["functions"]
        )
    except (KeyError, TypeError, AttributeError) as exc:
        raise FunctionTableError(f"The server's function table is not understood ({exc}): update both sides.") from exc


def _as_text(example: object) -> str:
    """One row's answer as a reader sees it."""
    if example is None or isinstance(example, str):
        return example or ""
    return json.dumps(example)


def _check_text(name: str, what: str, text: str) -> None:
    """TabPy keeps texts in an ini file: `%` breaks it for good, its encoding is the platform's, `\\` is unescaped."""
    for char in text:
        if char in "%\\" or not char.isascii() or not char.isprintable():
            raise FunctionTableError(
                f"The {what} of {name} contains {char!a}, which TabPy's state file cannot hold: write it in ASCII "
                "without per cent signs, backslashes and line breaks."
            )
