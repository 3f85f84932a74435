"""The same requests to the real TabPy and to the server itself: the answers are the same."""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from stack import Running, started

from models import digits
from server.functions import FUNCTIONS
from tabpy_functions.check import findings

ROWS = 12
ARGUMENTS: dict[str, list[Any]] = {"image_label_at": [2], "image_confidence_at": [2.0], "image_probability": ["3"],
                                   "image_needs_review": [0.99], "image_similarity": ["é 1.png"]}
LABEL = "return tabpy.query('image_label', _arg1)['response']"
STATUS = "return tabpy.query('image_status', _arg1)['response']"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits under plain, Japanese and accented names, and one file that is no picture."""
    target = tmp_path_factory.mktemp("画像 folder")
    for number, (name, data, _) in enumerate(digits.held_out()[:ROWS]):
        (target / (name, f"é {number}.png", f"数字 {number}.png")[number % 3]).write_bytes(data)
    (target / "broken.png").write_bytes(b"no picture")
    return target


@pytest.fixture(scope="module")
def running(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Server and TabPy on that folder."""
    with started(tmp_path_factory.mktemp("state"), images=(folder,), max_rows=11_000) as stack:
        yield stack


@pytest.fixture(scope="module")
def column(folder: Path) -> list[str | None]:
    """Good pictures, repeated ones, and every kind of row without an answer."""
    good = sorted(path.name for path in folder.iterdir() if path.name != "broken.png")
    return [*good, None, "*", "", "broken.png", "missing.png", "/etc/passwd", "../up.png", *good[:3], None]


def sent(address: str, script: str, **data: Any) -> tuple[int, Any]:
    """Status and value of what Tableau sends for a SCRIPT_ field."""
    answer = requests.post(f"{address}/evaluate", json={"script": script, "data": data}, timeout=60)
    return answer.status_code, answer.json()


def both(running: Running, script: str, **data: Any) -> Any:
    """What the two connections answer, which is the same."""
    by_tabpy, direct = (sent(address, script, **data) for address in (running.tabpy, running.server))
    assert (direct, direct[0]) == (by_tabpy, 200)
    return direct[1]


def script_of(name: str, count: int) -> str:
    """The script of a field with so many arguments."""
    return f"return tabpy.query('{name}', {', '.join(f'_arg{number + 1}' for number in range(count))})['response']"


# ---- the same columns --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_answers_the_same_column(running: Running, column: list[str | None], name: str) -> None:
    """Parameters repeated for each row, as Tableau sends them; the model pinned; and a refresh."""
    more = [[value] * len(column) for value in (*ARGUMENTS.get(name, []),
                                                *(["digits@1"] if FUNCTIONS[name].has_model else []), 7)]
    data = {f"_arg{number}": values for number, values in enumerate([column, *more], 1)}
    answer = both(running, script_of(name, len(data)), **data)
    assert all(len(values) == len(column) for values in (answer.values() if isinstance(answer, dict) else [answer]))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("paths", ["é 1.png", "*", None, [], ["é 1.png"], [None], [1, 2.5, True, "a\ud800.png"],
                                   [["a"]], {"a": ["b"]}])
def test_odd_columns(running: Running, name: str, paths: Any) -> None:
    """A scalar, no row, one row, what is no text, half of a surrogate pair, what is no column."""
    more = {f"_arg{number}": value for number, value in enumerate(ARGUMENTS.get(name, []), 2)}
    both(running, script_of(name, 1 + len(more)), _arg1=paths, **more)


@pytest.mark.parametrize("name", ["image_label", "image_status", "image_table"])
@pytest.mark.parametrize("model", [["nothing"], "nothing", ["digits", "digits@1", "digits"], ["digits"] * 2, [7] * 3,
                                   [None] * 3, "", [], "digits@none"])
def test_models_that_cannot_be(running: Running, name: str, model: Any) -> None:
    """Nulls of the column's length, and in image_status the same words."""
    both(running, script_of(name, 2), _arg1=["é 1.png", None, "broken.png"], _arg2=model)


