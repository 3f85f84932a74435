"""The function table: what each function of the contract means, for TabPy and for whoever asks the server itself.

Names and parameter names are public and never change. TabPy's forwarders are made from this table, so a function works
everywhere or nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from server.errors import BadRequestError, UnknownError, UnprocessableError

TABLE_FIELDS = ("label", "confidence", "margin", "entropy", "status", "note", "model", "map_x", "map_y", "cluster",
                "nearest_label", "outlier", "thumbnail_url", "explanation_url")
"""The columns of `image_table`, besides the path itself. The Image Role is for dimensions: a column of a table may be
one, a calculated field is none."""


@dataclass(frozen=True, slots=True)
class Function:
    """One row of the table. `required` parameters come first; `returns` is a JSON type.

    `example` is one row's answer, of the shipped digits model for a golden picture of its own; `function_fields` says
    for which, and with what arguments. Addresses are shortened.
    """

    name: str
    required: tuple[str, ...]
    returns: str
    description: str
    example: Any
    has_model: bool = True

    @property
    def field(self) -> str:
        """The field it answers with."""
        return self.name.removeprefix("image_")

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields it is made of: its own, or those of the table."""
        return TABLE_FIELDS if self.field == "table" else (self.field,)

    @property
    def parameters(self) -> tuple[str, ...]:
        """All parameter names in order; `refresh` is accepted and ignored, so that Tableau can force a new request."""
        return (*self.required, *(("model",) if self.has_model else ()), "refresh")

    def describe(self) -> dict[str, Any]:
        """The row of `/v1/functions`."""
        return {"name": self.name, "parameters": list(self.parameters), "required": list(self.required),
                "returns": self.returns, "description": self.description, "example": self.example}


def _table(*rows: Function) -> dict[str, Function]:
    table: dict[str, Function] = {}
    for row in rows:
        if row.name in table:
            raise ValueError(f"{row.name} stands in the table twice")
        table[row.name] = row
    return table


FUNCTIONS = _table(
    Function("image_label", ("paths",), "string", "The most probable class of each picture.", "8"),
    Function("image_confidence", ("paths",), "number", "The calibrated probability of the label, 0 to 1.", 0.995605),
    Function("image_label_at", ("paths", "rank"), "string", "The class at a rank: 1 is the most probable.", "9"),
    Function("image_confidence_at", ("paths", "rank"), "number", "The probability of the class at a rank.", 0.000901),
    Function("image_probability", ("paths", "label"), "number", "The probability of the class named.", 0.000681),
    Function("image_margin", ("paths",), "number", "First minus second probability, 0 to 1: low is undecided.",
             0.994704),
    Function("image_entropy", ("paths",), "number", "Entropy over log C, 0 to 1: high is undecided.", 0.016116),
    Function("image_needs_review", ("paths", "threshold"), "boolean",
             "True where the confidence is below the threshold or there is no answer.", False),
    Function("image_embedding", ("paths",), "string",
             "The picture as a JSON array of numbers; at most 1000 rows a request.",
             "[0.24499512,0.0039978027,0.021530151, ...]"),
    Function("image_focus_x", ("paths",), "number",
             "Where the model looked for the label, from the left: 0 to 1, the centre of the activation.", 0.4354),
    Function("image_focus_y", ("paths",), "number", "The same from the top.", 0.5389),
    Function("image_focus_area", ("paths",), "number",
             "The smallest share of the picture that holds half of the activation: low is one place.", 0.1015),
    Function("image_border_share", ("paths",), "number",
             "The share of the activation in the outer tenth of each side; 0.36 is evenly spread.", 0.0187),
    Function("image_status", ("paths",), "string", "ok, pending, or why there is no answer.", "ok"),
    Function("image_note", ("paths",), "string", "A remark, such as: first frame of an animation.", None),
    Function("image_thumbnail_url", ("paths",), "string",
             "The address of a small PNG of each picture, for the Image Role.",
             "http://127.0.0.1:9005/v1/images/0123.4567/thumbnail.png", has_model=False),
    Function("image_explanation_url", ("paths",), "string",
             "The address of a PNG of each picture as the model sees it, lit where it spoke for the label.",
             "http://127.0.0.1:9005/v1/images/0123.v89ab.4567/explanation.png"),
    Function("image_map_x", ("paths",), "number",
             "The place on the model's map, which stays as it is: x, 0 to 100.", 58.159),
    Function("image_map_y", ("paths",), "number",
             "The place on the model's map, which stays as it is: y, 0 to 100.", 7.0971),
    Function("image_cluster", ("paths",), "string", "The cluster of the nearest picture of the model's reference.",
             "8"),
    Function("image_similarity", ("paths", "to"), "number",
             "How like the picture at the path `to` each one is to the model: cosine, -1 to 1.", 0.480721),
    Function("image_nearest_label", ("paths",), "string",
             "The label of the nearest picture of the model's reference.", "8"),
    Function("image_outlier", ("paths",), "number",
             "The share of usual pictures that are nearer to the model's reference, 0 to 1: high is unlike all of it.",
             0.4126),
    Function("image_duplicate_group", ("paths",), "string",
             "A key of what each picture looks like: equal for equal pixels, mostly equal for copies saved again.",
             "cbc0f066d64c833", has_model=False),
    Function("image_table", ("paths",), "object",
             "Every column at once, for Table Extensions and Prep: " + ", ".join(("path", *TABLE_FIELDS)) + ".",
             {"path": ["picture-08.png"], "label": ["8"], "confidence": [0.995605], "status": ["ok"]}),
)
"""Function name -> row. Only what works stands here."""

