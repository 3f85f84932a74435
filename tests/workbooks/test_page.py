"""docs/checking-workbooks.md has every finding and every option, and the code says no other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from books import Book, Calc

from workbooks.check.findings import RULES, finding
from workbooks.check.page import PAGE, with_table
from workbooks.cli import main

TEXT = PAGE.read_text(encoding="utf-8")
ROOT = PAGE.parent.parent
SOURCES = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "workbooks" / "check").glob("*.py"))
TESTS = "".join(
    path.read_text(encoding="utf-8")
    for path in [
        *(ROOT / "tests" / "workbooks").glob("test_*.py"),
        *(ROOT / "tests" / "workbooks").glob("forms.py"),
        ROOT / "tests" / "test_workbooks_check.py",
    ]
)


def test_the_table_of_findings_is_the_code_s() -> None:
    """`python -m workbooks.check.page` writes it."""
    assert with_table(TEXT) == TEXT


def test_every_code_is_said_somewhere_and_tested() -> None:
    """No finding that nothing makes, and none that no test makes."""
    said = set(re.findall(r'(?:finding|TabPyError)\(\s*"([a-z-]+)"', SOURCES))
    untested = {code for code in RULES if f'"{code}"' not in TESTS}
    assert (said - set(RULES), set(RULES) - said, untested) == (set(), set(), set())


def test_codes_are_told_apart_and_sentences_end() -> None:
    """One sentence, one remedy, in the form of a sentence each."""
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in RULES)
    assert [code for code, rule in RULES.items() if not rule.remedy.endswith(".")] == []
    assert [code for code, rule in RULES.items() if not rule.sentence.endswith((".", "}"))] == []


def test_evidence_stands_in_the_sentence() -> None:
    """The remedy knows it, too."""
    said = finding("viewpoint-missing", "'D'", sheet="S")
    assert ("S" in said.text, "name='S'" in said.remedy) == (True, True)


def test_every_option_is_on_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    """And the page names no other."""
    with pytest.raises(SystemExit):
        main(["check", "--help"])
    options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}
    assert set(re.findall(r"`(--[a-z-]+)", TEXT)) == options


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["check"], "FILE"),
        (["check", "x", "--tabpi", "y"], "--tabpi"),
        (["check", "x", "--max-requests", "many"], "--max-requests"),
        (["check", "x", "--max-seconds", "nan"], "nan is not from 0 to 86400"),
        (["check", "x", "--max-seconds", "1e300"], "is not from 0 to 86400"),
    ],
)
def test_a_wrong_command_is_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2, without a wall of usage."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    said = capsys.readouterr().err
    assert (stopped.value.code, sentence in said, len(said.splitlines())) == (2, True, 1)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--run"], "--run needs a TabPy"),
        (["--tabpy", "localhost:9004"], "is no address"),
        (["--tabpy", "http://[::1"], "is no address"),
        (["--server", "ftp://x"], "is no address"),
        (["--tabpy", "http://127.0.0.1:9", "--tabpy-user", "ann"], "belong together"),
        (["--tabpy", "http://127.0.0.1:99999"], "is no address"),
        (["--token-file", "missing"], "cannot be read"),
    ],
)
def test_wrong_options_are_one_sentence(
    more: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2, before the workbook is looked at."""
    assert main(["check", str(tmp_path / "no.twb"), *more]) == 2
    assert sentence in capsys.readouterr().err


def test_what_cannot_be_read_is_json_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For the CI job that reads it."""
    assert main(["check", str(tmp_path / "no.twb"), "--json"]) == 2
    assert "name a .twb or .twbx file" in capsys.readouterr().out


def test_a_token_no_header_can_carry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Is said of its file."""
    (tmp_path / "token").write_text("ключ", encoding="utf-8")
    assert main(["check", "x.twb", "--server", "http://127.0.0.1:9", "--token-file", str(tmp_path / "token")]) == 2
    assert "a token with characters no header can carry" in capsys.readouterr().err


def test_a_caption_makes_no_line_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody reads a caption for the check's last word."""
    calc = Calc("Calculation_1", 'SCRIPT_STR("return 1", [Image Path])', caption="x&#10;No finding.&#10;")
    text = Book([calc]).xml().replace("&amp;#10;", "&#10;")
    (tmp_path / "book.twb").write_text(text, encoding="utf-8")
    assert main(["check", str(tmp_path / "book.twb")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert (any("x\\nNo finding.\\n" in line for line in lines), "No finding." in lines) == (True, False)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
@pytest.mark.parametrize("command", [["check"], ["build", "--data"]])
def test_a_pipe_is_not_waited_for(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever it is called."""
    os.mkfifo(tmp_path / "x.twb")
    assert main([*command, str(tmp_path / "x.twb")]) in (1, 2)
    assert "x.twb is no file: name a " in capsys.readouterr().err


def test_a_reader_that_has_enough(tmp_path: Path) -> None:
    """As `head`: no traceback."""
    path = Book([]).twb(tmp_path)
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-m", "workbooks.cli", "check", str(path)], cwd=ROOT, stdout=writer,
                          stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")