@pytest.mark.parametrize(("name", "value"), [
    ("image_label_at", [0, 1, 99]), ("image_label_at", ["1", "x", None]), ("image_label_at", [1, 2]),
    ("image_label_at", None), ("image_needs_review", ["0.5", 0.5, True]), ("image_probability", [1, "1", "ü"]),
    ("image_similarity", [None, "broken.png", "é 1.png"]), ("image_similarity", [["a"], "b", "c"])])
def test_odd_arguments(running: Running, name: str, value: Any) -> None:
    """By row, of a wrong type, of a wrong length."""
    both(running, script_of(name, 2), _arg1=["é 1.png", "é 4.png", "é 7.png"], _arg2=value)


def test_a_column_of_several_pieces(running: Running) -> None:
    """TabPy's functions cut it at 10,000 rows; a piece at the end of its own, and parameters with it."""
    paths = ["é 1.png", None, "é 4.png", "missing.png"] * 2_600
    ranks = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, None, "x"] * 800
    assert len(paths) == len(ranks) == 10_400
    both(running, script_of("image_label_at", 2), _arg1=paths, _arg2=ranks)
    both(running, script_of("image_table", 2), _arg1=paths, _arg2=["digits"] * len(paths))


def test_more_rows_than_one_request_may_have(running: Running) -> None:
    """Here the server has the last word: nulls, and the reason in the status."""
    paths = ["é 1.png"] * 11_001
    assert sent(running.server, LABEL, _arg1=paths) == (200, [None] * 11_001)
    (status,) = set(sent(running.server, STATUS, _arg1=paths)[1])
    assert status.startswith("11,001 rows in one request; the limit is 11,000 (--max-rows)")


def test_too_many_rows_of_embeddings(running: Running) -> None:
    """Nulls: it never fails."""
    assert both(running, script_of("image_embedding", 1), _arg1=["é 1.png"] * 1_001) == [None] * 1_001


@pytest.mark.parametrize("script", [
    'return tabpy.query("image_label", _arg1)["response"]',
    "  return   tabpy . query( 'image_label' ,\r\n\t_arg1 , ) [ 'response' ]  # label\r\n",
    "return tabpy.query('image_label',paths=_arg1)['response']",
    "return tabpy.query('image_label', model='digits', paths=_arg1)['response']",
    "return (tabpy.query('image_' 'label', _arg1, None, -1.5)['response'])",
    "# Tableau\n\nreturn tabpy.query('image_label', _arg1, 'digits@1', 'Größe')['response']",
    "return tabpy.query('image_label', _arg1, \"it's\")['response']",
    "return tabpy.query('image_label_at', _arg1, 1)['response']",
    "return tabpy.query('image_label_at', _arg1, '1')['response']",
    "return tabpy.query('image_label_at', rank=_arg2, paths=_arg1)['response']",
    "return tabpy.query('image_label_at', _arg1, _arg2[0])['response']",
    "return tabpy.query('image_label_at', _arg1, _arg2[-1])['response']",
    "return tabpy.query('image_status', 'é 1.png')['response']",
    r"return tabpy.query('image_status', 'C:\pictures\a.png')['response']",
    "return tabpy.query('image_status', _arg1[2])['response']",
    "return tabpy.query('image_similarity', _arg1, _arg1)['response']",
    "return int(1)", " return int( 1 )\n"])
def test_scripts_in_every_spelling(running: Running, script: str) -> None:
    """Blanks, quotes, line ends, comments, constants, names, parts, repeats."""
    both(running, script, _arg1=["é 1.png", None, "é 7.png"], _arg2=[2, 2, 2])


def test_arguments_in_any_order(running: Running) -> None:
    """Tableau numbers them as the field has them."""
    both(running, "return tabpy.query('image_label_at', _arg3, _arg1)['response']", _arg1=[1, 2], _arg2=["x", "y"],
         _arg3=["é 1.png", "é 4.png"])


def test_a_table_extension(running: Running, column: list[str | None]) -> None:
    """The table as Tableau sends it: a dict of columns as the one argument."""
    script = "return tabpy.query('image_table', _arg1['Image Path'])['response']"
    table = both(running, script, _arg1={"Image Path": column, "Größe": [1] * len(column)})
    assert table["path"] == column


