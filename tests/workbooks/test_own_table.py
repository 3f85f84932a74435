"""`workbooks build --data`: the catalogue of somebody's own table, whatever columns it has."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from load_rules import faults
from PIL import Image
from schemas import errors, needs_schemas, schemas
from twbx import root_of

from workbooks.authoring import hyper
from workbooks.authoring.fields import Datatype
from workbooks.authoring.table import Table, from_csv
from workbooks.build import main

ENRICHED = [["商品コード", "Photo", "label", "confidence", "status", "map_x", "map_y", "Price ]x"],
            ["007", "a 画像.png", "7", "0.93", "ok", "1.5", "2", "10"],
            ["008", "sub/b.JPG", "3", "0.4", "ok", "1.25", "2.5", ""],
            ["009", "c.png", "", "", "file not found", "", "", "12"]]


def _written(folder: Path, rows: list[list[str]]) -> Path:
    path = folder / "my table.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def _built(folder: Path, rows: list[list[str]], *more: str) -> Path:
    assert main(["--data", str(_written(folder, rows)), "--out", str(folder / "out"), *more]) == 0
    return folder / "out" / "Image catalogue.twbx"


@pytest.mark.parametrize("storage", ["hyper", "csv"])
@pytest.mark.parametrize("target", ["2024.2", "2026.1"])
def test_an_enriched_table_becomes_a_catalogue(tmp_path: Path, storage: str, target: str) -> None:
    """Every column stays, the sheets are there, the load rules hold, in both forms and with both kinds of data."""
    Image.new("RGB", (20, 10), "red").save(tmp_path / "a 画像.png")
    path = _built(tmp_path, ENRICHED, "--extract", storage, "--tableau", target)
    root = root_of(path)
    assert faults(root) == []
    assert {str(one.get("name")) for one in root.iterfind("worksheets/worksheet")} >= {
        "Map", "Labels", "Similar pictures", "Needs review", "Count"}
    with zipfile.ZipFile(path) as archive:
        assert "Image/map.png" in archive.namelist()
        entry = "Data/CSV/catalogue.csv" if storage == "hyper" else "catalogue.csv"
        table = from_csv(archive.read(entry), "catalogue")
        assert list(table.columns) == ENRICHED[0]
        assert [row["商品コード"] for row in table.rows] == ["007", "008", "009"]
        if storage == "hyper":
            assert hyper.from_hyper(archive.read("Data/Extracts/catalogue.hyper"), "").columns["label"] == "string"


@needs_schemas
def test_both_kinds_of_data_are_valid(tmp_path: Path) -> None:
    """By Tableau's schemas."""
    for storage in ("hyper", "csv"):
        root = root_of(_built(tmp_path, ENRICHED, "--extract", storage, "--tableau", "2026.1"))
        assert [message for schema in schemas(tmp_path) for message in errors(schema, root)] == []


def test_sheets_without_their_columns_are_left_out(tmp_path: Path) -> None:
    """A path and a label are enough."""
    root = root_of(_built(tmp_path, [["path", "label"], ["a.png", "cat"], ["b.png", "dog"]]))
    assert faults(root) == []
    assert [one.get("name") for one in root.iterfind("worksheets/worksheet")] == ["Labels", "Count"]


def test_a_column_that_is_called_as_ours(tmp_path: Path) -> None:
    """No two fields read the same, and a column Model that is no model of ours is an ordinary one."""
    rows = [["path", "Map X", "label", "confidence", "map_x", "Needs Review", "Model"],
            ["a.png", "x", "cat", "0.5", "1", "no", "T4"], ["b.png", "y", "dog", "1", "2", "", ""]]
    root = root_of(_built(tmp_path, rows))
    assert faults(root) == []
    read = [str(one.get("caption") or str(one.get("name"))[1:-1])
            for one in root.iterfind("datasources/datasource[@caption='Pictures']/column")]
    assert len(set(read)) == len(read)
    assert {"Map X", "map_x", "Needs Review", "Needs Review (calculated)"} <= set(read)
    assert root.find("datasources/datasource[@name='Parameters']/column[@caption='Model']") is None


