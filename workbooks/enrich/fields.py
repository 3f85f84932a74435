"""Which columns are asked for, and of which type each is: from the server's own table of functions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from workbooks.enrich.errors import EnrichError

STATUS = "status"
ARGUMENTS = ("rank", "label", "to", "threshold")
"""What a field may need besides the picture: options of the command."""

_TYPES = {"string": pa.string(), "number": pa.float64(), "boolean": pa.bool_()}
_BESIDES = {"id": "string", "model": "string", "top": "string", "cached": "boolean"}
"""Fields that are no functions."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the server and its type in OUT."""

    name: str
    type: pa.DataType

    def array(self, values: Sequence[Any]) -> pa.Array:
        """A column of answers; lists and objects (`top`) become JSON texts."""
        if pa.types.is_string(self.type):
            values = [value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                      for value in values]
        return pa.array(values, self.type)


def chosen(names: Sequence[str], functions: Sequence[Mapping[str, Any]], arguments: Mapping[str, Any]) -> list[Field]:
    """The fields of those names, `status` at the end where it is not among them.

    Raises:
        EnrichError: there is no such field, or it needs an argument that is not given.
    """
    known = {str(row["name"]).removeprefix("image_"): str(row["returns"]) for row in functions} | _BESIDES
    known.pop("table", None)
    needs = {str(row["name"]).removeprefix("image_"): row["required"] for row in functions}
    plain = [name.removeprefix("image_") for name in names]
    for name in plain:
        if known.get(name) not in _TYPES:
            raise EnrichError(f"There is no field {name!r}: --fields takes {', '.join(sorted(known))}.")
        for argument in needs.get(name, ()):
            if argument != "paths" and arguments.get(argument) is None:
                raise EnrichError(f"The field {name} needs --{argument}.")
    return [Field(name, _TYPES[known[name]]) for name in dict.fromkeys([*plain, STATUS])]
