"""`models compare`: two versions on a folder, through the pipeline that serves."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from model_versions import spoil

from models import digits
from models.golden import OUTPUTS_FILE
from models.registry import ModelVersion
from server.models_cli import main

pytest_plugins = ("server_fixtures",)

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def store(tmp_path: Path, version: ModelVersion) -> Path:
    """digits 1, and 2 that takes threes for fives and fives for threes."""
    root = tmp_path / "models"
    for number in ("1", "2"):
        shutil.copytree(version.folder, root / "digits" / number)
    path = root / "digits" / "2" / "model.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    labels = content["labels"]
    labels[3], labels[5] = labels[5], labels[3]
    path.write_text(json.dumps(content | {"version": "2"}), encoding="utf-8")
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Forty held out digits in folders of their labels; one in a folder that is no label, and one that is broken."""
    target = tmp_path / "写真"
    for name, data, label in digits.held_out()[:40]:
        (target / str(label)).mkdir(parents=True, exist_ok=True)
        (target / str(label) / name).write_bytes(data)
    (target / "other").mkdir()
    (target / "other" / "い.png").write_bytes(data)
    (target / "壊れた.png").write_bytes(b"no picture")
    (target / "notes.txt").write_text("not looked at")
    return target


@pytest.fixture
def run(store: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Compares: `run("digits@1", "digits@2", "--json")` -> status, what it prints, what it complains."""

    def compare(a: str, b: str, *more: str, folder: Path = folder) -> tuple[int, str, str]:
        status = main(["compare", a, b, str(folder), "--store", str(store), *more])
        said = capsys.readouterr()
        return status, said.out, said.err

    return compare


def expected_flips(folder: Path) -> list[str]:
    """The pictures of threes and fives."""
    return sorted(path.relative_to(folder).as_posix() for label in "35" for path in (folder / label).iterdir())


def test_the_pictures_that_flip_are_named(run: Run, folder: Path) -> None:
    """With label and confidence of each version; what cannot be read is listed, too."""
    status, out, _ = run("digits@1", "digits@2", "--json")
    found: dict[str, Any] = json.loads(out)
    flips = {row["path"]: (row["label_a"], row["label_b"]) for row in found["flips"]}
    assert (status, sorted(flips)) == (0, expected_flips(folder))
    assert all({a, b} == {"3", "5"} for a, b in flips.values())
    assert (found["pictures"], found["compared"], found["agreement"]) == (42, 41, pytest.approx(1 - len(flips) / 41))
    assert found["unreadable"] == [{"path": "壊れた.png",
                                    "reason": "not an image, or of a kind that is not supported"}]


def test_accuracy_is_counted_in_folders_of_labels_only(run: Run, folder: Path) -> None:
    """With the paired difference and its p-value."""
    accuracy = json.loads(run("digits@1", "digits@2", "--json")[1])["accuracy"]
    swapped = len(expected_flips(folder))
    counts = [accuracy[name] for name in ("both", "only_a", "only_b", "neither")]
    assert counts == [40 - swapped, swapped, 0, 0]
    assert (accuracy["p_value"], accuracy["difference"]) == (pytest.approx(2 * 0.5 ** swapped),
                                                             pytest.approx(-swapped / 40))


def test_the_text_says_the_same(run: Run, folder: Path) -> None:
    """First the numbers, then the flips, then what cannot be read."""
    lines = run("digits@1", "digits@2")[1].splitlines()
    swapped = len(expected_flips(folder))
    assert lines[:2] == ["digits@1 (onnxruntime) against digits@2 (onnxruntime)",
                         f"41 pictures compared, {swapped} flip, agreement {1 - swapped / 41:.2%}"]
    assert lines[2].startswith("accuracy on 40 pictures in class folders: digits@1 100.00%, digits@2 ")
    assert (lines[5].split(), len(lines)) == (["FLIPS", "digits@1", "digits@2"], 5 + 1 + swapped + 1)
    assert lines[-1] == "unreadable: 壊れた.png: not an image, or of a kind that is not supported"


def test_every_picture_goes_to_the_csv_file(run: Run, tmp_path: Path) -> None:
    """As Excel reads it, Japanese included."""
    run("digits@1", "digits@2", "--csv", str(tmp_path / "表.csv"))
    data = (tmp_path / "表.csv").read_bytes()
    rows = list(csv.DictReader(data.decode("utf-8-sig").splitlines()))
    assert (data[:3], len(rows), rows[-1]["path"], rows[-1]["status"][:12]) == (
        b"\xef\xbb\xbf", 42, "壊れた.png", "not an image")
    assert {row["flips"] for row in rows} == {"0", "1"}


def test_folders_without_labels_are_compared_without_accuracy(run: Run, folder: Path) -> None:
    """A folder below which no name is a label."""
    found = json.loads(run("digits@1", "digits@2", "--json", folder=folder / "3")[1])
    assert (found["accuracy"], len(found["flips"])) == (None, found["pictures"])


def test_a_relative_folder_is_one_too(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As people type it."""
    monkeypatch.chdir(folder.parent)
    assert json.loads(run("digits@1", "digits@2", "--json", folder=Path(folder.name))[1])["compared"] == 41


def test_what_cannot_be_compared_is_one_sentence(run: Run, store: Path, tmp_path: Path) -> None:
    """Status 1, and nothing of a log."""
    (tmp_path / "empty").mkdir()
    cases = [
        (run("digits@1", "digits@2", folder=tmp_path / "nowhere"), "nowhere is no folder: name one with pictures."),
        (run("digits@1", "digits@2", folder=tmp_path / "empty"), "empty has no pictures ("),
        (run("digits@2", "digits@champion"), "digits@2 and digits@champion are the same version, digits@2."),
        (run("digits@1", "digits@7"), "There is no digits@7."),
        (run("digits@1", "digits@2", "--csv", str(tmp_path / "no" / "a.csv")), "a.csv cannot be written"),
    ]
    spoil(store / "digits" / "2")
    cases.append((run("digits@1", "digits@2"), "digits@2: model.onnx has SHA-256"))
    (store / "digits" / "1" / OUTPUTS_FILE).unlink()
    cases.append((run("digits@1", "digits@2"), f"digits@1: {OUTPUTS_FILE} is missing: the folder is half copied."))
    for (status, out, error), sentence in cases:
        assert (status, out, sentence in error, error.count("\n"), error[:15]) == (1, "", True, 1, "run.py models: ")
