"""What TabPy is told about each function: one record, the same for our own TabPy and for one that is already there."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from tabpy_functions.forwarder import docstring, source_of
from tabpy_functions.function_table import Function

MARK = "pixfield "  # starts the comment by which we know our own endpoints again
_SAMPLES: dict[str, Any] = {"paths": ["digits/0001.png"], "rank": [2], "threshold": [0.8], "refresh": [1]}
_JSON_TYPE = {str: "string", int: "integer", float: "number"}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A function ready to be deployed; `digest` changes when anything of it does."""

    name: str
    source: str
    description: str
    docstring: str
    schema: dict[str, Any]
    digest: str


def endpoint_of(function: Function) -> Endpoint:
    """The record of one function."""
    source, doc, schema = source_of(function), docstring(function), _schema(function)
    parts = [function.name, source, function.description, doc, schema]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
    schema["input"]["$comment"] = MARK + digest
    return Endpoint(function.name, source, function.description, doc, schema, digest)


def digest_in(endpoint: dict[str, Any]) -> str:
    """The digest in what TabPy says about an endpoint; nothing when it is not one of ours."""
    schema = endpoint.get("schema")
    inputs = schema.get("input") if isinstance(schema, dict) else None
    comment = inputs.get("$comment", "") if isinstance(inputs, dict) else ""
    return comment.removeprefix(MARK) if isinstance(comment, str) and comment.startswith(MARK) else ""


def _schema(function: Function) -> dict[str, Any]:
    """As TabPy's generate_schema writes it, which is what the function explorer shows."""
    sample = {name: _SAMPLES.get(name, ["..."]) for name in function.parameters if name in function.required}
    properties = {name: _column(_JSON_TYPE[type(_SAMPLES.get(name, [""])[0])]) for name in function.parameters}
    answer = {"type": "object"} if function.returns == "object" else _column(function.returns)
    return {
        "input": {"type": "object", "properties": properties, "required": list(function.required)},
        "sample": sample,
        "output": answer | {"description": function.description},
    }


def _column(json_type: str) -> dict[str, Any]:
    return {"type": "array", "items": {"type": json_type}}
