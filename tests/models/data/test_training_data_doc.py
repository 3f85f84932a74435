"""docs/training-data.md: every example is read as it stands there."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from pathlib import Path

import pytest
from training_pictures import write

from models.data.layout import PARTS
from models.data.loading import MAX_PICTURES, load
from models.data.probing import _SIZES
from models.data.reading import MAX_MEMORY_MB

DOC = Path(__file__).resolve().parents[3] / "docs" / "training-data.md"
TEXT = DOC.read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"^```\w+ (\S+)\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE))

PICTURES = {
    "labels.csv": [row[0] for row in csv.reader(EXAMPLES["labels.csv"].splitlines()[1:])],
    "export.json": ["a 1.png"],
    "tasks.json": ["a.png", "more/b.png", "more/c.png"],
}
"""Example -> the pictures it names, as its reader would have them."""


@pytest.mark.parametrize("name", [*PICTURES, "folder", "arrays.npz"])
def test_an_example_is_read_as_it_stands(tmp_path: Path, name: str) -> None:
    """Cats and dogs in equal number, from each format."""
    for number, picture in enumerate(PICTURES.get(name, [])):
        write(tmp_path / picture, number, width=60, height=40)
    if name == "folder":
        for number, path in enumerate(EXAMPLES[name].split()):
            write(tmp_path / path, number)
        source = tmp_path / "pictures"
    elif name == "arrays.npz":
        subprocess.run([sys.executable, "-c", EXAMPLES[name]], cwd=tmp_path, check=True)
        source = tmp_path / name
    else:
        source = tmp_path / name
        source.write_text(EXAMPLES[name], encoding="utf-8")
    counts = load(str(source)).counts()
    assert list(counts) == ["cat", "dog"]
    assert counts["cat"] == counts["dog"] >= 2


def test_every_example_is_tested() -> None:
    """A new one needs its pictures above."""
    assert set(EXAMPLES) == {*PICTURES, "folder", "arrays.npz"}


def test_bounds_are_those_of_the_code() -> None:
    """Sizes, limits and the names of parts."""
    assert ", ".join(map(str, _SIZES)) in TEXT
    assert f"{MAX_PICTURES:,} pictures" in " ".join(TEXT.split())
    assert f"({MAX_MEMORY_MB:,} MB)" in TEXT
    assert {"train", "test", "validation"} <= PARTS.keys()
