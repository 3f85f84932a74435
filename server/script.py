"""The script of a calculated field, read and never run: which function it asks, and with which arguments.

Tableau sends Python text, `return tabpy.query('image_label', _arg1)['response']`, and the columns under `_arg1`,
`_arg2`. The text enters, a `Script` leaves; what is no such sentence is refused with what is wrong about it. Python's
own parser reads it, after its length, its number of words and the depth of its brackets were bounded: it recurses.
"""

from __future__ import annotations

import ast
import difflib
import io
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from server.errors import BadRequestError, RequestError, UnknownError, UnprocessableError
from server.functions import FUNCTIONS, Function

MAX_CHARACTERS = 4_000
"""A path as a constant among the arguments may be long; what Tableau sends is shorter than a hundred."""
MAX_WORDS = 100
MAX_DEPTH = 8

FORM = "return tabpy.query('image_label', _arg1)['response']"
"""The form, as errors show it."""

_ELSEWHERE = f"this server runs no Python: write {FORM}, or connect to TabPy for other scripts"


@dataclass(frozen=True, slots=True)
class Sent:
    """An argument that is a column which Tableau sent: `_arg1`, or a part of it: `_arg1['Image Path']`, `_arg2[0]`."""

    name: str
    part: str | int | None = None

    def value(self, data: Mapping[str, Any]) -> Any:
        """What it is in `data`; raises UnprocessableError where it is not there."""
        if self.name not in data:
            names = ", ".join(data) or "none"
            raise UnprocessableError("no_argument", f"the script uses {self.name}, and Tableau sent {names}",
                                     "give the field as many arguments behind the script as it uses")
        column = data[self.name]
        if self.part is None:
            return column
        if isinstance(self.part, str):
            return _named(column, self.name, self.part)
        if not isinstance(column, list) or not -len(column) <= self.part < len(column):
            raise UnprocessableError("no_part", f"{self.name} has no row {self.part}", f"write {self.name} alone")
        return column[self.part]


def _named(table: object, name: str, column: str) -> Any:
    if not isinstance(table, dict):
        raise UnprocessableError("no_part", f"{name} is a column, not a table of columns", f"write {name} alone")
    if column not in table:
        raise UnprocessableError("no_part", f"the table has no column {column[:60]!r}",
                                 f"its columns are {', '.join(map(str, table))[:300]}")
    return table[column]


@dataclass(frozen=True, slots=True)
class Constant:
    """An argument that stands in the script itself, as a text or number that the field's author wrote."""

    constant: str | int | float | bool | None

    def value(self, data: Mapping[str, Any]) -> Any:  # noqa: ARG002 - as `Sent`
        """The constant."""
        return self.constant


