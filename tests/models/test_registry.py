"""Which version a reference means, and what is refused."""

from __future__ import annotations

import json
import shutil
import unicodedata
from pathlib import Path

import pytest
from toy import write_toy

from models.errors import DamagedModelError, ModelError, UnknownModelError
from models.registry import Registry


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A store with toy 1, 2, 10."""
    for version in ("1", "2", "10"):
        write_toy(tmp_path, version=version)
    return tmp_path


def set_aliases(root: Path, **aliases: str) -> None:
    """Write the alias file of the toy."""
    (root / "toy" / "aliases.json").write_text(json.dumps(aliases), encoding="utf-8")


@pytest.mark.parametrize(
    ("reference", "version"),
    [(None, "10"), ("toy", "10"), ("toy@2", "2"), ("toy@champion", "10"), (" toy@1 ", "1")],
)
def test_without_aliases_the_highest_version_counts(root: Path, reference: str | None, version: str) -> None:
    """10 is above 2; an exact version is exact."""
    assert Registry([root]).resolve(reference).spec.version == version


def test_a_bare_name_is_the_champion(root: Path) -> None:
    """The alias file decides, also for other aliases."""
    set_aliases(root, champion="1", 新="2")
    registry = Registry([root])
    found = [registry.resolve(f"toy{end}").spec.version for end in ("", "@champion", "@新", "@10")]
    assert found == ["1", "1", "2", "10"]


def test_a_champion_that_is_missing_is_never_replaced(root: Path) -> None:
    """Serving another version than the one named would be a silent change of answers."""
    set_aliases(root, champion="3")
    with pytest.raises(UnknownModelError, match=r"There is no toy@3\. toy has: 1, 2, 10, champion\."):
        Registry([root]).resolve("toy")


def test_the_default_counts_without_a_reference(root: Path) -> None:
    """With several models, none is guessed: the error lists them."""
    write_toy(root, "other")
    registry = Registry([root])
    assert registry.resolve(None, "toy@2").reference == "toy@2"
    assert registry.resolve("other", "toy@2").reference == "other@1"
    with pytest.raises(UnknownModelError, match=r"Which model\? Models: other, toy\."):
        registry.resolve(None)


@pytest.mark.parametrize("reference", ["../toy", "toy@../1", "toy@", "@1", "toy/1", "toy@1@2", "a\x00b", "..", "nix"])
def test_a_strange_reference_is_refused(root: Path, reference: str) -> None:
    """Path tricks and unknown names give the same class of error."""
    with pytest.raises(UnknownModelError):
        Registry([root]).resolve(reference)


def test_an_empty_store_says_what_to_do(tmp_path: Path) -> None:
    """No model at all: the folders and the remedy."""
    with pytest.raises(UnknownModelError, match=r"run\.py models add"):
        Registry([tmp_path / "nowhere"]).resolve(None)


@pytest.mark.parametrize("missing", ["model.json", "model.onnx", "golden/0.png"])
def test_a_half_copied_folder_is_not_listed_and_says_why(root: Path, missing: str) -> None:
    """The next highest version answers, and the reason is there to be shown."""
    (root / "toy" / "10" / missing).unlink()
    registry = Registry([root])
    assert registry.versions("toy") == ["1", "2"]
    assert registry.resolve("toy").spec.version == "2"
    (problem,) = registry.problems()
    assert problem.startswith("toy@10: ")
    assert missing in problem
    with pytest.raises(UnknownModelError, match="toy@10: "):
        registry.resolve("toy@10")


def test_a_renamed_folder_is_not_usable(root: Path) -> None:
    """A version under another number would be another identity under an old name."""
    shutil.copytree(root / "toy" / "2", root / "toy" / "3")
    assert "model.json says toy@2" in Registry([root]).problems()[0]


def test_the_first_root_wins(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Two stores are one list; the same version twice is the first store's."""
    second = tmp_path_factory.mktemp("second")
    write_toy(second, version="2")
    write_toy(second, version="11")
    registry = Registry([root, second])
    assert registry.versions("toy") == ["1", "2", "10", "11"]
    assert registry.resolve("toy@2").folder == root / "toy" / "2"


def test_an_accented_name_is_found_in_either_normal_form(tmp_path: Path) -> None:
    """macOS writes folders decomposed, keyboards type composed."""
    write_toy(tmp_path, unicodedata.normalize("NFD", "Größen"))
    assert Registry([tmp_path]).resolve(unicodedata.normalize("NFC", "Größen@1")).spec.version == "1"


def test_damage_names_the_file(root: Path) -> None:
    """One changed byte is found, and said where."""
    version = Registry([root]).resolve("toy@1")
    version.verify()
    (version.folder / "golden" / "3.png").write_bytes(b"x")
    with pytest.raises(DamagedModelError, match=r"toy@1: golden/3\.png has SHA-256"):
        version.verify()
    (version.folder / "golden" / "3.png").unlink()
    with pytest.raises(DamagedModelError, match=r"golden/3\.png cannot be read"):
        version.verify()


@pytest.mark.parametrize("text", ["[]", "{", '{"champion": 1}', '{"a/b": "1"}'])
def test_a_broken_alias_file_is_an_error(root: Path, text: str) -> None:
    """It never means "no aliases"."""
    (root / "toy" / "aliases.json").write_text(text)
    with pytest.raises(ModelError, match=r"toy/aliases\.json: "):
        Registry([root]).resolve("toy")


def test_a_version_can_be_removed(root: Path) -> None:
    """The folder goes, and with the last version the model."""
    registry = Registry([root])
    for version in ("1", "2", "10"):
        registry.remove("toy", version)
    assert list(root.iterdir()) == []


def test_what_an_alias_means_is_not_removed(root: Path) -> None:
    """Removing the champion would change the answers of every workbook."""
    set_aliases(root, champion="2")
    with pytest.raises(ModelError, match="toy@2 is what champion means"):
        Registry([root]).remove("toy", "2")
    with pytest.raises(UnknownModelError, match="There is no toy@7"):
        Registry([root]).remove("toy", "7")
