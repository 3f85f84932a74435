"""The Prep script and the Table Extension through the real TabPy, in the text that Tableau makes of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from stack import Running, started

from models import digits
from server.functions import FUNCTIONS, TABLE_FIELDS

ROOT = Path(__file__).resolve().parent.parent
PREP = (ROOT / "workbooks" / "prep" / "pixfield_prep.py").read_text(encoding="utf-8")
EXTENSION = (ROOT / "workbooks" / "table_extension" / "pixfield_table.txt").read_text(encoding="utf-8")
KINDS = {"string": "prep_string", "number": "prep_decimal"}

BROUGHT = "import pandas as pd\n" + "".join(
    f"def {name}(): return ['{name}']\n" for name in ("prep_string", "prep_decimal", "prep_int", "prep_bool",
                                                      "prep_date", "prep_datetime"))
"""What Prep puts before the file: of the types only that they are functions without arguments is known."""
CALLED = """
execution_result = {call}
return execution_result.to_dict(orient='list') if isinstance(execution_result, pd.DataFrame) else execution_result
"""
"""What Prep puts behind it, as a log of TabPy's shows it (TabPy issue 556)."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Server and TabPy on four digits and a file that is no picture."""
    folder = tmp_path_factory.mktemp("画像 folder")
    for number, (_, data, _) in enumerate(digits.held_out()[:4]):
        (folder / f"数字 {number}.png").write_bytes(data)
    (folder / "broken.png").write_bytes(b"no picture")
    with started(tmp_path_factory.mktemp("state"), images=(folder,)) as stack:
        yield stack


TABLE: dict[str, list[Any]] = {
    "Größe": [1.5, 2.5, None, 4.5, 5.5, 6.5], "label": ["mine", "mine", None, "mine", "mine", "mine"],
    "Image Path": ["数字 0.png", "数字 1.png", None, "broken.png", "missing.png", "数字 0.png"]}
STATUS = ["ok", "ok", "no path given", "not an image, or of a kind that is not supported", "file not found", "ok"]


def evaluated(running: Running, script: str, table: dict[str, list[Any]]) -> requests.Response:
    """What Tableau sends: the whole table as one argument."""
    return requests.post(f"{running.tabpy}/evaluate", json={"script": script, "data": {"_arg1": table}}, timeout=60)


def prepped(running: Running, call: str, *, file: str = PREP, table: dict[str, list[Any]] = TABLE) -> requests.Response:
    """A request of Prep's; line ends are those of Windows."""
    script = (BROUGHT + file + CALLED.format(call=call)).replace("\n", "\r\n")
    return evaluated(running, script, table)


def expected(running: Running) -> dict[str, list[Any]]:
    """What `image_table` itself says."""
    answer = requests.post(f"{running.server}/query/image_table", json={"data": [TABLE["Image Path"]]}, timeout=60)
    table: dict[str, list[Any]] = answer.json()["response"]
    return table


def test_prep_gets_every_column(running: Running) -> None:
    """Row by row, nulls as nulls, in one call."""
    answer = prepped(running, "classify(pd.DataFrame(_arg1))")
    wanted = expected(running)
    assert (answer.status_code, answer.json()) == (200, {"Image Path": wanted.pop("path"), **wanted})
    assert answer.json()["status"] == STATUS


def test_prep_s_schema_is_what_comes(running: Running) -> None:
    """The same columns in the same order, with the types of the function table."""
    schema = prepped(running, "get_output_schema()").json()
    rows = json.loads(prepped(running, "classify(pd.DataFrame(_arg1))").text)
    assert list(schema) == list(rows)
    kinds = {"Image Path": "prep_string"} | {
        name: KINDS[FUNCTIONS[f"image_{name}"].returns] if name != "model" else "prep_string" for name in TABLE_FIELDS}
    assert schema == {name: [kind] for name, kind in kinds.items()}


def test_prep_keeps_the_columns_that_are_named(running: Running) -> None:
    """One that is called as an answer stays, and the answer gets another name."""
    file = PREP.replace("KEPT = {}", 'KEPT = {"label": "string", "Größe": "decimal"}')
    rows = prepped(running, "classify(pd.DataFrame(_arg1))", file=file).json()
    schema = prepped(running, "get_output_schema()", file=file).json()
    assert (rows["label"], rows["Größe"]) == (TABLE["label"], TABLE["Größe"])
    assert rows["label (Pixfield)"] == expected(running)["label"]
    assert (list(schema), schema["Größe"]) == (list(rows), ["prep_decimal"])


@pytest.mark.parametrize(("old", "new", "said"), [
    ('PATH_COLUMN = "Image Path"', 'PATH_COLUMN = "Path"', "There is no column 'Path': name one of Größe, label"),
    ("MODEL = None", 'MODEL = "nothing"', "There is no model 'nothing'"),
    ("KEPT = {}", 'KEPT = {"Preis": "decimal"}', "There is no column 'Preis'")])
def test_prep_s_flow_stops_with_the_reason(running: Running, old: str, new: str, said: str) -> None:
    """Where no row could have an answer."""
    answer = prepped(running, "classify(pd.DataFrame(_arg1))", file=PREP.replace(old, new))
    assert (answer.status_code, said in answer.json()["info"]) == (500, True)


def test_an_empty_table_stays_empty(running: Running) -> None:
    """As Prep sends it while a flow is made."""
    empty: dict[str, list[Any]] = {name: [] for name in TABLE}
    rows = prepped(running, "classify(pd.DataFrame(_arg1))", table=empty).json()
    assert rows == {name: [] for name in ("Image Path", *TABLE_FIELDS)}
    assert evaluated(running, EXTENSION, empty).json() == {
        **empty, "label (Pixfield)": [], **{name: [] for name in TABLE_FIELDS if name != "label"}}


def test_a_table_extension_gets_every_column(running: Running) -> None:
    """Beside its own; one that is called as an answer stays."""
    answer = evaluated(running, EXTENSION, TABLE)
    wanted = expected(running)
    del wanted["path"]
    wanted["label (Pixfield)"] = wanted.pop("label")
    assert (answer.status_code, answer.json()) == (200, TABLE | wanted)


@pytest.mark.parametrize(("old", "new", "said"), [
    ('PATH_COLUMN = "Image Path"', 'PATH_COLUMN = "Path"', "There is no column 'Path': name one of Größe, label"),
    ("MODEL = None", 'MODEL = "nothing"', "There is no model 'nothing'")])
def test_a_table_extension_says_what_is_wrong(running: Running, old: str, new: str, said: str) -> None:
    """In the error that Tableau shows."""
    answer = evaluated(running, EXTENSION.replace(old, new), TABLE)
    assert (answer.status_code, said in answer.json()["info"]) == (500, True)


def test_the_short_table_extension_of_the_page(running: Running) -> None:
    """docs/prep.md's one line works with TabPy and without."""
    page = (ROOT / "docs" / "prep.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^return tabpy.query.*$", page, re.MULTILINE)
    answers = [requests.post(f"{address}/evaluate", json={"script": line, "data": {"_arg1": TABLE}}, timeout=60).json()
               for address in (running.tabpy, running.server)]
    assert answers[0] == answers[1] == expected(running)


def test_the_page_names_the_files_and_columns() -> None:
    """Which are there."""
    page = (ROOT / "docs" / "prep.md").read_text(encoding="utf-8")
    named = re.findall(r"`(workbooks/[^`]+)`", page)
    assert len(named) >= 2
    assert all((ROOT / name).is_file() for name in named)
    assert set(TABLE_FIELDS) <= set(re.findall(r"`([a-z_]+)`", page))
