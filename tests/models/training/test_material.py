"""A source dealt into parts: what looks the same stays together, and what is odd is said and kept for the card."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from models.training.card import _problems
from models.training.choice import Choice
from models.training.material import deal, gather
from models.training.order import Order
from models.training.recipe import Recipe
from models.training.suspects import suspects
from models.training.train import Trained

CLASSES = ("cat", "いぬ")
COUNT = 30


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of noise, each picture there as PNG and again as BMP: other contents, the same look."""
    root, random = tmp_path / "写真", np.random.default_rng(1)
    for name in CLASSES:
        (root / name).mkdir(parents=True)
        for number in range(COUNT):
            image = Image.fromarray(random.integers(0, 256, (16, 16, 3), np.uint8))
            image.save(root / name / f"{number:02d}.png")
            image.save(root / name / f"{number:02d} copy.bmp")
    return root


def _order(folder: Path, tmp_path: Path) -> Order:
    return Order(source=str(folder), name="a", store=tmp_path / "store", work=tmp_path / "work", size=16)


def test_what_looks_the_same_is_in_one_part_and_said(folder: Path, tmp_path: Path) -> None:
    """Of sixty pairs none is on two sides; without the keys many are."""
    said: list[str] = []
    material = gather(_order(folder, tmp_path), say=said.append)

    def sides(*parts_of_rows: NDArray[np.int64]) -> int:
        parts = [{Path(material.data.names[row]).stem.removesuffix(" copy") + str(material.data.classes[row])
                  for row in rows} for rows in parts_of_rows]
        return len(parts[0] & parts[1]) + len(parts[0] & parts[2]) + len(parts[1] & parts[2])

    careless = deal(material.data, seed=1, alike=None)
    assert sides(material.train, material.validation, material.test) == 0
    assert sides(careless.train, careless.validation, careless.test) > 5
    assert sum(line.startswith("  near-duplicate: ") for line in said) == 6
    assert said[-1] == "  near-duplicate: 55 more"
    assert _problems(material, [])["counts"] == {"near-duplicate": 60}


def test_labels_that_the_network_doubts_are_listed(folder: Path, tmp_path: Path) -> None:
    """Of the pictures that it was not trained on: the surest first, by their names."""
    material = gather(_order(folder, tmp_path), say=lambda _line: None)

    def sure_of(classes: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.eye(2, dtype=np.float32)[classes] * 0.9 + 0.05

    validation, test = sure_of(material.validating.classes), sure_of(material.judging.classes)
    test[3] = test[3][::-1]
    recipe = Recipe()
    choice = Choice(architecture="cnn", build=lambda _size: None, recipe=recipe, precision="float32", why="")
    found = suspects(material, Trained(None, choice, [], 1.0, validation, test, 1.0))
    assert [(one.name, one.kind) for one in found] == [(material.data.names[material.test[3]], "suspicious")]
    assert "(95%)" in found[0].text
    assert _problems(material, found)["counts"] == {"near-duplicate": 60, "suspicious": 1}


def test_an_official_test_is_taken_as_it_is(folder: Path, tmp_path: Path) -> None:
    """Near-duplicates may be on both sides then, so the material says that its test was not dealt."""
    pixels, classes = np.random.default_rng(2).integers(0, 256, (60, 16, 16), np.uint8), np.arange(60) % 2
    np.savez(tmp_path / "a.npz", x_train=pixels[:40], y_train=classes[:40], x_test=pixels[40:], y_test=classes[40:])
    asked = _order(folder, tmp_path)
    assert gather(asked, say=lambda _line: None).is_dealt
    assert not gather(replace(asked, source=str(tmp_path / "a.npz")), say=lambda _line: None).is_dealt