@dataclass(frozen=True, slots=True)
class Script:
    """A function and its arguments by parameter name."""

    function: Function
    arguments: Mapping[str, Sent | Constant]

    def bound(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments with what Tableau sent; raises UnprocessableError where something of it is missing."""
        return {name: argument.value(data) for name, argument in self.arguments.items()}


def parse(text: str) -> Script | None:
    """The script that `text` is; None for `return int(1)`, by which Tableau tests a connection.

    Raises:
        UnprocessableError: it is another script.
        UnknownError: there is no such function.
    """
    statement = _statement(text)
    match statement:
        case ast.Return(value=ast.Call(func=ast.Name(id="int"), args=[ast.Constant(value=1)], keywords=[])):
            return None
        case ast.Return(value=ast.Subscript(value=ast.Call() as call, slice=ast.Constant(value="response"))):
            return _query(call)
        case ast.Return(value=ast.Call(func=ast.Attribute(attr="query"))):
            raise _refused("['response'] is missing at the end of the script")
        case ast.Expr():
            raise _refused("the script returns nothing: it does not begin with return")
    raise _refused("the script does more than to ask one function")


def _query(call: ast.Call) -> Script:
    match call.func:
        case ast.Attribute(value=ast.Name(id="tabpy"), attr="query"):
            pass
        case _:
            raise _refused("the script calls something else than tabpy.query")
    if not call.args or not isinstance(call.args[0], ast.Constant) or not isinstance(call.args[0].value, str):
        raise _refused("the function's name is not a text in quotes")
    function = _function(call.args[0].value)
    names = _names(call, function)
    values = [*call.args[1:], *(keyword.value for keyword in call.keywords)]
    return Script(function, {name: _argument(value) for name, value in zip(names, values, strict=True)})


def _names(call: ast.Call, function: Function) -> list[str]:
    """The parameter of each argument behind the function's name, in their order."""
    if call.keywords and len(call.args) > 1:
        raise _refused("some arguments are named and some are not")
    if len(call.args) - 1 > len(function.parameters):
        raise UnprocessableError("too_many_arguments", f"{function.name} takes {len(function.parameters)} arguments,"
                                 f" the script gives {len(call.args) - 1}", _parameters(function))
    names = list(function.parameters[:len(call.args) - 1])
    for keyword in call.keywords:
        if keyword.arg not in function.parameters:
            raise UnprocessableError("unknown_argument", f"{function.name} has no argument {keyword.arg or '**'}",
                                     _parameters(function))
        if keyword.arg in names:
            raise _refused(f"the argument {keyword.arg} is given twice")
        names.append(keyword.arg)
    if "paths" not in names:
        raise UnprocessableError("missing_argument", f"{function.name} is asked without paths", _parameters(function))
    return names


def _function(name: str) -> Function:
    if name not in FUNCTIONS:
        close = difflib.get_close_matches(name, FUNCTIONS)
        raise UnknownError("unknown_function", f"there is no function {name[:60]!r}",
                           f"did you mean {' or '.join(close)}?" if close else f"functions are {', '.join(FUNCTIONS)}")
    return FUNCTIONS[name]


def _parameters(function: Function) -> str:
    return f"its arguments are {', '.join(function.parameters)}"


def _argument(node: ast.expr) -> Sent | Constant:
    match node:
        case ast.Name(id=name) if name.startswith("_arg"):
            return Sent(name)
        case ast.Subscript(value=ast.Name(id=name), slice=part) if name.startswith("_arg"):
            constant = _constant(part)
            if isinstance(constant, str | int) and not isinstance(constant, bool):
                return Sent(name, constant)
        case _:
            return Constant(_constant(node))
    raise _refused(f"a part of {name} is neither a column's name nor a row's number")


def _constant(node: ast.expr) -> str | int | float | bool | None:
    match node:
        case ast.Constant(value=str() | int() | float() | None as constant):
            return constant
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
    raise _refused("an argument is neither _arg1, _arg2, ... nor a text or number")


def _statement(text: str) -> ast.stmt:
    """The one statement that the text is, read as TabPy reads it: its lines go into a function's body.

    There a comment may stand before a line that is indented further.
    """
    if len(text) > MAX_CHARACTERS:
        raise _refused(f"the script has {len(text):,} characters, at most {MAX_CHARACTERS:,} are read")
    lines = text.strip().splitlines()
    _check_depth("\n".join(lines))
    if all(line.strip() == "" or line.lstrip().startswith("#") for line in lines):
        raise _refused("the script is empty")
    try:
        function, *more = ast.parse("\n ".join(["def script():", *lines])).body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as exc:
        raise _refused(f"the script is no Python: {getattr(exc, 'msg', 'it cannot be read')}") from exc
    if not isinstance(function, ast.FunctionDef) or more or len(function.body) != 1:
        raise _refused("the script has more than one statement")
    return function.body[0]


def _check_depth(source: str) -> None:
    words = depth = 0
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            words += 1
            depth += (token.string in "([{") - (token.string in ")]}") if token.type == tokenize.OP else 0
            if words > MAX_WORDS or depth > MAX_DEPTH:
                raise _refused("the script is longer than a question to one function")
    except (tokenize.TokenError, SyntaxError) as exc:
        raise _refused(f"the script is no Python: {exc.args[0]}") from exc


def _refused(problem: str) -> RequestError:
    return UnprocessableError("unknown_script", problem, _ELSEWHERE)


def arguments_sent(body: object) -> tuple[str, dict[str, Any]]:
    """The script and the columns of a body; raises BadRequestError or UnprocessableError where TabPy refuses, too."""
    if not isinstance(body, dict) or not isinstance(body.get("script"), str):
        raise BadRequestError("no_script", 'expected {"script": "...", "data": {"_arg1": [...]}}',
                              "send the script as a text")
    data = body.get("data", {})
    if not isinstance(data, dict):
        raise BadRequestError("no_data", "data is no object with the columns _arg1, _arg2, ...", "number them from 1")
    if data.keys() != {f"_arg{number + 1}" for number in range(len(data))}:
        raise UnprocessableError("odd_names", f"the columns in data are {', '.join(map(repr, data))[:200]}",
                                 "name them _arg1, _arg2, ..., from 1 without a gap")
    return body["script"], data
