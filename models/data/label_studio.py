"""A Label Studio export (JSON) as a listing: choices for whole pictures, rectangles in percent, which are cut out.

Shape: a list of tasks `{"data": {"image": ...}, "annotations": [{"result": [...], "was_cancelled": ...}]}`, see
https://labelstud.io/guide/task_format. Before version 1.0 `annotations` was called `completions`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from models.data.entries import Box, Finds, Listing
from models.data.places import Places
from models.data.reading import Wishes
from models.data.regions import BAD_SHAPES, add_tagged, texts
from models.errors import DataError

_UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-")
"""What Label Studio puts before the name of an uploaded file."""


class _UnknownPictureError(Exception):
    """No task will say where its picture is: a mistake of the request, not of one task."""


def is_label_studio(content: object) -> bool:
    """Whether `content` is a list of Label Studio's tasks."""
    first = content[0] if isinstance(content, list) and content else None
    return isinstance(first, dict) and "data" in first and ("annotations" in first or "completions" in first)


def list_label_studio(path: Path, tasks: Sequence[Any], wishes: Wishes, finds: Finds) -> Listing:
    """The pictures and regions of all tasks; raises `DataError` when pictures stand under no key of `data`."""
    places = Places.of(path, wishes.images)
    for number, task in enumerate(tasks, 1):
        try:
            _add_task(finds, places, task, f"task {task.get('id', number)}", wishes)
        except _UnknownPictureError as exc:
            raise DataError(f"{path}: {exc}") from exc
        except BAD_SHAPES as exc:
            finds.problem(f"task {number}", "label", f"is not as Label Studio writes it ({type(exc).__name__}: {exc})")
    places.settle(str(path), finds)
    return Listing(str(path), tuple(finds.entries), tuple(finds.problems))


def _add_task(finds: Finds, places: Places, task: Mapping[str, Any], name: str, wishes: Wishes) -> None:
    answers = [one for one in task.get("annotations", task.get("completions")) if not one.get("was_cancelled")]
    answers = [one for one in answers if one.get("ground_truth")] or answers
    if not any(one["result"] for one in answers):
        return finds.problem(name, "label", "is not labelled")
    text = _image(task["data"], wishes.image_column)
    paths = picture_names(text)
    name = f"{name} ({Path(paths[0]).name})"
    origin = places.origin(finds, name, paths[0], *paths[1:])
    if origin is None:
        return None
    chosen = [sorted(_choices(one["result"])) for one in answers]
    if any(chosen):
        add_tagged(finds, name, _most_said([tags for tags in chosen if tags]), origin)
    latest = max(answers, key=lambda one: str(one.get("updated_at") or one.get("created_at") or ""))
    for number, (tags, box) in enumerate(_rectangles(finds, name, latest["result"]), 1):
        add_tagged(finds, f"{name}, region {number}", tags, origin, box)
    return None


def picture_names(text: str) -> tuple[str, ...]:
    """The path in the text of a task, and further names its file may have.

    `/data/local-files/?d=a/b%20c.jpg` is a/b c.jpg below the document root; `/data/upload/3/1a2b3c4d-cat.jpg` was
    uploaded as cat.jpg.
    """
    parts = urlsplit(text)
    if parts.path.rstrip("/").endswith("/data/local-files"):
        return tuple(parse_qs(parts.query).get("d", [text])[:1])
    if "://" not in text and "/data/upload/" not in text:
        return (text,)
    path = unquote(parts.path)
    name = path.rpartition("/")[2]
    bare = _UPLOAD_PREFIX.sub("", name)
    whole = path if "://" not in text else f"{parts.scheme}://{parts.netloc}{path}"
    return (whole, bare) if bare != name else (whole,)


def _image(data: Mapping[str, Any], wish: str | None) -> str:
    """The text under the wished key, `image`, or the only key that is a path of a picture."""
    for key in (wish, "image", "img"):
        if key is not None and isinstance(data.get(key), str):
            return str(data[key])
    paths = [value for value in data.values() if isinstance(value, str) and "." in value.rpartition("/")[2]]
    if len(paths) != 1:
        raise _UnknownPictureError(f"which of {', '.join(map(str, data))} is the picture? Say --image-column.")
    return paths[0]


def _choices(result: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Choices about the whole picture; those about a region have its place in their value."""
    for one in result:
        if one.get("type") == "choices" and "x" not in one["value"]:
            yield from texts(one["value"]["choices"])


def _most_said(chosen: Sequence[Sequence[str]]) -> list[str]:
    """What most annotators chose; all of it where there is a tie, which is then refused as several tags."""
    votes = Counter(map(tuple, chosen)).most_common()
    winners = [tags for tags, count in votes if count == votes[0][1]]
    return [tag for tags in winners for tag in tags]


def _rectangles(
    finds: Finds, name: str, result: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[list[str], Box]]:
    for one in result:
        if one.get("type") != "rectanglelabels":
            continue
        try:
            yield texts(one["value"]["rectanglelabels"]), _box(one)
        except ValueError as exc:
            finds.problem(name, "label", str(exc))


def _box(one: Mapping[str, Any]) -> Box:
    """Percent of the shown picture to its pixels; of a turned rectangle, what encloses it."""
    value = one["value"]
    width, height = float(one.get("original_width") or 100), float(one.get("original_height") or 100)
    left, top = float(value["x"]) * width / 100, float(value["y"]) * height / 100
    across, down = float(value["width"]) * width / 100, float(value["height"]) * height / 100
    turn = math.radians(float(value.get("rotation") or 0))  # clockwise, about the upper left corner
    sine, cosine = math.sin(turn), math.cos(turn)
    corners = [(left + x * cosine - y * sine, top + x * sine + y * cosine)
               for x, y in ((0, 0), (across, 0), (0, down), (across, down))]
    horizontal, vertical = zip(*corners, strict=True)
    return Box(min(horizontal), min(vertical), max(horizontal), max(vertical), (width, height))
