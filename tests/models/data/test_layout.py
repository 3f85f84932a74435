"""Which class and part a picture belongs to, by its folders; names as systems write them."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from training_pictures import class_folders, write

from models.data.entries import Entry, File, Origin
from models.data.layout import entries_by_folder
from models.data.loading import load
from models.data.reading import Wishes


def _listed(*paths: str) -> list[tuple[str, int | None]]:
    def origin(path: str) -> Origin:
        return File(Path(path))

    entries: tuple[Entry, ...] = entries_by_folder("source", paths, origin).entries
    return [(entry.label, entry.part) for entry in entries]


@pytest.mark.parametrize(("paths", "expected"), [
    (("cat/1.png", "dog/2.png"), [("cat", None), ("dog", None)]),
    (("cat/2024/may/1.png", "dog/2.png"), [("cat", None), ("dog", None)]),
    (("pets/cat/1.png", "pets/dog/2.png"), [("cat", None), ("dog", None)]),
    (("a/pets/cat/1.png", "a/pets/dog/2.png", "a/readme.txt"), [("cat", None), ("dog", None)]),
    (("train/cat/1.png", "test/cat/2.png"), [("cat", 1), ("cat", 0)]),
    (("p/Train/cat/1.png", "p/Val/cat/2.png", "p/Test/cat/3.png"), [("cat", 1), ("cat", 0), ("cat", 2)]),
    (("train/1.png", "test/2.png"), [("train", None), ("test", None)]),
    (("train/1.png", "car/2.png"), [("car", None), ("train", None)]),
    (("train/cat/1.png", "train/dog/2.png"), [("cat", None), ("dog", None)]),
])
def test_folders_say_class_and_part(paths: tuple[str, ...], expected: list[tuple[str, int | None]]) -> None:
    """Class folders, nested ones, one around them, and official parts; a class may be called train."""
    assert sorted(_listed(*paths), key=str) == sorted(expected, key=str)


def test_both_spellings_of_a_name_are_one_class(tmp_path: Path) -> None:
    """Composed and decomposed Unicode, and blanks, as macOS and people write them."""
    composed, decomposed = "が犬", unicodedata.normalize("NFD", "が犬")
    for number, label in enumerate((composed, decomposed, "cat", "猫 白")):
        for index in range(2):
            write(tmp_path / label / f"写真 {index}.png", 10 * number + index)
    data = load(str(tmp_path))
    assert data.labels == ("cat", "が犬", "猫 白")
    assert data.counts() == {"cat": 2, "が犬": 4, "猫 白": 2}


def test_names_that_differ_in_case_stay_apart_and_are_said() -> None:
    """Merging could be wrong, silence too."""
    from models.data.class_names import confusable

    assert [str(problem) for problem in confusable(["Cat", "cat", "dog"])] == [
        "Cat / cat: 2 classes whose names differ only in case; they are kept apart: rename one if they are the same"]


def test_numbers_are_in_the_order_of_numbers() -> None:
    """2 before 10, as whoever numbered the classes means it."""
    from models.data.class_names import in_order

    assert in_order(["10", "2", "1"]) == ("1", "2", "10")
    assert in_order(["10", "2", "b"]) == ("10", "2", "b")


def test_names_that_are_no_unicode_can_be_reported(tmp_path: Path) -> None:
    """Linux allows any bytes and line breaks; a report must still be printed."""
    class_folders(tmp_path, "a", "b")
    for name in (b"caf\xe9.png", b"two\nlines.png"):
        try:
            (tmp_path / "a" / os.fsdecode(name)).write_bytes(b"no picture")
        except OSError:
            pytest.skip("this file system takes Unicode only")
    said = [str(problem) for problem in load(str(tmp_path)).problems]
    assert sorted(text.partition(":")[0] for text in said) == ["a/caf?.png", "a/two?lines.png"]
    assert all(text.encode() for text in said)


def _link(link: Path, target: Path) -> None:
    try:
        link.symlink_to(target, target_is_directory=True)
    except OSError:
        pytest.skip("this user may not make links on Windows")


def test_a_link_to_a_parent_ends(tmp_path: Path) -> None:
    """A loop of folders is not followed, nor one over two links."""
    class_folders(tmp_path, "a", "b")
    _link(tmp_path / "a" / "loop", tmp_path)
    assert len(load(str(tmp_path), wishes=Wishes())) == 8
    (tmp_path / "a" / "loop").unlink()
    elsewhere = tmp_path.parent / f"{tmp_path.name} elsewhere"
    elsewhere.mkdir()
    _link(elsewhere / "back", tmp_path / "a")
    _link(tmp_path / "a" / "there", elsewhere)
    assert len(load(str(tmp_path), wishes=Wishes())) == 8


def test_a_linked_class_folder_is_a_class(tmp_path: Path) -> None:
    """Large collections are linked, not copied; the class is called as the link is."""
    class_folders(tmp_path / "collection", "写真 1", "b")
    (tmp_path / "training").mkdir()
    for name, target in (("cat", "写真 1"), ("dog", "b")):
        _link(tmp_path / "training" / name, tmp_path / "collection" / target)
    found = load(str(tmp_path / "training"), wishes=Wishes())
    assert (len(found), found.labels) == (8, ("cat", "dog"))
