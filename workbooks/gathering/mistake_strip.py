"""The worst mistakes as one picture, for a workbook that is looked at without a server."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageOps

_SIDE, _WIDTH, _MOST = 56, 92, 8


def mistake_strip(mistakes: Sequence[Mapping[str, Any]], folder: Path) -> bytes | None:
    """A PNG of the first mistakes in a row, each with its truth and what it was taken for; None where there are none.

    Pictures that cannot be read are left out.
    """
    tiles = [tile for one in mistakes[:_MOST] if (tile := _tile(folder / one["Picture"], one)) is not None]
    if not tiles:
        return None
    strip = Image.new("RGB", (_WIDTH * len(tiles), _SIDE + 18), "#ffffff")
    for place, tile in enumerate(tiles):
        strip.paste(tile, (place * _WIDTH, 0))
    file = io.BytesIO()
    strip.save(file, "PNG", optimize=True)
    return file.getvalue()


def _tile(path: Path, one: Mapping[str, Any]) -> Image.Image | None:
    try:
        with Image.open(path) as picture:
            small = ImageOps.exif_transpose(picture).convert("RGB")
            small = ImageOps.contain(small, (_SIDE, _SIDE), Image.Resampling.LANCZOS)
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    tile = Image.new("RGB", (_WIDTH, _SIDE + 18), "#ffffff")
    tile.paste(small, (0, 0))
    ImageDraw.Draw(tile).text((0, _SIDE + 3), f"{one['Truth']} as {one['Predicted']}"[:16], fill="#1b1f24")
    return tile
