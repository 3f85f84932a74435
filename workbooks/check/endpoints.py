"""What is deployed: each function's parameters and what it answers, from TabPy's `/endpoints` and, where a Pixfield
server is named, from its `GET /v1/functions`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from workbooks.check.errors import TabPyError
from workbooks.check.tabpy import TabPy
from workbooks.site import Answer


@dataclass(frozen=True, slots=True)
class Signature:
    """A function: `parameters` is None where its author gave no schema, `returns` "" likewise (a JSON type)."""

    name: str
    parameters: tuple[str, ...] | None = None
    required: tuple[str, ...] = ()
    returns: str = ""

    @property
    def shown(self) -> str:
        """As it is called."""
        return self.name if self.parameters is None else f"{self.name}({', '.join(self.parameters)})"


@dataclass(slots=True)
class Deployed:
    """What was found out: `functions` is None where nobody could be asked; `evaluates` None likewise."""

    functions: dict[str, Signature] | None = None
    evaluates: bool | None = None
    problems: list[TabPyError] = field(default_factory=list)


def deployed(tabpy: TabPy | None, server: TabPy | None) -> Deployed:
    """Both asked; what cannot be had is a problem, not an exception."""
    found = Deployed()
    if tabpy is not None:
        try:
            found.evaluates = _evaluates(tabpy)
            found.functions = _endpoints(tabpy)
        except TabPyError as exc:
            found.problems.append(exc)
    if server is not None:
        try:
            table = _function_table(server)
        except TabPyError as exc:
            found.problems.append(exc)
        else:
            known = found.functions
            found.functions = table if known is None else known | {
                name: row for name, row in table.items() if name in known}
    return found


def _evaluates(tabpy: TabPy) -> bool:
    answer = tabpy.ask("info")
    _check(tabpy, answer, "/info")
    try:
        return answer.value["versions"]["v1"]["features"].get("evaluate_enabled") is not False
    except (KeyError, TypeError, AttributeError) as exc:
        raise TabPyError("tabpy-away", f"what answers at {tabpy.url} is no TabPy") from exc


def _endpoints(tabpy: TabPy) -> dict[str, Signature]:
    answer = tabpy.ask("endpoints")
    _check(tabpy, answer, "/endpoints")
    if not isinstance(answer.value, dict):
        raise TabPyError("tabpy-away", f"what answers at {tabpy.url} is no TabPy")
    return {str(name): _signature(str(name), about) for name, about in answer.value.items()}


def _check(tabpy: TabPy, answer: Answer, path: str) -> None:
    if answer.status == 401:
        raise TabPyError("tabpy-refused", f"{tabpy.url} "
                         + ("refuses the user or password" if tabpy.authorization else "wants a user and password"))
    if answer.status == 406:
        raise TabPyError("tabpy-refused", f"{tabpy.url} asks for no password, and one was given")
    if answer.status != 200:
        raise TabPyError("tabpy-away", f"{tabpy.url} answered HTTP {answer.status} to {path}")


def _signature(name: str, about: Any) -> Signature:
    """From a schema as TabPy's `generate_schema` writes it; anything else says nothing."""
    schema = about.get("schema") if isinstance(about, dict) else None
    inputs = schema.get("input") if isinstance(schema, dict) else None
    properties = inputs.get("properties") if isinstance(inputs, dict) else None
    if not isinstance(properties, dict) or not properties:
        return Signature(name, None, (), _returned(schema))
    required = inputs.get("required") if isinstance(inputs, dict) else None
    names = tuple(str(key) for key in properties)
    wanted = tuple(str(word) for word in required) if isinstance(required, list) else names
    return Signature(name, names, wanted, _returned(schema))


def _returned(schema: Any) -> str:
    output = schema.get("output") if isinstance(schema, dict) else None
    items = output.get("items", output) if isinstance(output, dict) else None
    kind = items.get("type") if isinstance(items, dict) else None
    return kind if isinstance(kind, str) else ""


def _function_table(server: TabPy) -> dict[str, Signature]:
    answer = server.ask("v1", "functions")
    if answer.status in (401, 403):
        raise TabPyError("server-refused", f"the Pixfield server at {server.url} "
                         + ("refuses the token" if server.authorization else "wants its token"))
    try:
        return {row["name"]: Signature(row["name"], tuple(row["parameters"]), tuple(row["required"]), row["returns"])
                for row in answer.value["functions"]}
    except (KeyError, TypeError) as exc:
        raise TabPyError("server-refused", f"{server.url} answered HTTP {answer.status} to /v1/functions and is no "
                         "Pixfield server") from exc
