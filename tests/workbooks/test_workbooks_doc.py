"""docs/workbooks.md says what is so: options, workbooks and their tables, and what the command prints."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest
from load_rules import faults
from schemas import EXPLAIN_DATA, errors, needs_schemas, schemas
from twbx import root_of

from workbooks import cli
from workbooks.build import main, parser
from workbooks.content.live import NAME as LIVE
from workbooks.content.quality import _TABLES

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "workbooks.md").read_text(encoding="utf-8")
SAMPLES = sorted((ROOT / "workbooks" / "samples").glob("*.twbx"))
MOST_KB = 1000


def test_options_are_those_of_the_verb() -> None:
    """Each that `--help` names is in the document, and no other."""
    there = set(re.findall(r"--[a-z-]+", parser().format_help())) - {"--help"}
    described = {option for line in TEXT.splitlines() if line.startswith("| `--")
                 for option in re.findall(r"--[a-z-]+", line.split("|")[1])}
    assert described == there


def test_tables_are_those_of_the_workbooks() -> None:
    """The column *reads*."""
    rows = {cells[1].strip(" `"): set(re.findall(r"`(\w+)`", cells[3])) for line in TEXT.splitlines()
            if len(cells := line.split("|")) == 5 and line.startswith(("| `Image", "| `Model", "| `Live"))}
    assert rows == {"Image catalogue": {"catalogue", "similar"}, "Model quality": set(_TABLES), LIVE: {"live"}}


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_shipped_samples_are_sound(path: Path) -> None:
    """Small, without a fault, without the address of anybody's server, and in the form most people can open."""
    root = root_of(path)
    assert faults(root) == []
    assert root.get("version") == "18.1"
    assert path.stat().st_size < MOST_KB * 1000
    with zipfile.ZipFile(path) as archive:
        assert [name for name in archive.namelist() if b"/v1/images/" in archive.read(name)] == []


@needs_schemas
@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_shipped_samples_are_valid(path: Path, tmp_path: Path) -> None:
    """By Tableau's schemas."""
    found = [message for schema in schemas(tmp_path) for message in errors(schema, root_of(path))]
    assert [message for message in found if EXPLAIN_DATA not in message] == []


def test_three_are_shipped_and_drawn() -> None:
    """The three of the document, and a drawing of each that says what it is."""
    assert [path.stem for path in SAMPLES] == ["Image catalogue", LIVE, "Model quality"]
    drawings = re.findall(r"\]\((pictures/[\w-]+\.svg)\)", TEXT)
    assert len(drawings) == 3
    for name in drawings:
        assert "not a screenshot of Tableau" in (ROOT / "docs" / name).read_text(encoding="utf-8")


def test_the_command_line_answers(capsys: pytest.CaptureFixture[str]) -> None:
    """Help, a wrong verb, a server that is not there: one sentence each."""
    assert cli.main([]) == 2
    assert cli.main(["--help"]) == 0
    assert "  build   the sample workbooks" in capsys.readouterr().out
    assert cli.main(["buil"]) == 2
    assert main(["--server", "http://127.0.0.1:9", "--pictures", "digits"]) == 1
    assert main(["--server", "http://127.0.0.1:9"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in said] == [
        "There is no verb buil of workbooks", "--pictures digits", "The server at http"]
