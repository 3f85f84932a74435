"""Columns as Tableau asks for them: the real server, the real TabPy, Tableau's own request bodies."""

from __future__ import annotations

import gzip
import json
import math
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stack import Running, started

from models import digits
from server.functions import FUNCTIONS, TABLE_FIELDS

ROWS = 24
REAL = {"number": float, "string": str, "boolean": bool}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits under plain, Japanese and accented names, and one file that is no picture."""
    target = tmp_path_factory.mktemp("画像 folder")
    for number, (name, data, _) in enumerate(digits.held_out()[:ROWS]):
        (target / (name, f"数字 {number}.png", f"é{number}.png")[number % 3]).write_bytes(data)
    (target / "broken.png").write_bytes(b"no picture")
    return target


@pytest.fixture(scope="module")
def paths(folder: Path) -> list[str]:
    """The good pictures, relative."""
    return sorted(path.name for path in folder.iterdir() if path.name != "broken.png")


@pytest.fixture(scope="module")
def running(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Server and TabPy on that folder."""
    with started(tmp_path_factory.mktemp("state"), images=(folder,)) as stack:
        yield stack


def evaluate(running: Running, script: str, headers: dict[str, str] | None = None, **data: Any) -> Any:
    """What Tableau sends for a SCRIPT_ field."""
    body = json.dumps({"data": data, "script": script}).encode()
    if headers and headers.get("Content-Encoding") == "gzip":
        body = gzip.compress(body)
    return post(f"{running.tabpy}/evaluate", body, headers)


