"""What a caller may say about reading a source, and the text of a file of labels."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.data.entries import Finds
from models.errors import DataError
from models.picture import PictureLimits

MAX_MEMORY_MB = 8_000
"""Pixels beyond this are not held in memory."""

_MAX_TEXT_MB = 500  # a million rows of a table are about 100

_BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a caller may say about reading a source; None is decided from the data.

    `image_column` and `label_column` name the columns of a table; `images` is a folder in which pictures of a table or
    a labelling tool are looked for, beside that file's own. The limits are those of serving.
    """

    image_column: str | None = None
    label_column: str | None = None
    images: Path | None = None
    max_memory_mb: int = MAX_MEMORY_MB
    max_image_megapixels: float = PictureLimits().max_megapixels


def text_of(path: Path, finds: Finds) -> str:
    """The text of a file in UTF-8 or UTF-16, else in code page 932 as Excel in Japan writes it, which is said."""
    try:
        size_mb = path.stat().st_size / 1e6
        if size_mb > _MAX_TEXT_MB:
            raise DataError(f"{path}: has {size_mb:,.0f} MB; at most {_MAX_TEXT_MB} MB of labels are read.")
        data = path.read_bytes()
    except OSError as exc:
        raise DataError(f"{path}: cannot be read ({exc.strerror or exc}).") from exc
    try:
        return data.decode(_BYTE_ORDER_MARKS.get(data[:2], "utf-8-sig"))
    except UnicodeDecodeError as exc:
        try:
            text = data.decode("cp932")
        except UnicodeDecodeError:
            raise DataError(f"{path}: is not text in UTF-8 ({exc}); save it as UTF-8.") from exc
    finds.problem(path.name, "text", "is not UTF-8 and was read as Japanese (code page 932); if that is wrong, save it "
                  "as UTF-8")
    return text


def json_of(path: Path, finds: Finds) -> Any:
    """The content of a JSON file; raises `DataError`."""
    try:
        return json.loads(text_of(path, finds))
    except (ValueError, RecursionError) as exc:  # a number of thousands of digits is a plain ValueError
        raise DataError(f"{path}: is not JSON ({exc}).") from exc
