"""`run.py classify` against the real server: every format in and out, and what may stand in a table."""

from __future__ import annotations

import csv
import datetime as dt
import re
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stack import Running, started

from models import digits
from workbooks.enrich.__main__ import main

COLUMN = "画像 パス"
FOLDER = "手書き 数字"
COUNT = 60
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a folder of digits, whose names have blanks and Japanese letters, and a file that is no picture."""
    target = tmp_path_factory.mktemp("表 と 画像")
    (target / FOLDER).mkdir()
    for number, (_, data, _) in zip(range(COUNT), digits.held_out(), strict=False):
        (target / FOLDER / name_of(number)).write_bytes(data)
    (target / FOLDER / "壊れた.png").write_bytes(b"no picture")
    return target


@pytest.fixture(scope="module")
def running(pictures: Path) -> Iterator[Running]:
    """The server that may read them."""
    (pictures / "state").mkdir()
    with started(pictures / "state", images=(pictures,), no_tabpy=True) as stack:
        yield stack


def name_of(number: int) -> str:
    """A file's name, as analysts have them."""
    return f"数字 {number:03d}.png"


def rows_of(count: int = COUNT) -> Rows:
    """A table: a path, a text that looks like a number, numbers, a date, a truth; one cell empty in each of two."""
    return [{COLUMN: f"{FOLDER}/{name_of(number)}", "番号": f"{number:04d}", "price": number * 1.5, "count": number,
             "day": dt.date(2024, 1, 1 + number % 28), "is new": number % 2 == 0} for number in range(count)]


def as_csv(path: Path, rows: Rows, **options: Any) -> Path:
    """The rows as a CSV file."""
    with path.open("w", encoding=options.pop("encoding", "utf-8"), newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), **options)
        writer.writeheader()
        writer.writerows(rows)
    return path


def as_excel(path: Path, rows: Rows) -> Path:
    """The rows as the second sheet of a workbook."""
    book = openpyxl.Workbook()
    page = book.create_sheet("売上 一覧")
    page.append(list(rows[0]))
    for row in rows:
        page.append(list(row.values()))
    book.save(path)
    return path


def as_parquet(path: Path, rows: Rows) -> Path:
    """The rows as a Parquet file of small row groups."""
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=7)
    return path


def read(path: Path) -> Rows:
    """What OUT has: texts of a CSV file, values with their types of the others."""
    if path.suffix == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))
    if path.suffix == ".parquet":
        found: Rows = pq.read_table(path).to_pylist()
        return found
    pantab = pytest.importorskip("pantab")
    rows: Rows = pantab.frame_from_hyper(path, table=("Extract", "Extract"), return_type="pyarrow").to_pylist()
    return rows


