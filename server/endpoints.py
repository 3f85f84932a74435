"""The functions as TabPy's `/endpoints` says them: Tableau's list shows description, docstring and schema."""

from __future__ import annotations

import json
from typing import Any

from server.functions import FUNCTIONS, Function

_SAMPLES: dict[str, Any] = {"paths": ["digits/0001.png"], "rank": [2], "threshold": [0.8], "refresh": [1]}
_JSON_TYPE = {str: "string", int: "integer", float: "number"}


def _endpoint(function: Function) -> dict[str, Any]:
    return {"description": function.description, "docstring": docstring(function), "creation_time": 0, "version": 1,
            "dependencies": [], "last_modified_time": 0, "type": "model", "target": None, "is_public": True,
            "schema": _schema(function)}


def docstring(function: Function) -> str:
    """The description and an example in one line."""
    if function.example is None:
        return function.description
    example = function.example if isinstance(function.example, str) else json.dumps(function.example)
    return f"{function.description} Example: {example}"


def _schema(function: Function) -> dict[str, Any]:
    """As TabPy's generate_schema writes it, which is what the list of functions shows."""
    properties = {name: _column(_JSON_TYPE[type(_SAMPLES.get(name, [""])[0])]) for name in function.parameters}
    returns = {"type": "object"} if function.returns == "object" else _column(function.returns)
    return {
        "input": {"type": "object", "properties": properties, "required": list(function.required)},
        "sample": {name: _SAMPLES.get(name, ["..."]) for name in function.required},
        "output": returns | {"description": function.description},
    }


def _column(json_type: str) -> dict[str, Any]:
    return {"type": "array", "items": {"type": json_type}}


ENDPOINTS: dict[str, dict[str, Any]] = {name: _endpoint(function) for name, function in FUNCTIONS.items()}
"""Function name -> what TabPy would say of it."""