ARGUMENTS = tuple(dict.fromkeys(name for function in FUNCTIONS.values() for name in function.required[1:]))
"""What a function may need besides the paths: the names under `arguments` of `/v1/classify`."""


@dataclass(frozen=True, slots=True)
class Call:
    """A function with the arguments of one request; `is_scalar` when `paths` was a single value."""

    function: Function
    paths: list[str | None]
    model: str | None
    arguments: Mapping[str, Any]
    is_scalar: bool


def parse_call(name: str, data: object) -> Call:
    """A call from the `data` of a request: arguments by name, or a list of them in order.

    Raises:
        UnknownError: there is no such function.
        BadRequestError, UnprocessableError: the arguments do not fit it.
    """
    if name not in FUNCTIONS:
        raise UnknownError("unknown_function", f"there is no function {name!r}",
                           f"functions are {', '.join(FUNCTIONS)}")
    function = FUNCTIONS[name]
    arguments = _by_name(function, data)
    paths = arguments.pop("paths")
    is_scalar = not isinstance(paths, list)
    column = path_column([paths] if is_scalar else paths)
    arguments.pop("refresh", None)
    model = single(arguments.pop("model", None), "model")
    check_lengths(arguments, len(column))
    return Call(function, column, model, arguments, is_scalar)


def _by_name(function: Function, data: object) -> dict[str, Any]:
    if isinstance(data, list):
        if len(data) > len(function.parameters):
            raise UnprocessableError("too_many_arguments", f"{function.name} takes {len(function.parameters)} arguments"
                                     f" ({', '.join(function.parameters)}), received {len(data)}")
        data = dict(zip(function.parameters, data, strict=False))
    if not isinstance(data, dict):
        raise BadRequestError("no_data", 'expected {"data": {"paths": [...]}}', "data is an object or a list")
    unknown = [key for key in data if key not in function.parameters]
    if unknown:
        raise UnprocessableError("unknown_argument", f"{function.name} has no argument {unknown[0]!r}",
                                 f"its arguments are {', '.join(function.parameters)}")
    missing = [key for key in function.required if key not in data]
    if missing:
        raise UnprocessableError("missing_argument", f"{function.name} needs {missing[0]!r}",
                                 f"its arguments are {', '.join(function.parameters)}")
    return dict(data)


def check_lengths(arguments: Mapping[str, Any], rows: int) -> None:
    """Raise UnprocessableError for a list that has neither one value nor one a row."""
    for key, value in arguments.items():
        if isinstance(value, list) and len(value) not in (1, rows):
            raise UnprocessableError("lengths_differ", f"{key} has {len(value)} values, paths has {rows}",
                                     "send one value, or one a row")


def path_column(values: object) -> list[str | None]:
    """The column of path texts; numbers are taken as text, anything nested is refused (UnprocessableError)."""
    if not isinstance(values, list):
        raise BadRequestError("no_paths", "expected paths as a list of text or null")
    kinds = set(map(type, values))
    if kinds <= {str, type(None)}:
        return values
    if kinds & {list, dict}:
        raise UnprocessableError("bad_path", "a path is a list or an object; expected text or null")
    return [value if value is None else str(value) for value in values]


def argument_column(value: object, rows: int) -> list[str | None]:
    """An argument that names pictures, one a row: a single one is repeated."""
    values = path_column(value if isinstance(value, list) else [value])
    return values * rows if len(values) == 1 else values


def single(value: object, name: str) -> str | None:
    """The one text in `value`, which may be a list that repeats it, as Tableau's parameters do; None for none."""
    values: set[str] = set()
    for item in value if isinstance(value, list) else [value]:
        if item is not None and not isinstance(item, str):
            raise UnprocessableError("bad_value", f"{name} is {type(item).__name__}; expected text")
        if item:
            values.add(item)
    if len(values) > 1:
        raise UnprocessableError("several_values", f"{name} has {len(values)} different values in one request",
                                 f"use one {name} a view")
    return values.pop() if values else None