def inferences(running: Running) -> float:
    """How many pictures the model was asked for so far."""
    with urllib.request.urlopen(f"{running.server}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    return sum(map(float, re.findall(r"^pixfield_inferences_total\S* (\S+)$", text, re.MULTILINE)))


def classify(running: Running, source: Path, out: Path, *words: str) -> int:
    """The command, as a user gives it."""
    return main([str(source), "--image-column", COLUMN, "--server", running.server, "--out", str(out), *words])


@pytest.mark.parametrize("out", ["答え 1.csv", "答え 2.parquet", "答え 3.hyper"])
@pytest.mark.parametrize(("make", "source", "words"), [
    (as_csv, "表 1.csv", []), (as_excel, "表 2.xlsx", ["--sheet", "売上 一覧"]), (as_parquet, "表 3.parquet", [])])
def test_every_format_goes_into_every_other(running: Running, pictures: Path, tmp_path: Path, make: Any, source: str,
                                            words: list[str], out: str) -> None:
    """All rows in order, all columns with their values (and types where the format has them), answers beside them."""
    rows = rows_of()
    table = make(pictures / source, rows)
    assert classify(running, table, tmp_path / out, "--fields", "label,confidence,needs_review", "--threshold", "0.5",
                    *words) == 0
    found = read(tmp_path / out)
    written = str if make is as_csv else as_text  # what is written in a CSV file stays as it is
    expected = [{name: written(value) for name, value in row.items()} for row in rows] if out.endswith(".csv") else rows
    assert [{name: row[name] for name in rows[0]} for row in found] == expected
    assert list(found[0]) == [*rows[0], "label", "confidence", "needs_review", "status"]
    assert {row["status"] for row in found} == {"ok"}
    assert {type(row["confidence"]) for row in found} == ({str} if out.endswith(".csv") else {float})
    assert [path.name for path in tmp_path.iterdir()] == [out]


def as_text(value: object) -> str:
    """A typed value in a CSV file."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_answers_are_the_servers(running: Running, pictures: Path, tmp_path: Path) -> None:
    """The labels of the digits, nearly all of them right."""
    table = as_csv(pictures / "truth.csv", rows_of())
    assert classify(running, table, tmp_path / "out.csv") == 0
    truth = [label for _, (_, _, label) in zip(range(COUNT), digits.held_out(), strict=False)]
    assert sum(row["label"] == label for row, label in zip(read(tmp_path / "out.csv"), truth, strict=True)) >= COUNT - 2


def test_a_second_run_infers_nothing(running: Running, pictures: Path, tmp_path: Path) -> None:
    """Neither does one on another table of the same pictures; one picture that has changed is one inference."""
    table = as_csv(pictures / "again.csv", rows_of())
    assert classify(running, table, tmp_path / "out.csv") == 0
    before, first = inferences(running), read(tmp_path / "out.csv")
    assert classify(running, table, tmp_path / "out.csv") == 0
    assert classify(running, as_parquet(pictures / "again.parquet", rows_of()), tmp_path / "out.parquet") == 0
    assert (inferences(running) - before, read(tmp_path / "out.csv")) == (0, first)
    changed = pictures / FOLDER / "new.png"
    changed.write_bytes(digits.as_png(digits.load().ink[1000] // 2))
    more = as_csv(pictures / "more.csv", [*rows_of(), {**rows_of(1)[0], COLUMN: f"{FOLDER}/new.png"}])
    assert classify(running, more, tmp_path / "out.csv") == 0
    assert inferences(running) - before == 1


def test_a_folder_is_a_table(running: Running, pictures: Path, tmp_path: Path) -> None:
    """Paths relative to it, the class folder beside them; what is no picture keeps its reason."""
    assert main([str(pictures), "--server", running.server, "--out", str(tmp_path / "out.parquet")]) == 0
    found = read(tmp_path / "out.parquet")
    assert list(found[0]) == ["path", "class", "label", "confidence", "status"]
    assert [row["path"] for row in found] == sorted(row["path"] for row in found)
    assert {row["class"] for row in found} == {FOLDER}
    assert {row["path"]: row["status"] for row in found if row["status"] != "ok"} == {
        f"{FOLDER}/壊れた.png": "not an image, or of a kind that is not supported"}


def test_rows_without_an_answer_keep_their_reason(running: Running, pictures: Path, tmp_path: Path,
                                                  capsys: pytest.CaptureFixture[str]) -> None:
    """Broken, missing, outside and empty ones are rows as all others, and the end says how many."""
    paths = [f"{FOLDER}/{name_of(0)}", f"{FOLDER}/壊れた.png", "none.png", "/etc/passwd", ""]
    table = as_csv(pictures / "broken.csv", [{COLUMN: path, "n": number} for number, path in enumerate(paths)])
    assert classify(running, table, tmp_path / "out.csv") == 0
    found = read(tmp_path / "out.csv")
    assert [row["n"] for row in found] == ["0", "1", "2", "3", "4"]
    assert [row["status"] for row in found] == [
        "ok", "not an image, or of a kind that is not supported", "file not found",
        "outside the allowed folders (--images)", "no path given"]
    assert [row["label"] == "" for row in found] == [False, True, True, True, True]
    assert "1 of 5 rows have an answer" in capsys.readouterr().out


def test_a_name_clash_is_resolved_and_said(running: Running, pictures: Path, tmp_path: Path,
                                           capsys: pytest.CaptureFixture[str]) -> None:
    """Also where only the case differs, which Tableau takes for one name; the table's own columns keep theirs."""
    rows = [{COLUMN: f"{FOLDER}/{name_of(0)}", "Label": "mine", "label_2": "too", "Status": "new"}]
    table = as_csv(pictures / "clash.csv", rows)
    assert classify(running, table, tmp_path / "out.csv") == 0
    found = read(tmp_path / "out.csv")[0]
    assert list(found) == [COLUMN, "Label", "label_2", "Status", "label_3", "confidence", "status_2"]
    assert (found["Label"], found["Status"], found["status_2"]) == ("mine", "new", "ok")
    assert "The column label of answers is called label_3" in capsys.readouterr().out


@pytest.mark.parametrize("out", ["out.csv", "out.parquet", "out.hyper"])
def test_an_empty_table_becomes_one_with_more_columns(running: Running, pictures: Path, tmp_path: Path, out: str
                                                      ) -> None:
    """Without a row, with all its columns."""
    table = pictures / "empty.csv"
    table.write_text(f"{COLUMN},n\n", encoding="utf-8")
    assert classify(running, table, tmp_path / out) == 0
    assert read(tmp_path / out) == []
    names = (tmp_path / out).read_text(encoding="utf-8-sig").strip().split(",") if out.endswith("csv") else None
    assert names in (None, [COLUMN, "n", "label", "confidence", "status"])


def test_types_survive_from_parquet_to_parquet(running: Running, pictures: Path, tmp_path: Path) -> None:
    """Every column's type and what pandas noted of it."""
    frame = pd.DataFrame({COLUMN: pd.Categorical([f"{FOLDER}/{name_of(number % 3)}" for number in range(30)]),
                          "small": pd.array(range(30), "UInt8"), "time": pd.Timestamp("2024-05-06", tz="Asia/Tokyo"),
                          "list": [[number] for number in range(30)], "none": [None] * 30})
    frame.to_parquet(pictures / "types.parquet", row_group_size=7)
    assert classify(running, pictures / "types.parquet", tmp_path / "out.parquet") == 0
    before, after = (pq.read_table(path) for path in (pictures / "types.parquet", tmp_path / "out.parquet"))
    assert after.select(before.column_names).to_pylist() == before.to_pylist()
    assert [after.schema.field(name).type for name in before.column_names] == before.schema.types
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out.parquet")[frame.columns], pd.read_parquet(
        pictures / "types.parquet"))


