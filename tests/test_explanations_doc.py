"""docs/explanations.md says what is so, and its pictures are those that its command draws."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from flask import Flask
from PIL import Image

from server.app import BLUEPRINTS
from server.functions import FUNCTIONS
from server.seeing_pictures import FOLDER, drawn, main

PAGE = FOLDER.parent / "explanations.md"
TEXT = PAGE.read_text(encoding="utf-8")


def test_its_pictures_are_there_and_small() -> None:
    """All it shows, and under 100 KB together."""
    shown = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", TEXT)
    assert {FOLDER.parent / name for name in shown} == set(FOLDER.glob("*.png"))
    assert sum((FOLDER.parent / name).stat().st_size for name in shown) < 100_000


@pytest.mark.parametrize("name", ["explanation.png", "filters.png", "feature-maps.png"])
def test_its_pictures_are_what_is_drawn(name: str) -> None:
    """Up to the palette."""
    with Image.open(FOLDER / name) as image:
        kept = np.asarray(image.convert("RGB"), float)
    assert np.abs(kept - drawn()[name]).mean() < 4


def test_its_command_draws_them(tmp_path: Path) -> None:
    """Into a folder with a blank."""
    main(["--folder", str(tmp_path / "my 絵")])
    assert {path.name for path in (tmp_path / "my 絵").iterdir()} == {path.name for path in FOLDER.glob("*.png")}


def test_its_functions_and_pages_are_there() -> None:
    """Nothing that does not work is promised."""
    named = set(re.findall(r"image_\w+", TEXT))
    assert (len(named), named - FUNCTIONS.keys()) == (6, set())
    app = Flask("page", static_folder=None)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    pages = set(re.findall(r"`GET ([^`]+)`", TEXT))
    assert (len(pages), pages - set(map(str, app.url_map.iter_rules()))) == (6, set())
