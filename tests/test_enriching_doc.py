"""docs/enriching.md says what is so: its commands, its options, what the first one prints, its numbers."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from stack import free_ports

from server.demo import write_pictures
from workbooks.enrich import answering, journal, server_http
from workbooks.enrich.command_line import parser
from workbooks.enrich.publishing import TOKEN_NAME, TOKEN_SECRET

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "enriching.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"python run\.py classify ([^`\n]+)", TEXT + (ROOT / "README.md").read_text(encoding="utf-8"))


def test_the_first_example_prints_what_is_shown(tmp_path: Path) -> None:
    """On the pictures of the demo, by a server of its own; only the rate is another one each time.

    No settings but a free port, as in a fresh copy, so the command itself names its model.
    """
    write_pictures(tmp_path / "state" / "demo")
    port, _ = free_ports()
    (tmp_path / "pixfield.toml").write_text(f'state = "state"\nport = {port}\n', encoding="utf-8")
    command, shown = re.findall(r"```\npython run\.py classify (.*)\n```\n```\n((?:.*\n)+?)```", TEXT)[0]
    words = [*shlex.split(command), "--config", "pixfield.toml"]
    environment = os.environ | {"PYTHONUTF8": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-m", "workbooks.enrich", *words], cwd=tmp_path, capture_output=True,
                          text=True, encoding="utf-8", check=False, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.sub(r"[\d,]+ a second", "N a second", done.stdout) == re.sub(r"[\d,]+ a second", "N a second", shown)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_taken(command: str) -> None:
    """By the command's own parser."""
    assert parser().parse_args(shlex.split(command)).out is not None


def test_every_option_is_in_the_table() -> None:
    """And no other."""
    table = TEXT.partition("## Options")[2].partition("## ")[0]
    named = set(re.findall(r"`(--[a-z-]+)", table))
    there = {word for action in parser()._actions for word in action.option_strings} - {"-h", "--help"}
    assert named == there


def test_numbers_are_the_codes() -> None:
    """Rows of a request, how many at a time, and how long things last."""
    assert f"Up to {answering._AT_A_TIME} requests of {answering.ROWS:,} rows are under way." in TEXT
    assert f"Where no row was answered for {answering.PATIENCE_S / 60:g} minutes" in TEXT
    assert (server_http._AWAY_S, journal._LASTS_S) == (60, 24 * 3600)
    assert f"`{TOKEN_NAME}` and `{TOKEN_SECRET}`" in TEXT