def test_model_extension_fields(running: Running, column: list[str | None]) -> None:
    """By the names that the field gives its arguments."""
    for name, arguments in (("image_label", {}), ("image_label_at", {"rank": [2] * len(column)})):
        data = {"data": {"paths": column, **arguments}}
        answers = [requests.post(f"{address}/query/{name}", json=data, timeout=60).json()["response"]
                   for address in (running.tabpy, running.server)]
        assert answers[0] == answers[1]


@pytest.mark.parametrize("how", ["form", "no type", "gzip"])
def test_transports(running: Running, how: str) -> None:
    """JSON that calls itself a form, as Tableau 2020.1 sends it, and gzip."""
    body = json.dumps({"script": LABEL, "data": {"_arg1": ["é 1.png"] * 500}}).encode()
    headers = {"form": {"Content-Type": "application/x-www-form-urlencoded"}, "no type": {},
               "gzip": {"Content-Encoding": "gzip", "Content-Type": "application/json"}}[how]
    answers = [requests.post(f"{address}/evaluate", data=gzip.compress(body) if how == "gzip" else body,
                             headers=headers, timeout=60) for address in (running.tabpy, running.server)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()


# ---- the same list of functions ----------------------------------------------------------------------------------


def test_info_says_what_tableau_looks_for(running: Running) -> None:
    """The same keys as TabPy's, and the same features."""
    by_tabpy, direct = (requests.get(f"{address}/info", timeout=30).json()
                        for address in (running.tabpy, running.server))
    assert (direct.keys(), direct["versions"]) == (by_tabpy.keys(), by_tabpy["versions"])


def test_the_list_of_functions_is_the_same(running: Running) -> None:
    """Description, docstring and schema; the comment in TabPy's says which deployment it was."""
    by_tabpy, direct = (requests.get(f"{address}/endpoints", timeout=30).json()
                        for address in (running.tabpy, running.server))
    for endpoint in by_tabpy.values():
        del endpoint["schema"]["input"]["$comment"]
    shown = ("description", "docstring", "schema", "type", "is_public", "version", "target", "dependencies")
    assert {name: {key: endpoint[key] for key in shown} for name, endpoint in direct.items()} == {
        name: {key: endpoint[key] for key in shown} for name, endpoint in by_tabpy.items()}
    assert requests.get(f"{running.server}/endpoints/image_label", timeout=30).json() == direct["image_label"]


def test_the_doctor_knows_it_from_a_tabpy(running: Running) -> None:
    """Whoever gives the server's address as TabPy's is told so."""
    options = argparse.Namespace(tabpy=running.server, server=running.server, token_file=None, tabpy_user=None,
                                 tabpy_password_file=None)
    (finding,) = findings(options, [])
    assert (finding.ok, "the Pixfield server itself" in finding.text) == (False, True)


# ---- errors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", [
    "", "return", "return (", "tabpy.query('image_label', _arg1)['response']",
    "return tabpy.query('image_lable', _arg1)['response']", "return tabpy.query('image_label', _arg2)['response']",
    "return tabpy.query('image_label')['response']", "return tabpy.query('image_label', nothing=_arg1)['response']",
    "return tabpy.query('image_label', _arg1, 1, 2, 3)['response']",
    "return tabpy.query('image_label', _arg1[3])['response']",
    "return tabpy.query('image_label', _arg1['x'])['response']"])
def test_mistakes_are_errors_of_both(running: Running, script: str) -> None:
    """In the form that Tableau shows: a message, and more about it."""
    by_tabpy, direct = (sent(address, script, _arg1=["é 1.png"]) for address in (running.tabpy, running.server))
    if script in ("", "return", "tabpy.query('image_label', _arg1)['response']"):
        assert by_tabpy[0] in (200, 500)  # TabPy answers with nothing, or fails; Tableau shows an empty column
    else:
        assert by_tabpy[0] in (404, 500)
        assert {"message", "info"} <= by_tabpy[1].keys()
    assert direct[0] in (404, 422)
    assert [type(direct[1][key]) for key in ("message", "info")] == [str, str]
