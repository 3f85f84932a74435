"""VoTT's files in the exact shapes it writes: 2.x project with asset files, 2.x export, single assets, 1.x."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from training_pictures import image, write

from models.data.loading import load
from models.errors import DataError

ASSETS = {
    "0ac210da9f7a43c88109a6cdea97c143": ("猫 1.png", 1),
    "84169554c4e1a7e4655077a1209bc0a7": ("b#2.png", 2),
    "c3f1d2e4b5a697887766554433221100": ("c.png", 3),
}
"""Id (MD5 of the path) -> file name and seed of the picture, 60 x 40 pixels."""


def _asset(number: str, name: str, *, folder: str = "C:/Users/me/写真 2024", **more: Any) -> dict[str, Any]:
    """As VoTT 2.2 writes one: `encodeURI` of the path, and `#` as %23."""
    path = "file:" + quote(f"{folder}/{name}", safe="/:,+$!&'()*;=@~")
    return {"format": "png", "id": number, "name": name, "path": path,
            "size": {"width": 60, "height": 40}, "state": 2, "type": 1, **more}


def _region(number: int, tags: list[str], left: float, top: float, width: float, height: float) -> dict[str, Any]:
    corners = [(left, top), (left + width, top), (left + width, top + height), (left, top + height)]
    return {"id": f"AM-PtFHr{number}", "type": "RECTANGLE", "tags": tags,
            "boundingBox": {"height": height, "width": width, "left": left, "top": top},
            "points": [{"x": x, "y": y} for x, y in corners]}


def _metadata(number: str, name: str, **more: Any) -> dict[str, Any]:
    return {"asset": _asset(number, name, **more), "version": "2.2.0",
            "regions": [_region(1, ["cat"], 2.25, 3.75, 17.5, 16), _region(2, ["dog"], 30, 10, 20, 20)]}


def _project(assets: dict[str, Any]) -> dict[str, Any]:
    connection = {"id": "cnbq3TNF2", "name": "写真", "providerType": "localFileSystemProxy",
                  "providerOptions": {"encrypted": "eyJjaXBoZXJ0ZXh0IjoiNjZlNDNj"}}
    return {"name": "pets", "securityToken": "pets Token",
            "sourceConnection": connection, "targetConnection": connection,
            "videoSettings": {"frameExtractionRate": 15}, "id": "cnbq3TNF1", "autoSave": True, "version": "2.2.0",
            "tags": [{"name": "cat", "color": "#5db300"}, {"name": "dog", "color": "#e81123"}],
            "exportFormat": {"providerType": "vottJson", "providerOptions": {"encrypted": "eyJjaXBoZXJ0ZXh0Ijoi"}},
            "activeLearningSettings": {"autoDetect": False, "predictTag": True, "modelPathType": "coco"},
            "assets": assets, "lastVisitedAssetId": next(iter(assets), None)}


def _write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=4), encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The pictures of `ASSETS`, beside where the files of labels will be."""
    for name, seed in ASSETS.values():
        write(tmp_path / name, seed, width=60, height=40)
    return tmp_path


def _write_project(folder: Path) -> Path:
    for number, (name, _) in ASSETS.items():
        _write(folder / f"{number}-asset.json", _metadata(number, name))
    unopened = _asset("ffff", "never.png", state=0)
    assets = {number: _asset(number, name) for number, (name, _) in ASSETS.items()}
    return _write(folder / "pets.vott", _project({**assets, "ffff": unopened}))


def _write_export(folder: Path) -> Path:
    assets = {number: _metadata(number, name) for number, (name, _) in ASSETS.items()}
    return _write(folder / "pets-export.json", _project(assets))


@pytest.mark.parametrize("shape", ["project", "folder of a project", "export", "folder of assets"])
def test_regions_of_every_shape_are_cut_out(folder: Path, shape: str) -> None:
    """The same six regions, whichever file is named; what encloses them in whole pixels."""
    if shape == "export":
        source = _write_export(folder)
    else:
        source = _write_project(folder)
        if shape == "folder of assets":
            source.unlink()
        source = source if shape == "project" else folder
    data = load(str(source), size=20)
    assert data.counts() == {"cat": 3, "dog": 3}
    rows = {name: row for row, name in enumerate(data.names)}
    whole = image(2, width=60, height=40)
    expected = whole.crop((2, 3, 20, 20)).resize((20, 20), 2)
    np.testing.assert_array_equal(data.pixels[rows["b#2.png, region 1"]], np.asarray(expected))
    np.testing.assert_array_equal(data.pixels[rows["b#2.png, region 2"]], np.asarray(whole.crop((30, 10, 50, 30))))
    said = {problem.kind: problem.text for problem in data.problems}
    assert said["elsewhere"].startswith(
        "pictures that are not where the file says were found by name: 3, such as C:/Users/me")
    if "project" in shape:
        assert said["label"] == "assets without an asset file beside the project are left out: 1"


def test_one_asset_file_alone(folder: Path) -> None:
    """A single asset with enough regions."""
    content = _metadata(*next((number, name) for number, (name, _) in ASSETS.items()))
    content["regions"] += [_region(3, ["cat"], 0, 0, 60, 40), _region(4, ["dog"], 5, 5, 9, 9)]
    data = load(str(_write(folder / "x-asset.json", content)), size=40)
    assert data.counts() == {"cat": 2, "dog": 2}
    whole = np.asarray(image(1, width=60, height=40).resize((40, 40), 2))
    np.testing.assert_array_equal(data.pixels[data.names.index("猫 1.png, region 3")], whole)


