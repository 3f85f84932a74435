"""docs/evaluation.md says what is so: tables, their columns, and the options of the verb."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from models.evaluation.confusion_chart import MOST_CLASSES
from models.evaluation.files import DATA_FILE, PAGE_FILE, TABLES
from models.evaluation.mistakes import MOST
from server.models_cli import main

TEXT = (Path(__file__).parents[1] / "docs" / "evaluation.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", TABLES)
def test_every_column_is_named(name: str) -> None:
    """In the table's line, in order; intervals in words."""
    line = next(line for line in TEXT.splitlines() if line.startswith(f"| `{name}`"))
    said = line.split("|")[3].replace(", each with low and high", "").replace(" with low and high", "")
    plain = [column for column in TABLES[name][0] if not column.endswith((" low", " high"))]
    assert [column.strip() for column in said.split(",")] == plain


def test_options_are_those_of_the_verb(capsys: pytest.CaptureFixture[str]) -> None:
    """Each that `--help` names is in the document, and no other."""
    assert main(["evaluate", "--help"]) == 0
    there = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help", "--store"}
    described = {option for line in TEXT.splitlines() if line.startswith("| `--")
                 for option in re.findall(r"--[a-z-]+", line.split("|")[1])}
    assert described == there


def test_numbers_and_names_are_the_codes() -> None:
    """Files, and the limits that are said."""
    assert f"`{DATA_FILE}`" in TEXT
    assert f"`{PAGE_FILE}`" in TEXT
    assert f"Above {MOST_CLASSES} classes" in TEXT
    assert f"at most {MOST:,}" in TEXT
