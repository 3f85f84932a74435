"""*Model quality* with what the shipped models do not have: several models, a leaderboard, the depth experiment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from load_rules import faults
from lxml import etree
from PIL import Image
from schemas import errors, needs_schemas, schemas
from twbx import root_of

from workbooks.authoring.errors import AuthoringError
from workbooks.authoring.package import write_package
from workbooks.authoring.target import TARGETS
from workbooks.authoring.workbook import Workbook
from workbooks.content.quality import mistakes, quality
from workbooks.content.samples import _depth
from workbooks.drawing.dashboard import drawing
from workbooks.gathering import measured
from workbooks.gathering.pictures import from_folder, golden

STORE = Path(__file__).resolve().parents[2] / "models" / "store"
SHARE = {"value": 0.5, "low": 0.1, "high": 0.9}
CLASS = {"pictures": 2, "answers": 2, "correct": 1, "precision": SHARE, "recall": {**SHARE, "value": None}, "f1": SHARE}
BIN = {"confidence": 0.7, "pictures": 4, "accuracy": SHARE}
EVALUATION: dict[str, Any] = {
    "labels": ["猫", "犬 & <dog>"], "pictures": 4, "wrong": 2, "accuracy": SHARE, "confusion": [[0, 0, 1], [0, 1, 1]],
    "after": {"calibration_error": 0.1, "log_loss": 0.2},
    "classes": [{**CLASS, "label": "猫"}, {**CLASS, "label": "犬"}],
    "reliability_before": [BIN], "reliability_after": [BIN],
    "coverage": [{"threshold": 0.5, "coverage": 1.0, "pictures": 4, "accuracy": SHARE}]}
BOARD = {"leaderboard": [{"name": "cnn", "kind": "candidate", "accuracy": 0.9, "low": 0.8, "high": 0.95, "pictures": 9,
                          "seconds": 1.5}]}
DEPTH = ("network,depth,shortcuts,epoch,learning_rate,training_error,test_error,seconds\r\n"
         "plain-20,20,no,1,0.1,0.50000,0.60000,1.0\r\nresnet-20,20,yes,1,0.1,0.40000,0.50000,1.0\r\n")


def everything(folder: Path) -> Workbook:
    """Two models, all tables."""
    (folder / "depth.csv").write_text(DEPTH, encoding="utf-8-sig")
    rows: dict[str, list[dict[str, Any]]] = {"depth": _depth(folder / "depth.csv"), "mistakes": []}
    for model in ("b", "a"):
        tables = measured.quality_rows(model, EVALUATION) | {"leaderboard": measured.leaderboard_rows(model, BOARD)}
        for name, more in tables.items():
            rows.setdefault(name, []).extend(more)
    return quality(rows, ["b", "a"], "hyper")


def test_everything_has_its_sheet(tmp_path: Path) -> None:
    """All but the mistakes, of which there are none; the load rules hold."""
    workbook = everything(tmp_path)
    assert [sheet.name for sheet in workbook.sheets] == [
        "Accuracy", "Pictures", "Calibration error", "Confusion matrix", "Precision and recall", "Reliability",
        "Coverage", "Leaderboard", "Depth"]
    write_package(tmp_path / "a.twbx", workbook, TARGETS["2024.2"])
    assert faults(root_of(tmp_path / "a.twbx")) == []


@needs_schemas
def test_everything_is_valid(tmp_path: Path) -> None:
    """By Tableau's schemas."""
    write_package(tmp_path / "a.twbx", everything(tmp_path), TARGETS["2026.1"])
    assert [found for one in schemas(tmp_path) for found in errors(one, root_of(tmp_path / "a.twbx"))] == []


def test_it_is_drawn_for_the_chosen_model(tmp_path: Path) -> None:
    """Well-formed, the same twice, with every sheet's title and the figures of one model only."""
    workbook = everything(tmp_path)
    one = drawing(workbook, workbook.dashboards[0])
    assert one == drawing(workbook, workbook.dashboards[0])
    texts = [str(text.text) for text in etree.fromstring(one.encode()).iter("{http://www.w3.org/2000/svg}text")]
    assert {sheet.title for sheet in workbook.sheets} <= set(texts)
    assert texts.count("50.0%") >= 2  # the accuracy, and a class's precision
    assert "4" in texts  # pictures of one model, not eight of both
    assert "resnet-20" in texts
    assert "犬 & <dog>" in texts


def test_the_worst_mistake_is_first() -> None:
    """Only wrong answers count; without a truth or an answer there is no mistake."""
    row = {"Model": "m", "Image Path": "a.png", "True Label": "a", "label": "b", "confidence": 0.6,
           "truth_probability": 0.3, "thumbnail_url": None}
    found = mistakes([row, {**row, "Image Path": "b.png", "confidence": 0.9}, {**row, "label": "a"},
                      {**row, "label": None, "confidence": None}, {**row, "True Label": None}])
    assert [one["Picture"] for one in found] == ["b.png", "a.png"]


def test_a_version_carries_its_evaluation(tmp_path: Path) -> None:
    """Of the newest version, where nothing is named to measure on; none where there is none."""
    for version, accuracy in (("9", 0.1), ("10", 0.2)):
        folder = tmp_path / "photos" / version
        folder.mkdir(parents=True)
        (folder / "evaluation.json").write_text(json.dumps({"accuracy": accuracy}), encoding="utf-8")
    assert measured.evaluation("photos", "", tmp_path) == {"accuracy": 0.2}
    assert measured.evaluation("other", "", tmp_path) is None


def test_pictures_of_a_folder(tmp_path: Path) -> None:
    """Subfolders are the truth, an even choice is taken of many; those of a version have none."""
    for name in ("猫/a b.png", "猫/c.PNG", "dog/d.jpg", "dog/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (2, 2)).save(tmp_path / name, "PNG")
    found = from_folder(tmp_path)
    assert found.paths == ("dog/d.jpg", "猫/a b.png", "猫/c.PNG")
    assert found.truths == ("dog", "猫", "猫")
    assert found.at_most(2).paths == ("dog/d.jpg", "猫/a b.png")
    shipped = golden(STORE, "digits")
    assert shipped is not None
    assert (len(shipped.paths), set(shipped.truths), shipped.source) == (10, {None}, "")
    assert golden(STORE, "nobody") is None
    with pytest.raises(AuthoringError, match="no folder"):
        from_folder(tmp_path / "none")


def test_a_depth_table_of_another_kind(tmp_path: Path) -> None:
    """Says which column is missing."""
    (tmp_path / "depth.csv").write_text("network,epoch\r\na,1\r\n", encoding="utf-8")
    with pytest.raises(AuthoringError, match="has no column depth"):
        _depth(tmp_path / "depth.csv")
