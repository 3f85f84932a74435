"""The load rules find what they are there for: each fault, put into a sound workbook, is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from load_rules import faults
from lxml import etree
from twbx import root_of

from workbooks.authoring.package import write_package
from workbooks.authoring.table import Table
from workbooks.authoring.target import TARGETS
from workbooks.authoring.workbook import Workbook
from workbooks.content.catalogue import catalogue
from workbooks.content.live import COLUMNS, Function, live
from workbooks.drawing.view import marks
from workbooks.gathering.classified import SIMILAR, near_on_map

Root = etree._Element
ROWS = [{**dict.fromkeys(COLUMNS), "Image Path": f"{number} 画像].png", "Model": "m", "label": 'a "b"',
         "confidence": 0.5 + number / 20, "map_x": number, "map_y": 1.5} for number in range(5)]


def small_catalogue() -> Workbook:
    """Of a few rows of two models, with awkward names."""
    rows = [{**row, "Model": model} for model in ("m", "n") for row in ROWS]
    similar = Table("similar", SIMILAR, near_on_map(ROWS, "Image Path"))
    return catalogue(Table("catalogue", COLUMNS, rows), similar, "Image Path", "csv", models=["m", "n"])


def small_live() -> Workbook:
    """Of one function."""
    functions = [Function("image_label", ("paths", "model", "refresh"), "string"),
                 Function("image_new", ("paths", "refresh"), "number")]
    return live(ROWS, functions, {"m": ["a", "b"]}, "csv")


@pytest.fixture(params=[small_catalogue, small_live], ids=["catalogue", "live"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Root:
    """A sound workbook in the older form."""
    write_package(tmp_path / "a.twbx", request.param(), TARGETS["2024.2"])
    return root_of(tmp_path / "a.twbx")


def _first(root: Root, path: str) -> Root:
    found = root.find(path)
    assert found is not None
    return found


def _remove(path: str) -> Callable[[Root], None]:
    def remove(root: Root) -> None:
        one = _first(root, path)
        parent = one.getparent()
        assert parent is not None
        parent.remove(one)
    return remove


def _set(path: str, name: str, value: str) -> Callable[[Root], None]:
    return lambda root: _first(root, path).set(name, value)


DAMAGES: dict[str, Callable[[Root], None]] = {
    "a viewpoint is missing": _remove(".//viewpoint"),
    "no active zone": _remove(".//window/active"),
    "a dashboard has a sheet's name": lambda root: _first(root, "dashboards/dashboard").set(
        "name", str(_first(root, "worksheets/worksheet").get("name"))),
    "a fixed size differs": _set(".//dashboard/size", "maxwidth", "1300"),
    "no phone layout": _remove(".//devicelayouts"),
    "a zone's style is missing": _remove(".//zones/zone/zone/zone-style"),
    "a pill is not declared": _remove("worksheets/worksheet//column-instance"),
    "a column is not declared": _remove("worksheets/worksheet//datasource-dependencies[2]/column"),
    "a slice is missing": _remove("worksheets/worksheet//slices/column"),
    "a derivation is spelled wrong": _set("worksheets/worksheet//column-instance", "derivation", "none"),
    "a mark has no class": lambda root: _first(root, ".//mark").attrib.clear(),
    "an object id differs": _set(".//object-graph//object", "id", "other"),
    "a sheet's column differs": _set("worksheets/worksheet//datasource-dependencies[2]/column", "caption", "Other"),
    "a parameter is not declared": _remove("worksheets/worksheet//datasource-dependencies[@datasource='Parameters']/"),
    "explain-data before 2026.1": lambda root: root.append(etree.Element("explain-data")),
    "a feature is not named": _remove("document-format-change-manifest/SheetIdentifierTracking"),
    "a comment": lambda root: root.append(etree.Comment("made by hand")),
    "a path of a machine": _set(".//named-connection/connection", "directory", "C:\\data"),
    "a colour in capitals": _set(".//run", "fontcolor", "#ABCDEF"),
}


def test_a_sound_workbook_has_no_fault(root: Root) -> None:
    """Neither with quotation marks and brackets in names, nor with a function nobody knew."""
    assert faults(root) == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_each_damage_is_found(root: Root, damage: str) -> None:
    """One fault at a time."""
    DAMAGES[damage](root)
    assert faults(root) != []


def test_one_model_is_shown_at_a_time() -> None:
    """Of two models' rows the chosen one's."""
    workbook = small_catalogue()
    count = next(sheet for sheet in workbook.sheets if sheet.name == "Count")
    values = {one.caption: one.value for one in workbook.parameters}
    assert [list(mark.values())[-1] for mark in marks(count, values)] == [5]
    assert marks(count, values | {"Model": "nobody"}) == []


def test_addressing_is_looked_at(tmp_path: Path) -> None:
    """A script field addressed by cell, which is one request a mark, or not at all."""
    write_package(tmp_path / "a.twbx", small_live(), TARGETS["2026.1"])
    for ordering in ("CellInPane", "Rows"):
        root = root_of(tmp_path / "a.twbx")
        _first(root, "worksheets/worksheet//column-instance/table-calc").set("ordering-type", ordering)
        assert [fault for fault in faults(root) if "not addressed" in fault]


def test_each_feature_wants_its_name(tmp_path: Path) -> None:
    """Parameter actions, what happens when a choice is let go, and sorts."""
    write_package(tmp_path / "a.twbx", small_catalogue(), TARGETS["2024.2"])
    for feature in ("ParameterAction", "ParameterActionClearSelection", "SortTagCleanup"):
        root = root_of(tmp_path / "a.twbx")
        _remove(f"document-format-change-manifest/{feature}")(root)
        assert [fault for fault in faults(root) if feature in fault]
