"""The worked example of docs/importing.md, as a user runs it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from networks import LEGACY, write_colours

from models.cli import main

DOCUMENT = Path(__file__).parents[3] / "docs" / "importing.md"


@pytest.mark.usefixtures("keras")
def test_the_worked_example_is_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command of the document, in a child process, and what it prints to the last character."""
    command, output = re.findall(r"^```\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)[:2]
    for name in ("keras_model.h5", "labels.txt"):
        shutil.copy(LEGACY / name, tmp_path / name)
    write_colours(tmp_path / "pictures", each=16)
    monkeypatch.chdir(tmp_path)
    arguments = command.removeprefix("python run.py models ").split()
    status = main([*arguments, "--store", "models/store"])
    said = capsys.readouterr()
    assert (status, said.err) == (0, "")
    assert said.out.replace(str(tmp_path), "").replace("\\", "/").replace("in /models", "in models") == output
