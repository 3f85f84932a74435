"""Projects and exports of VoTT (Visual Object Tagging Tool, microsoft/VoTT) as listings.

    2.x project   x.vott: `assets` {id: asset}; the regions are in `<id>-asset.json` beside it
    2.x asset     <id>-asset.json: {"asset": {...}, "regions": [...]}
    2.x export    x-export.json: `assets` {id: {"asset": ..., "regions": ...}}
    1.x           x.json: `frames` {file name: [{x1, y1, x2, y2, width, height, tags}]}; pictures in the folder x
    CSV export    see models.data.table

Regions are cut out; tags on the asset itself, without a region, are for the whole picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from models.data.entries import Box, Finds, Listing, Origin
from models.data.places import Places
from models.data.reading import Wishes, json_of
from models.data.regions import BAD_SHAPES, add_tagged, texts
from models.errors import DataError

ASSET_ENDING = "-asset.json"

_IMAGE = 1  # AssetType of VoTT: 1 image, 2 video, 3 video frame
_FRAME = 3


def list_vott(path: Path, content: Mapping[str, Any], wishes: Wishes, finds: Finds) -> Listing:
    """A VoTT file whose content is known to be one; raises `DataError`."""
    if "frames" in content:
        return _list_frames(path, content, wishes, finds)
    if "asset" in content:
        return _listing(path, [content], wishes, finds)
    assets = content["assets"]
    if not isinstance(assets, dict):
        raise DataError(f"{path}: assets is no object; expected VoTT's assets by id.")
    is_export = any(isinstance(one, dict) and "asset" in one for one in assets.values())
    documents = list(assets.values()) if is_export else _asset_files(path, assets, finds)
    return _listing(path, documents, wishes, finds)


def list_vott_folder(folder: Path, wishes: Wishes) -> Listing | None:
    """The VoTT project in a folder, or its asset files; None when there are none."""
    projects = sorted(folder.glob("*.vott"))
    if len(projects) > 1:
        raise DataError(f"{folder}: has {len(projects)} VoTT projects; name one of them: "
                        f"{', '.join(path.name for path in projects[:5])}.")
    finds = Finds()
    if projects:
        content = json_of(projects[0], finds)
        if not isinstance(content, dict) or "assets" not in content:
            raise DataError(f"{projects[0]}: is no VoTT project; expected an object with assets.")
        return list_vott(projects[0], content, wishes, finds)
    files = sorted(folder.glob(f"*{ASSET_ENDING}"))
    if not files:
        return None
    return _listing(folder / "assets", [json_of(file, finds) for file in files], wishes, finds, source=str(folder))


def _asset_files(path: Path, assets: Mapping[str, Any], finds: Finds) -> list[Any]:
    """The `<id>-asset.json` of each asset of a project; VoTT writes one for every asset that was opened."""
    documents, unopened = [], 0
    for name, asset in assets.items():
        file = path.parent / f"{Path(name).name}{ASSET_ENDING}"
        if file.is_file():
            documents.append(json_of(file, finds))
        elif isinstance(asset, dict) and (asset.get("tags") or asset.get("state") == 2):
            documents.append({"asset": asset, "regions": []})
        else:
            unopened += 1
    if unopened:
        finds.problem(path.name, "label", f"assets without an asset file beside the project are left out: {unopened:,}")
    return documents


def _listing(
    path: Path, documents: Iterable[Any], wishes: Wishes, finds: Finds, *, source: str | None = None
) -> Listing:
    places = Places.of(path, wishes.images)
    for number, document in enumerate(documents, 1):
        try:
            _add_asset(finds, places, document)
        except BAD_SHAPES as exc:
            finds.problem(f"asset {number}", "label", f"is not as VoTT writes it ({type(exc).__name__}: {exc})")
    places.settle(source or str(path), finds)
    return Listing(source or str(path), tuple(finds.entries), tuple(finds.problems))


def _add_asset(finds: Finds, places: Places, document: Mapping[str, Any]) -> None:
    asset, regions = document["asset"], document.get("regions") or []
    name = str(asset["name"])
    tags = texts(asset.get("tags")) + texts(document.get("tags"))
    if not regions and not tags:
        return finds.problem(name, "label", "is not tagged")
    if asset.get("type", _IMAGE) != _IMAGE:
        what = "a frame of a video" if asset.get("type") == _FRAME else "no picture"
        return finds.problem(name, "label", f"is {what}; export the frames as pictures")
    origin = places.origin(finds, name, str(asset["path"]), name)
    if origin is None:
        return None
    size = asset.get("size")
    frame = (float(size["width"]), float(size["height"])) if size else None
    if tags and not regions:
        add_tagged(finds, name, tags, origin)
    _add_regions(finds, name, origin, [(_corners(region), texts(region["tags"]), frame) for region in regions])
    return None


_Corners = tuple[float, float, float, float]


def _corners(region: Mapping[str, Any]) -> _Corners:
    """Left, top, right, bottom of a region; of a polygon, those of its points."""
    box = region.get("boundingBox")
    if box:
        left, top = float(box["left"]), float(box["top"])
        return left, top, left + float(box["width"]), top + float(box["height"])
    across = [float(point["x"]) for point in region["points"]]
    down = [float(point["y"]) for point in region["points"]]
    return min(across), min(down), max(across), max(down)


def _add_regions(
    finds: Finds, name: str, origin: Origin, regions: Iterable[tuple[_Corners, list[str], tuple[float, float] | None]]
) -> None:
    for number, (corners, tags, frame) in enumerate(regions, 1):
        region = f"{name}, region {number}"
        try:
            box = Box(*corners, frame)
        except ValueError as exc:
            finds.problem(region, "label", str(exc))
        else:
            add_tagged(finds, region, tags, origin, box)


def _list_frames(path: Path, content: Mapping[str, Any], wishes: Wishes, finds: Finds) -> Listing:
    """VoTT 1: corners in the pixels of the picture as it was shown, whose size stands beside them."""
    frames = content["frames"]
    if not isinstance(frames, dict):
        raise DataError(f"{path}: frames is no object; expected VoTT 1's regions by file name.")
    places = Places.of(path, wishes.images)
    for name, regions in frames.items():
        try:
            shapes = [((float(one["x1"]), float(one["y1"]), float(one["x2"]), float(one["y2"])), texts(one["tags"]),
                       (float(one["width"]), float(one["height"])) if one.get("width") else None) for one in regions]
        except BAD_SHAPES as exc:
            finds.problem(name, "label", f"is not as VoTT 1 writes it ({type(exc).__name__}: {exc})")
            continue
        origin = places.origin(finds, name, name) if shapes else None
        if origin is not None:
            _add_regions(finds, name, origin, shapes)
    places.settle(str(path), finds)
    return Listing(str(path), tuple(finds.entries), tuple(finds.problems))
