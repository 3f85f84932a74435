"""The function table and what a call of one may look like."""

from __future__ import annotations

from typing import Any

import pytest

from server.errors import BadRequestError, RequestError, UnknownError, UnprocessableError
from server.fields import FIELDS
from server.functions import FUNCTIONS, Call, parse_call, path_column, single

CONTRACT = {
    "image_label": ("paths", "model", "refresh"),
    "image_confidence": ("paths", "model", "refresh"),
    "image_label_at": ("paths", "rank", "model", "refresh"),
    "image_confidence_at": ("paths", "rank", "model", "refresh"),
    "image_probability": ("paths", "label", "model", "refresh"),
    "image_margin": ("paths", "model", "refresh"),
    "image_entropy": ("paths", "model", "refresh"),
    "image_needs_review": ("paths", "threshold", "model", "refresh"),
    "image_embedding": ("paths", "model", "refresh"),
    "image_status": ("paths", "model", "refresh"),
    "image_note": ("paths", "model", "refresh"),
    "image_map_x": ("paths", "model", "refresh"),
    "image_map_y": ("paths", "model", "refresh"),
    "image_cluster": ("paths", "model", "refresh"),
    "image_similarity": ("paths", "to", "model", "refresh"),
    "image_nearest_label": ("paths", "model", "refresh"),
    "image_outlier": ("paths", "model", "refresh"),
    "image_duplicate_group": ("paths", "refresh"),
    "image_table": ("paths", "model", "refresh"),
}
"""Names and parameters that workbooks in the field depend on: a line may be added, never changed."""


def refusal(kind: type[RequestError], name: str, data: object) -> tuple[str, str, str]:
    """Code, message and hint of a refused call."""
    with pytest.raises(kind) as caught:
        parse_call(name, data)
    return caught.value.code, caught.value.message, caught.value.hint


