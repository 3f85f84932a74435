"""Which pictures judge a version: kept ones where it is known which, and classes by their names."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from toy import make_spec

from models.data.likeness import likeness_keys
from models.data.loading import load
from models.errors import DataError
from models.evaluation.judging import judges
from models.training.material import KEPT, TOGETHER, deal
from models.version import ModelVersion


def _version(**about: Any) -> ModelVersion:
    """A version that nobody runs: judging reads what it says about itself."""
    return ModelVersion(Path("toy/1"), replace(make_spec(), about=about))


def _folder(root: Path, *names: str, count: int = 12) -> Path:
    """Grey pictures in class folders, no two alike."""
    random = np.random.default_rng(3)
    for name in names:
        (root / name).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(random.integers(0, 256, (20, 20), np.uint8)).save(root / name / f"{number}.png")
    return root


def test_classes_are_found_by_name_in_the_versions_order(tmp_path: Path) -> None:
    """The folder has two of three classes, in another order, and one in the spelling of macOS."""
    folder = _folder(tmp_path, "chat", unicodedata.normalize("NFD", "いぬ"), count=2)
    asked = judges(_version(), str(folder))
    assert dict(zip(asked.names, asked.classes.tolist(), strict=True))["chat/0.png"] == 1
    assert sorted(asked.classes.tolist()) == [0, 0, 1, 1]
    assert (asked.pixels.shape, asked.part) == ((4, 16, 16, 1), "all of it")


def test_one_picture_of_one_class_is_enough(tmp_path: Path) -> None:
    """Measuring asks for less than training."""
    assert judges(_version(), str(_folder(tmp_path, "chat", count=1))).classes.tolist() == [1]


def test_classes_can_be_named(tmp_path: Path) -> None:
    """`--labels` says what the folder's classes are called in the model."""
    folder = _folder(tmp_path, "1", "2", count=1)
    assert judges(_version(), str(folder), labels="قطة,chat").classes.tolist() == [2, 1]


def test_an_unknown_class_is_one_sentence(tmp_path: Path) -> None:
    """It names the class, what the model has, and the remedy."""
    with pytest.raises(DataError, match=r"has the class 'cat' and 1 more, which toy@1 does not have .* --labels"):
        judges(_version(), str(_folder(tmp_path, "cat", "dog", "chat", count=1)))


def test_the_source_of_the_training_is_judged_by_what_was_kept(tmp_path: Path) -> None:
    """The very test part that was dealt then; not with another split, source, or a judge of its own."""
    folder = str(_folder(tmp_path, "chat", "いぬ"))
    data = load(folder, size=16, channels=1)
    card = {"sha256": data.digest, "test": KEPT}
    about: dict[str, Any] = {"data": card, "recipe": {"seed": 4}}
    asked = judges(_version(**about), folder)
    assert asked.names == tuple(data.names[row] for row in deal(data, seed=4, alike=None).test)
    assert 0 < len(asked.names) < 24
    newer = judges(_version(**{**about, "data": {**card, "near_duplicates": TOGETHER}}), folder)
    assert newer.names == tuple(data.names[row] for row in deal(data, seed=4, alike=likeness_keys(data)[0]).test)
    others: list[dict[str, Any]] = [{"data": {"sha256": "0", "test": KEPT}}, {"recipe": {}}, {"data": "digits"},
                                    {"data": {"sha256": data.digest, "test": "another"}}]
    for other in others:
        assert len(judges(_version(**{**about, **other}), folder).names) == 24


def test_an_official_test_part_judges(tmp_path: Path) -> None:
    """Of a source with parts, only the pictures that are for it; every part can be asked for."""
    source = str(tmp_path / "a.npz")
    pixels = np.random.default_rng(0).integers(0, 256, (9, 16, 16), np.uint8)
    np.savez(source, x_train=pixels[:6], y_train=[0, 1] * 3, x_test=pixels[6:], y_test=[0, 1, 0],
             labels=["chat", "いぬ"])
    asked = judges(_version(), source)
    assert (asked.part, asked.names) == ("its test part", ("test 0", "test 1", "test 2"))
    assert asked.classes.tolist() == [1, 0, 1]
    np.testing.assert_array_equal(asked.pixels[..., 0], pixels[6:])
    assert len(judges(_version(), source, part="train").names) == 6
    assert len(judges(_version(), source, part="all").names) == 9
    with pytest.raises(DataError, match="has no picture in its validation part; use --part all"):
        judges(_version(), source, part="validation")


def test_a_part_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    """A folder of class folders has no parts."""
    with pytest.raises(DataError, match="has no test part, only one set of pictures; use --part all"):
        judges(_version(), str(_folder(tmp_path, "chat", count=2)), part="test")
