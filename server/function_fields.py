"""What to paste into Tableau for each function: made from the function table, so that it is true of it.

A row of the table enters, texts leave; `/fields` and docs/fields.md show them. The example answers are those of the
shipped digits model for one of its own golden pictures: a test asks it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from server.functions import FUNCTIONS, Function

PATHS = "ATTR([Image Path])"
PARAMETERS = {"rank": "[Rank]", "label": "[Class]", "threshold": "[Threshold]", "to": "[Similar To]",
              "model": "[Model]", "refresh": "[Refresh]"}
"""Argument -> the Tableau parameter that the fields on the page take for it."""

SUFFIXES = {"string": "STR", "number": "REAL", "boolean": "BOOL"}
TYPES = {"string": "text", "number": "decimal number", "boolean": "yes or no", "object": "a table"}

EXAMPLE_PICTURE = "picture-08.png"
EXAMPLE_ARGUMENTS = {"rank": 2, "label": "3", "threshold": 0.8, "to": "picture-03.png"}
"""What the examples in the function table are answers to."""

ADDRESSING = "Compute Using: Image Path"
TABLE_SCRIPT = "return tabpy.query('image_table', _arg1['Image Path'])['response']"
"""The whole script of a Table Extension that answers with every column."""


@dataclass(frozen=True, slots=True)
class FunctionField:
    """A function as fields: `script` and `model_extension` are whole formulas, empty for a table."""

    function: Function
    script: str
    model_extension: str
    example: str

    @property
    def type(self) -> str:
        """What Tableau makes of its answers."""
        return TYPES[self.function.returns]

    @property
    def addressing(self) -> str:
        """What to set so that Tableau sends one request."""
        return ADDRESSING if self.script else "none: a Table Extension sends the whole table"

    @property
    def parameters(self) -> dict[str, str]:
        """Argument -> the Tableau parameter that its fields need."""
        return {name: PARAMETERS[name] for name in self.function.required[1:]}


def field_of(function: Function, *, has_all: bool = False) -> FunctionField:
    """The fields of a function with its required arguments, or with all that it takes."""
    names = function.parameters if has_all else function.required
    if function.returns == "object":
        return FunctionField(function, "", "", _shown(function))
    suffix = SUFFIXES[function.returns]
    values = ", ".join([PATHS, *(PARAMETERS[name] for name in names[1:])])
    numbers = ", ".join(f"_arg{number}" for number in range(1, len(names) + 1))
    inputs = ", ".join(f'"{name}"' for name in names)
    return FunctionField(function, f"SCRIPT_{suffix}(\"return tabpy.query('{function.name}', {numbers})['response']\","
                         f" {values})", f'MODEL_EXTENSION_{suffix}("{function.name}", {inputs}, {values})',
                         _shown(function))


def all_fields() -> list[FunctionField]:
    """One for each row of the table, in its order."""
    return [field_of(function) for function in FUNCTIONS.values()]


def _shown(function: Function) -> str:
    example = function.example
    return example if isinstance(example, str) else json.dumps(example)


def as_markdown() -> str:
    """The fields for docs/fields.md: a heading, the formulas and a line about each."""
    return "\n".join(map(_section, all_fields()))


def _section(field: FunctionField) -> str:
    formulas = "\n".join(filter(None, (field.script, field.model_extension))) or TABLE_SCRIPT
    parameters = "".join(f" Parameter: `{name}`." for name in field.parameters.values())
    return (f"### {field.function.name}\n\n{field.function.description}\n\n```\n{formulas}\n```\n\n"
            f"Type: {field.type}. Example: `{field.example}`. {field.addressing}.{parameters}\n")
