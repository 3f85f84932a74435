"""Pictures of pictures, for workbooks that are seen without a server: a row of them, or each at its place on the map.

Tableau shows them as they are, in a zone of the dashboard.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

_MOST_ON_MAP, _MOST_TRIED = 400, 5000


def picture_row(paths: Sequence[Path], *, side: int, most: int) -> bytes | None:
    """A PNG of the first pictures beside each other; None where none can be read."""
    tiles = [tile for path in paths[:most] if (tile := _tile(path, side)) is not None]
    if not tiles:
        return None
    sheet = Image.new("RGB", ((side + 8) * most - 8, side), "#ffffff")
    for place, tile in enumerate(tiles):
        sheet.paste(tile, (place * (side + 8), 0))
    return _png(sheet)


def picture_map(rows: Sequence[Mapping[str, Any]], image: str, folder: Path, *, size: tuple[int, int],
                side: int) -> bytes | None:
    """A PNG of `size` with pictures at their places (`map_x`, `map_y`; y upwards), none over another; None where
    none can be read.
    """
    placed = [row for row in rows if row.get("map_x") is not None and row.get("map_y") is not None][:_MOST_TRIED]
    sheet, taken = Image.new("RGB", size, "#ffffff"), list[tuple[int, int]]()
    for row, (x, y) in zip(placed, _places(placed, size[0] - side, size[1] - side), strict=True):
        is_free = all(abs(x - other) >= side or abs(y - another) >= side for other, another in taken)
        if is_free and len(taken) < _MOST_ON_MAP and (tile := _tile(folder / str(row[image]), side)) is not None:
            sheet.paste(tile, (x, y))
            taken.append((x, y))
    return _png(sheet) if taken else None


def _places(rows: Sequence[Mapping[str, Any]], width: int, height: int) -> list[tuple[int, int]]:
    """The rows' places on the map, stretched to `width` x `height` pixels."""
    places = [(row["map_x"], -row["map_y"]) for row in rows]
    ends = [(min(axis), max(axis)) for axis in zip(*places, strict=True)]
    return [(round((x - ends[0][0]) / ((ends[0][1] - ends[0][0]) or 1) * width),
             round((y - ends[1][0]) / ((ends[1][1] - ends[1][0]) or 1) * height)) for x, y in places]


def _tile(path: Path, side: int) -> Image.Image | None:
    """A square of the picture; a small one is enlarged as what it is, without smoothing, where that goes evenly."""
    try:
        with Image.open(path) as picture:
            picture.draft("RGB", (side, side))
            upright = ImageOps.exif_transpose(picture).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    is_even = side % max(upright.size) == 0
    return ImageOps.fit(upright, (side, side), Image.Resampling.NEAREST if is_even else Image.Resampling.LANCZOS)


def _png(sheet: Image.Image) -> bytes:
    file = io.BytesIO()
    sheet.save(file, "PNG", optimize=True)
    return file.getvalue()
