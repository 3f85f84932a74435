"""`run.py classify` where something is odd: names, pipes, tokens, and nobody who reads what it says."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from stack import Running, started

from models import digits
from workbooks.enrich.__main__ import main

COLUMN = "path"
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one picture, whose name begins with blanks, and another folder with the same one."""
    folder = tmp_path_factory.mktemp("blanks")
    (folder / "plain").mkdir()
    (folder / "plain" / "a.png").write_bytes(next(iter(digits.held_out()))[1])
    (folder / "  a.png").write_bytes(next(iter(digits.held_out()))[1])
    return folder


@pytest.fixture(scope="module")
def running(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The server that may read it."""
    with started(tmp_path_factory.mktemp("state"), images=(pictures,), no_tabpy=True) as stack:
        yield stack


def table_in(folder: Path) -> Path:
    """A table of one row."""
    (folder / "t.csv").write_text(f"{COLUMN}\nnone.png\n", encoding="utf-8")
    return folder / "t.csv"


def rows_in(out: Path) -> list[dict[str, str]]:
    """What was written."""
    with out.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def classify(running: Running, source: Path, out: Path, *words: str) -> int:
    """The command, as a user gives it."""
    return main([str(source), "--image-column", COLUMN, "--server", running.server, "--out", str(out), *words])


def test_names_with_blanks_in_front_are_found(running: Running, pictures: Path, tmp_path: Path) -> None:
    """In a folder, where they belong to the name."""
    assert main([str(pictures), "--server", running.server, "--out", str(tmp_path / "out.csv")]) == 0
    assert [(row["path"], row["status"]) for row in rows_in(tmp_path / "out.csv")] == [("  a.png", "ok"),
                                                                                  ("plain/a.png", "ok")]


def test_out_is_written_where_nobody_reads_what_is_said(running: Running, tmp_path: Path) -> None:
    """As with `| head -1`."""
    command = [sys.executable, "-m", "workbooks.enrich", str(table_in(tmp_path)), "--image-column", COLUMN,
               "--server", running.server, "--out", str(tmp_path / "out.csv")]
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(command, cwd=ROOT, stdout=write_end, stderr=subprocess.PIPE,
                          check=False, env=os.environ | {"PYTHONUTF8": "1"})
    os.close(write_end)
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(rows_in(tmp_path / "out.csv")) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are none")
def test_an_input_that_is_no_file_is_said(running: Running, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pipe is not waited for; a name that is too long is no traceback, either as INPUT or as OUT."""
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "t.csv").write_text("a\n", encoding="utf-8")
    long = tmp_path / ("a" * 300 + ".csv")
    for source, out, said in ((tmp_path / "pipe.csv", tmp_path / "out.csv", "is a pipe or a device"),
                              (long, tmp_path / "out.csv", "cannot be looked at (File name too long): name another"),
                              (tmp_path / "t.csv", long, "cannot be looked at (File name too long): name another")):
        assert classify(running, source, out) == 2
        assert said in capsys.readouterr().err


@pytest.mark.parametrize("has_token", [True, False])
def test_a_wrong_token_is_told_from_none(tmp_path: Path, capsys: pytest.CaptureFixture[str], *, has_token: bool
                                         ) -> None:
    """Each with its remedy."""
    (tmp_path / "right").write_text("right", encoding="ascii")
    (tmp_path / "wrong").write_text("wrong", encoding="ascii")
    (tmp_path / "state").mkdir()
    with started(tmp_path / "state", no_tabpy=True, token_file=tmp_path / "right") as running:
        words = ["--token-file", str(tmp_path / "wrong")] if has_token else []
        assert classify(running, table_in(tmp_path), tmp_path / "out.csv", *words) == 2
    said = f"does not take the token in {tmp_path / 'wrong'}: put" if has_token else "wants a token: name its file"
    assert said in capsys.readouterr().err


def test_arguments_of_fields_are_taken(running: Running, pictures: Path, tmp_path: Path) -> None:
    """The last rank, a class, and a picture whose path begins where those of the rows do."""
    words = ["--rank", "10", "--label", "3", "--to", "a.png"]
    fields = "label_at,confidence_at,probability,similarity"
    assert classify(running, pictures / "plain", tmp_path / "out.csv", "--fields", fields, *words) == 0
    found = rows_in(tmp_path / "out.csv")[0]
    assert float(found["similarity"]) == pytest.approx(1, abs=1e-3)
    assert "" not in [found[name] for name in fields.split(",")]
