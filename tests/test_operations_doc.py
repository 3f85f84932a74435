"""docs/operations.md says what is so: its commands, its settings file, its checks."""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import run
from server import settings_sources, store_cli, system_service
from server.doctor import __main__ as doctor
from server.reference import OPERATIONS, README, with_tables
from server.settings import Settings, contrary_flag_of, flag_of

TEXT = OPERATIONS.read_text(encoding="utf-8")
COMMANDS = sorted(set(re.findall(r"python run\.py ([^`\n]+)", TEXT + README.read_text(encoding="utf-8"))))
PARSERS = {"doctor": doctor._parser, "store": store_cli._parser, "service": system_service._parser}


def test_the_list_of_checks_is_the_doctors() -> None:
    """As the code has them, in order."""
    assert with_tables(TEXT, OPERATIONS) == TEXT


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_one(command: str) -> None:
    """Its verb is there, and where this side has its parser its arguments are taken."""
    words = shlex.split(command)
    if words[0] == "--wheels":
        words = words[2:]
    assert words[0] in (*run.VERBS, "VERB")
    if words[0] in PARSERS and words[1:]:
        PARSERS[words[0]]().parse_args(words[1:])


def test_the_example_file_is_taken(tmp_path: Path) -> None:
    """Every key of it is a setting, every value of its type."""
    example = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)[0]
    config = tmp_path / "pixfield.toml"
    config.write_text(example, encoding="utf-8")
    parser = argparse.ArgumentParser()
    settings_sources.add_arguments(parser)
    found = settings_sources.read(parser.parse_args(["--config", str(config)]), environment={})
    assert found.settings.images == (Path("/mnt/photos"), tmp_path / "more")


def test_every_flag_named_is_one() -> None:
    """Of a setting, of the commands above, or of run.py."""
    named = set(re.findall(r"(?<![\w`-])`?(--[a-z][a-z-]*)", TEXT))
    settings = {flag(name) for name in Settings.__dataclass_fields__ for flag in (flag_of, contrary_flag_of)}
    own = {"--config", "--show-settings", "--server", "--tabpy", "--max-mb", "--system", "--user", "--on", "--wheels",
           "--all", "--storage", "--tableau"}
    assert named - settings - own == set()


def test_variables_that_are_no_settings_are_named() -> None:
    """All of them."""
    assert [name for name in settings_sources.NO_SETTINGS if f"`{name}`" not in TEXT] == []


@pytest.mark.parametrize("module", ["server.doctor", "server.store_cli", "server.system_service"])
def test_help_says_how(module: str) -> None:
    """Each new verb explains itself, and loads no more than it needs."""
    done = subprocess.run([sys.executable, "-m", module, "--help"], cwd=OPERATIONS.parents[1], capture_output=True,
                          text=True, check=True)
    assert done.stdout.startswith("usage: run.py ")