def test_names_and_parameters_are_never_changed() -> None:
    """The contract with workbooks."""
    table = {name: function.parameters for name, function in FUNCTIONS.items()}
    assert {name: table.get(name) for name in CONTRACT} == CONTRACT


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_has_a_field(name: str) -> None:
    """Except the table, which is many."""
    assert FUNCTIONS[name].field in {*FIELDS, "table"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_describes_itself(name: str) -> None:
    """What TabPy's forwarders are made from."""
    row = FUNCTIONS[name].describe()
    assert (row["name"], row["parameters"][0], set(row["required"]) <= set(row["parameters"])) == (name, "paths", True)


@pytest.mark.parametrize("data", [
    {"paths": ["a", None]}, [["a", None]], {"paths": ["a", None], "model": None}, [["a", None], ""],
    {"paths": ["a", None], "refresh": 7}, [["a", None], None, [1, 2, 3]]])
def test_arguments_come_by_name_or_in_order(data: Any) -> None:
    """`refresh` is taken and ignored."""
    expected = Call(FUNCTIONS["image_label"], ["a", None], None, {}, is_scalar=False)
    assert parse_call("image_label", data) == expected


@pytest.mark.parametrize(("value", "path"), [("a", "a"), (None, None), (1, "1"), (1.5, "1.5"), (True, "True")])
def test_a_scalar_is_a_column_of_one(value: Any, path: str | None) -> None:
    """And is answered as a scalar."""
    call = parse_call("image_label", {"paths": value})
    assert (call.paths, call.is_scalar) == ([path], True)


@pytest.mark.parametrize(("values", "column"), [
    ([], []), (["a", None], ["a", None]), ([1, "a", 2.5, None, False], ["1", "a", "2.5", None, "False"])])
def test_a_column_is_text_or_null(values: list[Any], column: list[str | None]) -> None:
    """Numbers become text: a column of file numbers is one of paths."""
    assert path_column(values) == column


@pytest.mark.parametrize("values", [[["a"]], ["a", {}], [None, [None]]])
def test_a_nested_column_is_refused(values: list[Any]) -> None:
    """A path is no list."""
    with pytest.raises(UnprocessableError, match="a path is a list or an object"):
        path_column(values)


@pytest.mark.parametrize("values", [None, "a", 1, {"a": 1}])
def test_what_is_no_list_is_no_column(values: Any) -> None:
    """Where only a column is taken."""
    with pytest.raises(BadRequestError, match="expected paths as a list"):
        path_column(values)


@pytest.mark.parametrize(("value", "text"), [
    (None, None), ("", None), ([], None), ([None, ""], None), ("a", "a"), (["a"], "a"), (["a", "a", None, "a"], "a")])
def test_a_repeated_value_is_one(value: Any, text: str | None) -> None:
    """Tableau repeats parameters, one a row."""
    assert single(value, "model") == text


def test_different_values_are_refused() -> None:
    """One view, one model."""
    with pytest.raises(UnprocessableError, match="model has 2 different values in one request"):
        single(["a", "b", "a"], "model")


@pytest.mark.parametrize("value", [1, [2.5], {"a": 1}, [["a"]], [{}], True, ["a", ["b"]]])
def test_what_is_no_text_is_refused(value: Any) -> None:
    """Also lists in lists and objects."""
    with pytest.raises(UnprocessableError) as caught:
        single(value, "model")
    assert caught.value.status == 422


def test_arguments_go_along_as_they_came() -> None:
    """The field makes sense of them."""
    call = parse_call("image_label_at", [["a", "b"], [1, 2], ["digits", "digits"]])
    assert (call.arguments, call.model) == ({"rank": [1, 2]}, "digits")


@pytest.mark.parametrize("rank", [[1], [1, 2], 1, None, "1"])
def test_an_argument_is_one_value_or_one_a_row(rank: Any) -> None:
    """Anything else is refused."""
    assert parse_call("image_label_at", {"paths": ["a", "b"], "rank": rank}).arguments == {"rank": rank}


@pytest.mark.parametrize("rank", [[1, 2, 3], []])
def test_an_argument_of_another_length_is_refused(rank: list[int]) -> None:
    """With both lengths."""
    code, message, hint = refusal(UnprocessableError, "image_label_at", {"paths": ["a", "b"], "rank": rank})
    expected = f"rank has {len(rank)} values, paths has 2"
    assert (code, message, hint) == ("lengths_differ", expected, "send one value, or one a row")


def test_an_unknown_function_is_refused_with_the_known_ones() -> None:
    """The hint is the list."""
    code, message, hint = refusal(UnknownError, "image_colour", {"paths": []})
    expected = ("unknown_function", "there is no function 'image_colour'", f"functions are {', '.join(FUNCTIONS)}")
    assert (code, message, hint) == expected


@pytest.mark.parametrize("data", [None, "a", 1, True])
def test_data_must_be_an_object_or_a_list(data: Any) -> None:
    """The message shows the form."""
    assert refusal(BadRequestError, "image_label", data) == (
        "no_data", 'expected {"data": {"paths": [...]}}', "data is an object or a list")


def test_an_unknown_argument_is_refused() -> None:
    """A slip of the pen must not be ignored."""
    code, message, hint = refusal(UnprocessableError, "image_label", {"paths": [], "modle": "digits"})
    assert (code, message, hint) == ("unknown_argument", "image_label has no argument 'modle'",
                                     "its arguments are paths, model, refresh")


def test_too_many_arguments_are_refused() -> None:
    """With those it takes."""
    code, message, _ = refusal(UnprocessableError, "image_label", [[], None, None, None])
    expected = "image_label takes 3 arguments (paths, model, refresh), received 4"
    assert (code, message) == ("too_many_arguments", expected)


@pytest.mark.parametrize(("name", "data", "missing"), [
    ("image_label", {}, "paths"), ("image_label", [], "paths"), ("image_label_at", [["a"]], "rank"),
    ("image_needs_review", {"threshold": 1}, "paths")])
def test_a_missing_argument_is_named(name: str, data: Any, missing: str) -> None:
    """Before anything is computed."""
    code, message, _ = refusal(UnprocessableError, name, data)
    assert (code, message) == ("missing_argument", f"{name} needs {missing!r}")
