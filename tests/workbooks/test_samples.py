"""The three sample workbooks, as a user gets them: schema, load rules, extracts, and each live field through TabPy."""

from __future__ import annotations

import json
import re
import urllib.request
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from load_rules import faults
from schemas import EXPLAIN_DATA, errors, needs_schemas, schemas
from twbx import root_of

from workbooks import cli
from workbooks.authoring import hyper
from workbooks.authoring.fields import Field
from workbooks.authoring.package import write_package
from workbooks.authoring.table import from_csv
from workbooks.authoring.target import TARGETS
from workbooks.content.live import GROUPS

if TYPE_CHECKING:
    from workbook_fixtures import Built

pytest_plugins = ("workbook_fixtures",)
NAMES = ("Image catalogue", "Model quality", "Live")
MOST_KB = 1000


@pytest.fixture(scope="module")
def packages(built: Built, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """(workbook, target) -> its package."""
    folder = tmp_path_factory.mktemp("out")
    found = {}
    for name, workbook in built.workbooks.items():
        for target in TARGETS.values():
            found[name, target.name] = folder / target.name / f"{name}.twbx"
            write_package(found[name, target.name], workbook, target)
    return found


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", NAMES)
def test_load_rules_hold(packages: dict[tuple[str, str], Path], name: str, target: str) -> None:
    """Nothing that made Tableau refuse a workbook, or drop a part of it, is in ours."""
    assert faults(root_of(packages[name, target])) == []


@needs_schemas
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", NAMES)
def test_schemas_hold(packages: dict[tuple[str, str], Path], name: str, target: str, tmp_path: Path) -> None:
    """Tableau's own schemas find nothing; in the older form the one thing they find in every workbook of that form."""
    found = [message for schema in schemas(tmp_path) for message in errors(schema, root_of(packages[name, target]))]
    unknown = [message for message in found if not (target == "2024.2" and EXPLAIN_DATA in message)]
    assert unknown == []


@pytest.mark.parametrize("name", NAMES)
def test_extracts_equal_their_twins(packages: dict[tuple[str, str], Path], name: str) -> None:
    """What Hyper gives back is what the CSV beside it says, types and nulls included; it knows no order of rows."""
    with zipfile.ZipFile(packages[name, "2024.2"]) as archive:
        extracts = [entry for entry in archive.namelist() if entry.endswith(".hyper")]
        assert extracts
        for entry in extracts:
            there = hyper.from_hyper(archive.read(entry), Path(entry).stem)
            twin = from_csv(archive.read(f"Data/CSV/{there.name}.csv"), there.name, there.columns)
            assert there.columns == twin.columns
            assert sorted(there.rows, key=repr) == sorted(twin.rows, key=repr) != []


@pytest.mark.parametrize("name", NAMES)
def test_packages_are_small_and_hold_what_they_name(packages: dict[tuple[str, str], Path], name: str) -> None:
    """Below a megabyte; every file that the workbook names is there, and no name leaves the package."""
    path = packages[name, "2024.2"]
    assert path.stat().st_size < MOST_KB * 1000
    with zipfile.ZipFile(path) as archive:
        entries = set(archive.namelist())
        root = root_of(path)
        named = {str(one.get("dbname")) for one in root.iter("connection") if one.get("dbname")}
        named |= {str(zone.get("param")) for zone in root.iter("zone") if zone.get("type-v2") == "bitmap"}
        assert named <= entries
        assert not [entry for entry in entries if entry.startswith(("/", "..")) or ":" in entry or "\\" in entry]
        assert archive.testzip() is None


def test_the_same_again_is_the_same(built: Built, packages: dict[tuple[str, str], Path]) -> None:
    """Written over itself a package keeps its bytes; elsewhere all but the extracts are the same."""
    path = packages["Model quality", "2024.2"]
    before = path.read_bytes()
    write_package(path, built.workbooks["Model quality"], TARGETS["2024.2"])
    assert path.read_bytes() == before
    other = path.with_name("other.twbx")
    write_package(other, built.workbooks["Model quality"], TARGETS["2024.2"])
    assert _without_extracts(other) == _without_extracts(path)


def _without_extracts(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith(".hyper")}


def test_the_catalogue_says_what_the_server_says(built: Built) -> None:
    """All held-out digits, their labels right in 98.5 % at least; each has its eight most similar pictures."""
    catalogue = built.workbooks["Image catalogue"]
    tables = {source.table.name: source.table for source in catalogue.sources}
    rows = [row for row in tables["catalogue"].rows if row["Model"] == "digits"]
    assert len(rows) == 359
    assert sum(row["label"] == row["True Label"] for row in rows) / len(rows) >= 0.985
    assert all(row["thumbnail_url"].startswith("http://127.0.0.1:9005/v1/images/") for row in rows)
    chosen = rows[7]["Image Path"]
    similar = {row["similar_path"]: row["likeness"] for row in tables["similar"].rows if row["Image Path"] == chosen}
    paths = [row["Image Path"] for row in rows]
    asked = built.demo.client.classify(paths, "digits", ["similarity"], {"to": chosen})["similarity"]
    ranked = sorted(zip(asked, paths, strict=True), reverse=True)[1:9]
    assert list(similar.values()) == pytest.approx([value for value, _ in ranked], abs=2e-3)


def test_what_is_left_out_is_said(built: Built) -> None:
    """Every picture of each model has an answer, and no depth experiment was named."""
    counts = [re.fullmatch(r"(.+): (\d+) of (\d+) pictures classified", line) for line in built.said]
    counted = {found[1]: (found[2], found[3]) for found in counts if found}
    assert sorted(counted) == built.demo.client.models()
    assert all(answered == asked for answered, asked in counted.values())
    assert counted["digits"] == ("359", "359")
    assert "Model quality has no depth: no --depth depth.csv" in built.said


def test_the_document_shows_what_is_said(built: Built) -> None:
    """Each line of the command's output, sizes aside."""
    text = (Path(__file__).parents[2] / "docs" / "workbooks.md").read_text(encoding="utf-8")
    lines = [f"{one.name}.twbx: {len(one.sheets)} sheets, {len(one.dashboards)} dashboards,"
             f" {sum(len(source.table.rows) for source in one.sources):,} rows, " for one in built.workbooks.values()]
    assert [line for line in [*built.said, *lines] if line not in text] == []


def test_live_has_every_function(built: Built) -> None:
    """As a script and as a model extension, each on exactly one sheet; the front is answers of the extract."""
    live = built.workbooks["Live"]
    functions = {one["name"] for one in built.demo.client.get("v1", "functions")["functions"]} - {"image_table"}
    for form in ("script", "model extension"):
        placed = [re.findall(r"image_\w+", pill.field.formula)[0] for sheet in live.sheets for pill in sheet.pills
                  if pill.field.is_script and f"({form})" in pill.field.caption]
        assert sorted(placed) == sorted(functions)
    front = live.dashboards[0]
    assert not [pill for sheet in front.sheets for pill in sheet.pills if pill.field.is_script]
    assert {name for names in GROUPS.values() for name in names} == functions


def test_every_live_field_is_one_request(built: Built) -> None:
    """Each field, sent to the real TabPy as Tableau would, answers the whole column with the right types at once."""
    live = built.workbooks["Live"]
    values = {one.reference: one.value for one in live.parameters}
    rows = [row for row in live.sources[0].table.rows if row["Model"] == values["[Parameters].[Model]"]]
    fields = {one.name: one for one in live.sources[0].fields.values() if one.is_script}
    wrong = []
    for one in fields.values():
        column = _asked(built.demo.tabpy, one, [str(row["Image Path"]) for row in rows], values)
        twin = one.of(rows[0], {parameter.caption: parameter.value for parameter in live.parameters})
        is_known = "Embedding" in one.caption or column[0] == pytest.approx(twin, abs=1e-4)
        if len(column) != len(rows) or not is_known or not _is_of(one, column):
            wrong.append((one.caption, column[:2], twin))
    assert wrong == []
    assert len(fields) == 48


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", NAMES)
def test_the_check_finds_nothing(built: Built, packages: dict[tuple[str, str], Path], name: str, target: str,
                                 capsys: pytest.CaptureFixture[str]) -> None:
    """`workbooks check --run` reads them afresh: every field is deployed, well called, and answers in one request."""
    status = cli.main(["check", str(packages[name, target]), "--tabpy", built.demo.tabpy, "--run", "--json"])
    said = json.loads(capsys.readouterr().out)
    sent = [ran["requests"] for field in said["fields"] for ran in field["replays"]]
    assert (status, said["findings"], [one for one in said["said"] if one["level"] != "note"]) == (0, 0, [])
    assert sent == [1] * (48 if name == "Live" else 0)


def _is_of(one: Field, column: list[Any]) -> bool:
    wanted = {"string": str, "real": int | float, "boolean": bool}[one.datatype]
    return all(value is None or isinstance(value, wanted) for value in column)


def _asked(tabpy: str, one: Field, paths: list[str], values: dict[str, Any]) -> list[Any]:
    """The answer to the formula: every argument is a column, a parameter's value is repeated."""
    tokens = re.findall(r'"(?:[^"]*)"|ATTR\(\[Image Path\]\)|\[Parameters\]\.\[[^\]]+\]', one.formula)
    quoted = [token[1:-1] for token in tokens if token[0] == '"']
    columns = [paths if token.startswith("ATTR") else [values[token]] * len(paths) for token in tokens
               if token[0] != '"']
    if one.formula.startswith("SCRIPT_"):
        data = {f"_arg{number}": column for number, column in enumerate(columns, 1)}
        answer: list[Any] = _post(f"{tabpy}/evaluate", {"script": quoted[0], "data": data})
        return answer
    function, *names = quoted
    body = {"data": dict(zip(names, columns, strict=True))}
    response: list[Any] = _post(f"{tabpy}/query/{function}", body)["response"]
    return response


def _post(url: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)