def test_paths_begin_where_the_user_says(running: Running, pictures: Path, tmp_path: Path,
                                         capsys: pytest.CaptureFixture[str]) -> None:
    """At the table, else at --base, else as the server has them; where nothing is found the first rows say so."""
    table = as_csv(tmp_path / "elsewhere.csv", [{COLUMN: f"{FOLDER}/{name_of(0)}"}])
    for words, status in (([], "outside the allowed folders (--images)"), (["--base", str(pictures)], "ok"),
                          (["--as-written"], "ok")):
        assert classify(running, table, tmp_path / "out.csv", *words) == 0
        assert read(tmp_path / "out.csv")[0]["status"] == status
    said = capsys.readouterr().out
    assert "None of the first 1 pictures has an answer, mostly: outside the allowed folders (--images);" in said
    assert f"relative paths are taken from {tmp_path} (--base)." in said


@pytest.mark.parametrize(("words", "said"), [
    (["--fields", "labels"], "There is no field 'labels': --fields takes border_share, cached, cluster, "),
    (["--fields", "needs_review"], "The field needs_review needs --threshold."),
    (["--model", "nobody"], "refuses (404): There is no model 'nobody'"),
    (["--server", "http://127.0.0.1:9"], "No server answers at http://127.0.0.1:9: start it there"),
    (["--out", "x.xls"], "--out x.xls: expected a name that ends in .csv, .parquet, .hyper."),
    (["--publish"], "--publish needs a .hyper file: name --out "),
    (["--base", "nowhere"], "--base nowhere: there is no such folder."),
    (["--rank", "0"], "--rank 0: ranks begin with 1, the most probable class."),
    (["--rank", "11"], "--rank 11: digits@1 has 10 classes."),
    *[(["--fields", "needs_review", "--threshold", limit], f"--threshold {limit}: expected a confidence from 0 to 1")
      for limit in ("nan", "7", "-0.1")],
    (["--fields", "probability", "--label", "nope"], "--label nope: digits@1 has no such class; it has 0, 1, 2, "),
    (["--fields", "similarity", "--to", "nope.png"], "/nope.png: file not found. Name a picture"),
])
def test_a_wrong_option_is_one_sentence(running: Running, pictures: Path, tmp_path: Path, words: list[str], said: str,
                                        capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2, nothing written, and what to do."""
    table = as_csv(pictures / "options.csv", rows_of(1))
    assert classify(running, table, tmp_path / "out.csv", *words) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_without_its_package_an_extract_is_refused_first(running: Running, pictures: Path, tmp_path: Path,
                                                         monkeypatch: pytest.MonkeyPatch,
                                                         capsys: pytest.CaptureFixture[str]) -> None:
    """With the command that installs it, before any picture is asked for; other formats need none."""
    monkeypatch.setitem(sys.modules, "pantab", None)
    table = as_csv(pictures / "plain.csv", rows_of(1))
    assert classify(running, table, tmp_path / "out.hyper") == 2
    said = capsys.readouterr()
    assert (said.out, "install it with python run.py tableau" in said.err) == ("", True)
    assert classify(running, table, tmp_path / "out.parquet") == 0


def test_a_missing_column_and_an_unreadable_table_are_said(running: Running, pictures: Path, tmp_path: Path,
                                                           capsys: pytest.CaptureFixture[str]) -> None:
    """With the columns there are."""
    table = as_csv(pictures / "columns.csv", [{"Path": "a.png", "n": 1}])
    files = {"text.xlsx": "is not an Excel workbook", "text.parquet": "cannot be read as Parquet",
             "none.csv": "There is no file or folder", "text.docx": "expected a folder of pictures or a file that ends",
             "empty.csv": "is empty: expected a first line with the names of the columns",
             "kanji.csv": "name the right one, such as --encoding cp932"}
    for name in files:
        if name != "none.csv":
            (tmp_path / name).write_bytes("画像\n写真.png\n".encode("cp932") if "kanji" in name else
                                          b"" if "empty" in name else b"text")
    assert classify(running, table, tmp_path / "out.csv") == 2
    assert "There is no column '画像 パス': name one of Path, n with --image-column." in capsys.readouterr().err
    for name, said in files.items():
        assert classify(running, tmp_path / name, tmp_path / "out.csv") == 2
        assert said in capsys.readouterr().err
