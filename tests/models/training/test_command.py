"""The command as a version's card has it."""

from __future__ import annotations

from pathlib import Path

from models.training.cli import _shown


def test_paths_are_shown_by_their_last_part_and_class_names_as_they_are(tmp_path: Path) -> None:
    """Where the pictures lie here says nothing elsewhere; a class may have a slash."""
    words = [str(tmp_path / "写真 1"), "--name", "parts", "--labels", "T-shirt/top,Trouser", "--store", str(tmp_path)]
    assert _shown(words) == (f"run.py train '写真 1' --name parts --labels T-shirt/top,Trouser --store {tmp_path.name}")


def test_a_version_to_go_on_from_is_shown_by_its_name(tmp_path: Path) -> None:
    """Its folder's own name is a bare number."""
    folder = tmp_path / "parts" / "3"
    folder.mkdir(parents=True)
    (folder / "model.json").write_text("{}", encoding="utf-8")
    assert _shown(["photos", "--from", str(folder)]) == "run.py train photos --from parts@3"