def post(url: str, body: bytes, headers: dict[str, str] | None = None) -> Any:
    """The JSON answer."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"} | (headers or {}))
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def field(running: Running, name: str, *columns: Any) -> Any:
    """The column of a calculated field."""
    arguments = ", ".join(f"_arg{number}" for number in range(1, len(columns) + 1))
    data = {f"_arg{number}": column for number, column in enumerate(columns, 1)}
    return evaluate(running, f"return tabpy.query('{name}', {arguments})['response']", **data)


ARGUMENTS: dict[str, list[Any]] = {"image_label_at": [2], "image_confidence_at": [2], "image_probability": ["3"],
                                   "image_needs_review": [0.99], "image_similarity": ["é2.png"]}


def test_every_function_is_deployed_public(running: Running) -> None:
    """The function explorer shows each with its description and schema."""
    with urllib.request.urlopen(f"{running.tabpy}/endpoints", timeout=30) as answer:
        endpoints = json.load(answer)
    shown = {name: endpoint["description"] for name, endpoint in endpoints.items() if endpoint["is_public"]}
    assert {name: text.startswith(FUNCTIONS[name].description[:20]) for name, text in shown.items()} \
        == dict.fromkeys(FUNCTIONS, True)
    assert all(endpoint["schema"]["input"]["properties"].keys() >= {"paths"} for endpoint in endpoints.values())


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"image_table"}))
def test_every_function_answers_a_column(running: Running, paths: list[str], name: str) -> None:
    """Same length, the type of the table or null, never NaN."""
    column = field(running, name, paths, *[[value] * len(paths) for value in ARGUMENTS.get(name, [])])
    assert len(column) == len(paths)
    wanted = REAL[FUNCTIONS[name].returns]
    assert {type(value) for value in column} <= {wanted, int if wanted is float else wanted, type(None)}
    assert not any(isinstance(value, float) and math.isnan(value) for value in column)
    if name != "image_note":
        assert None not in column


def test_labels_are_right(running: Running, folder: Path, paths: list[str]) -> None:
    """What comes back through TabPy is what the pictures show."""
    truth = {data: label for _, data, label in digits.held_out()}
    expected = [truth[(folder / path).read_bytes()] for path in paths]
    column = field(running, "image_label", paths)
    assert sum(got == want for got, want in zip(column, expected, strict=True)) >= ROWS - 1


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_partition_proof(running: Running, paths: list[str], data: st.DataObject) -> None:
    """Whatever else is in the column, a picture has the same values."""
    whole = dict(zip(paths, zip(*[field(running, name, paths) for name in ("image_label", "image_confidence",
                                                                          "image_entropy")], strict=True), strict=True))
    part = data.draw(st.lists(st.sampled_from([*paths, None, "broken.png", "missing.png", "*"]), min_size=1))
    columns = [field(running, name, part) for name in ("image_label", "image_confidence", "image_entropy")]
    nothing = (None, None, None)
    assert list(zip(*columns, strict=True)) == [whole.get(path or "", nothing) for path in part]


def test_rows_that_fail_say_why(running: Running, paths: list[str]) -> None:
    """A null and a reason for each, and the good row beside them is answered."""
    column = [paths[0], None, "*", "", "broken.png", "missing.png", "/etc/passwd", "../up.png", ".", "a\ud800.png"]
    assert [value is None for value in field(running, "image_label", column)] == [False] + [True] * 9
    assert field(running, "image_status", column) == [
        "ok", "no path given", "several paths in one mark (ATTR gave *): put the path field on Detail", "no path given",
        "not an image, or of a kind that is not supported", "file not found", "outside the allowed folders (--images)",
        "outside the allowed folders (--images)", "this is a folder, not a picture", "file not found"]


def test_one_row_and_repeats(running: Running, paths: list[str]) -> None:
    """One row comes back as one row, repeats as repeats."""
    (label,) = field(running, "image_label", paths[:1])
    assert field(running, "image_label", paths[:1] * 7) == [label] * 7


def test_parameters_come_as_lists(running: Running, paths: list[str]) -> None:
    """A Tableau parameter arrives repeated; a single value and one value mean the same."""
    rows = len(paths)
    as_list = field(running, "image_label", paths, ["digits"] * rows)
    assert as_list == field(running, "image_label", paths, ["digits"]) == field(running, "image_label", paths, "digits")
    assert as_list == field(running, "image_label", paths, ["digits@1"] * rows, [7] * rows)


def test_model_extension_forms(running: Running, paths: list[str]) -> None:
    """MODEL_EXTENSION_ fields send names, other clients positions: the same answer."""
    expected = field(running, "image_label", paths)
    named = post(f"{running.tabpy}/query/image_label", json.dumps({"data": {"paths": paths}}).encode())
    positional = post(f"{running.tabpy}/query/image_label", json.dumps({"data": [paths]}).encode())
    assert named["response"] == positional["response"] == expected


def test_odd_transports(running: Running, paths: list[str]) -> None:
    """gzip, and JSON that calls itself a form, as Tableau 2020.1 sends it."""
    script = "return tabpy.query('image_label', _arg1)['response']"
    expected = field(running, "image_label", paths)
    assert evaluate(running, script, {"Content-Encoding": "gzip"}, _arg1=paths) == expected
    assert evaluate(running, script, {"Content-Type": "application/x-www-form-urlencoded"}, _arg1=paths) == expected


def test_table_extension(running: Running, paths: list[str]) -> None:
    """A Table Extension sends a dict of columns and gets one back."""
    script = "return tabpy.query('image_table', _arg1['Image Path'])['response']"
    table = evaluate(running, script, _arg1={"Image Path": paths})
    assert {name: len(column) for name, column in table.items()} == dict.fromkeys(
        ("path", *TABLE_FIELDS), len(paths))
    assert table["status"] == ["ok"] * len(paths)


def test_connection_test(running: Running) -> None:
    """What Tableau sends before anything else."""
    assert evaluate(running, "return int(1)", _arg1=[4]) == 1


def test_unknown_model_is_said_in_the_status(running: Running, paths: list[str]) -> None:
    """Nulls of the column's length, and the reason where one looks for it."""
    rows = len(paths)
    assert field(running, "image_label", paths, ["nothing"] * rows) == [None] * rows
    (status,) = set(field(running, "image_status", paths, ["nothing"] * rows))
    assert "digits" in status
    assert "nothing" in status


def test_a_million_characters_and_odd_values(running: Running) -> None:
    """Nothing an analyst can send makes the request fail."""
    column = ["x" * 1_000_000, 12, 1.5, True, "\u0000", "\u200b", "C:\\pictures\\a.png", "file:///a.png", "con",
              "💥.png"]
    statuses = field(running, "image_status", column)
    assert len(statuses) == len(column)
    assert "ok" not in statuses


def test_without_a_server_the_column_is_null(tmp_path: Path, folder: Path, paths: list[str]) -> None:
    """TabPy goes on answering, and says what to start."""
    with started(tmp_path, images=(folder,)) as stack:
        assert None not in field(stack, "image_label", paths)
        stack.supervisor.child("server").stop(20)
        assert field(stack, "image_label", paths) == [None] * len(paths)
        (status,) = set(field(stack, "image_status", paths))
        assert "python run.py serve" in status


def test_unknown_script_functions_fail_as_in_tabpy(running: Running) -> None:
    """A name that is not deployed stays TabPy's own 404."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        field(running, "image_lable", ["a.png"])
    assert caught.value.code == 404
    caught.value.close()