@pytest.mark.parametrize(("rows", "more", "said"), [
    ([["path", "colour"], ["a.png", "red"]], [], "has no column label"),
    ([["name", "label"], ["a", "cat"]], [], "--image-column"),
    ([["path", "label"], ["a.png", "cat"]], ["--image-column", "file"], "has no column file"),
    ([["path", "label"]], ["--image-column", "path"], "needs rows"),
    ([["path", "path"], ["a.png", "b"]], [], "a name of its own"),
    ([["path", "label"]], [], "needs rows"),
    ([["path", "label"], ["a.png"]], [], "row 2: 1 cells, the header has 2"),
    ([["photo", "label", "Label"], ["a.png", "cat", "x"]], [], "label and Label, which Tableau takes for one"),
    ([["photo", "PHOTO", "label"], ["a.png", "1", "x"]], [], "photo and PHOTO, which Tableau takes for one"),
    ([["path", "label", "confidence"], ["a.png", "cat", "0.4"], ["b.png", "cat", "95%"]], [],
     "row 3: confidence is '95%', and a number such as 0.95"),
    ([["path", "label", "confidence"], ["a.png", "cat", "True"]], [], "row 2: confidence is 'True'"),
    ([["path", "label", "map_x", "map_y"], ["a.png", "cat", "nan", "1"]], [], "row 2: map_x is 'nan'"),
    ([["path", "label", "map_x", "map_y"], ["a.png", "cat", "1", "-inf"]], [], "row 2: map_y is '-inf'"),
    ([["path", "label", "map_x", "map_y"], ["a.png", "cat", "1e308", "1"]], [], "row 2: map_x is '1e+308'"),
    ([["path", "label"], ["a.png", "c\1at"]], [], "c\\x01at\"' has the character U+0001"),
    ([["path", "label"], ["a\0.png", "cat"]], [], "'\"a\\x00.png\"' has the character U+0000"),
    ([["path", "label", "pri\1ce"], ["a.png", "cat", "1"]], [], "has the character U+0001"),
    ([["path", "label", "pri\1ce"], ["a.png", "cat", "1"]], ["--extract", "csv"], "has the character U+0001"),
])
def test_what_cannot_be_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: list[list[str]],
                                        more: list[str], said: str) -> None:
    """Status 1, and what to do."""
    assert main(["--data", str(_written(tmp_path, rows)), "--out", str(tmp_path / "out"), *more]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("storage", ["hyper", "csv"])
def test_an_empty_column_of_ours_is_a_number(tmp_path: Path, storage: str) -> None:
    """Where every row failed the formula still compares a number."""
    root = root_of(_built(tmp_path, [["path", "label", "confidence", "map_x"], ["a.png", "", "", ""]],
                          "--extract", storage))
    assert faults(root) == []
    types = {str(one.get("name")): one.get("datatype")
             for one in root.iterfind("datasources/datasource[@caption='Pictures']/column")}
    assert (types["[confidence]"], types["[map_x]"], types["[label]"]) == ("real", "real", "string")


def test_a_cell_may_be_long(tmp_path: Path) -> None:
    """As an embedding of a column of text is, beyond what Python reads by default."""
    path = _built(tmp_path, [["path", "label", "embedding"], ["a.png", "cat", "x" * 200_000]], "--extract", "csv")
    with zipfile.ZipFile(path) as archive:
        assert len(archive.read("catalogue.csv")) > 200_000


def test_drawings_that_can_lie_nowhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Said before a workbook is written."""
    table = _written(tmp_path, ENRICHED)
    assert main(["--data", str(table), "--out", str(tmp_path / "out"), "--drawings", str(table)]) == 1
    assert f"--drawings {table} cannot be a folder" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    (tmp_path / "drawn" / "image-catalogue.svg").mkdir(parents=True)
    assert main(["--data", str(table), "--out", str(tmp_path / "out"), "--drawings", str(tmp_path / "drawn")]) == 1
    assert "name another folder with --drawings." in capsys.readouterr().err


def test_files_that_are_no_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Missing, or in another encoding."""
    assert main(["--data", str(tmp_path / "none.csv")]) == 1
    (tmp_path / "sjis.csv").write_bytes("path,label\nあ.png,猫\n".encode("cp932"))
    assert main(["--data", str(tmp_path / "sjis.csv")]) == 1
    assert capsys.readouterr().err.count("\n") == 2


CELLS: dict[Datatype, st.SearchStrategy[object]] = {
    "string": st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), "boolean": st.booleans(),
    "integer": st.integers(-2**62, 2**62), "real": st.floats(allow_nan=False, allow_infinity=False)}


@given(st.data())
def test_tables_survive_csv(data: st.DataObject) -> None:
    """Any text, number, truth value or null comes back from the twin as it was."""
    types: list[Datatype] = data.draw(st.lists(st.sampled_from(sorted(CELLS)), min_size=1, max_size=4))
    columns = {f"c{number}": datatype for number, datatype in enumerate(types)}
    row = st.fixed_dictionaries({name: st.none() | CELLS[datatype] for name, datatype in columns.items()})
    rows = [one for one in data.draw(st.lists(row, max_size=5)) if len(columns) > 1 or one["c0"] is not None]
    table = Table("t", columns, rows)
    assert list(from_csv(table.to_csv(), "t", columns).rows) == rows