def test_tags_of_whole_pictures(folder: Path) -> None:
    """Tags on the asset, without a region."""
    assets = {}
    for place, (number, (name, _)) in enumerate(ASSETS.items()):
        assets[number] = {"asset": _asset(number, name, tags=["ab"[place % 2]]), "regions": [], "version": "2.2.0"}
    write(folder / "d.png", 4)
    assets["d"] = {"asset": _asset("d", "d.png", tags=[{"name": "b", "color": "#fff"}]), "regions": []}
    data = load(str(_write(folder / "x.json", _project(assets))))
    assert dict(zip(data.names, data.classes.tolist(), strict=True)) == {
        "猫 1.png": 0, "b#2.png": 1, "c.png": 0, "d.png": 1}


def test_absolute_paths_of_this_machine_are_taken(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """When the pictures are where VoTT says, the file may lie anywhere, and nothing is said."""
    assets = {number: _metadata(number, name, folder=folder.as_posix()) for number, (name, _) in ASSETS.items()}
    data = load(str(_write(tmp_path_factory.mktemp("target") / "e.json", _project(assets))), size=20)
    assert (len(data), data.problems) == (6, ())


def test_odd_assets_are_left_out_and_named(folder: Path) -> None:
    """Several tags, none, a frame of a video, a missing picture, a broken shape, a region outside."""
    assets = {number: _metadata(number, name) for number, (name, _) in ASSETS.items()}
    first = next(iter(assets.values()))
    first["regions"] += [
        _region(3, ["cat", "dog"], 1, 1, 5, 5), _region(4, [], 1, 1, 5, 5), _region(5, ["cat"], 70, 5, 5, 5),
        _region(6, ["cat"], 5, 5, 0, 5), _region(7, ["cat"], float("nan"), 5, 2, 5)]
    assets["v"] = _metadata("v", "clip.mp4#t=1.5", type=3, parent=_asset("p", "clip.mp4", type=2))
    assets["m"] = _metadata("m", "missing.png")
    assets["e"] = {"asset": _asset("e", "c.png"), "regions": [], "version": "2.2.0"}
    assets["x"] = {"asset": {"name": "c.png"}, "regions": [{"tags": "cat"}]}
    data = load(str(_write(folder / "e.json", _project(assets))), size=20)
    texts = [str(problem) for problem in data.problems if problem.kind != "elsewhere"]
    assert len(data) == 6
    assert texts == [
        "猫 1.png, region 3: has several tags (cat, dog); one picture has one class here",
        "猫 1.png, region 4: has no tag",
        "猫 1.png, region 6: a region without area is none",
        "猫 1.png, region 7: a region of (nan, 5.0, nan, 10.0, 60.0, 40.0) is none",
        "clip.mp4#t=1.5: is a frame of a video; export the frames as pictures",
        "missing.png: there is no picture C:/Users/me/写真 2024/missing.png, and not just one of that name here",
        "c.png: is not tagged",
        "asset 7: is not as VoTT writes it (KeyError: 'path')",
        "猫 1.png, region 5: the region lies outside the picture",
    ]


def test_version_1_scales_by_the_size_it_was_shown_at(tmp_path: Path) -> None:
    """`frames` with corners in the pixels of the shown picture; pictures in the folder of the file's name."""
    frames = {}
    for number, name in enumerate(("a.png", "b.png")):
        write(tmp_path / "pets" / name, number, width=60, height=40)
        frames[name] = [
            {"x1": 15, "y1": 30, "x2": 75, "y2": 90, "id": place, "width": 180, "height": 120, "type": "Rectangle",
             "tags": [tag], "name": place + 1, "UID": f"u{place}", "box": {"x1": 15, "y1": 30, "x2": 75, "y2": 90},
             "points": [{"x": 15, "y": 30}, {"x": 75, "y": 90}]} | shift
            for place, (tag, shift) in enumerate((("cat", {}), ("dog", {"x1": 75, "x2": 135})))]
    content = {"frames": frames, "framerate": "1", "inputTags": "cat,dog", "suggestiontype": "track", "scd": False,
               "visitedFrames": ["a.png", "b.png"], "tag_colors": ["#00ffb8", "#e85dff"]}
    data = load(str(_write(tmp_path / "pets.json", content)), size=20)
    np.testing.assert_array_equal(data.pixels[0], np.asarray(image(0, width=60, height=40).crop((5, 10, 25, 30))))
    assert (data.counts(), data.problems) == ({"cat": 2, "dog": 2}, ())


@pytest.mark.parametrize(("content", "expected"), [
    ("{", "is not JSON"), ("[" * 100_000, "is not JSON"), ("[]", "JSON of another kind"), ("3", "JSON of another kind"),
    ('{"assets": 3}', "assets is no object"), ('{"frames": []}', "frames is no object"),
    ('{"assets": {}}', "no labelled"),
    ('{"images": [], "annotations": [], "categories": []}', "is a COCO file; expected a VoTT"),
    ('{"assets": {"a": {"asset": {"name": "a.png", "path": "a.png", "size": {"width": 1' + "0" * 400
     + ', "height": 1}}, "regions": [{}]}}}', "no labelled picture in it"), ("1" * 5000, "is not JSON"),
    ('{"assets": {"a": 3, "../b": {"asset": null}}}', "no labelled picture in it .*is not as VoTT writes it"),
])
def test_what_is_no_such_json_is_one_sentence(tmp_path: Path, content: str, expected: str) -> None:
    """Not a traceback."""
    (tmp_path / "x.json").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=expected):
        load(str(tmp_path / "x.json"))


def test_two_projects_in_a_folder_are_asked_about(folder: Path) -> None:
    """Which one is meant cannot be known."""
    _write_project(folder)
    _write(folder / "other.vott", _project({}))
    with pytest.raises(DataError, match=r"has 2 VoTT projects; name one of them: other\.vott, pets\.vott"):
        load(str(folder))
