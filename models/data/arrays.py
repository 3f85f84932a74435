"""An `.npz` file of arrays as a listing.

Arrays `x` and `y`, or `x_train`, `y_train`, `x_test` and `y_test`; optionally `labels`.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.data.class_names import in_order, label_fault, tidy
from models.data.entries import TEST, TRAIN, Entry, Listing, Row
from models.errors import DataError

_PARTS: dict[str, int | None] = {"": None, "_train": TRAIN, "_test": TEST}
"""Ending of the arrays' names -> part of the official split."""

_WISH = "expected x uint8 (N, H, W) or (N, H, W, C) and y (N,), or x_train, y_train, x_test and y_test"


def list_npz(path: Path, *, max_memory_mb: int) -> Listing:
    """The rows of the file; raises `DataError` for anything that is not as `_WISH` says."""
    try:
        with zipfile.ZipFile(path) as archive:
            needed_mb = sum(member.file_size for member in archive.infolist()) / 1e6
        if needed_mb > max_memory_mb:
            raise DataError(f"{path}: unpacks to {needed_mb:,.0f} MB; at most {max_memory_mb:,} MB are held in memory: "
                            "save the pictures as files in class folders.")
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as exc:
        raise DataError(f"{path}: cannot be read as .npz ({exc}).") from exc
    return list_arrays(str(path), arrays)


def list_arrays(source: str, arrays: Mapping[str, NDArray[Any]]) -> Listing:
    """The rows of arrays as they are in an `.npz`; raises `DataError`."""
    endings = [ending for ending in _PARTS if f"x{ending}" in arrays and f"y{ending}" in arrays]
    if not endings or (endings[0] == "" and len(endings) > 1) or endings == ["_test"]:
        raise DataError(f"{source}: has {', '.join(sorted(arrays)) or 'nothing'}; {_WISH}.")
    names = _labels(source, arrays["labels"]) if "labels" in arrays else None
    entries: list[Entry] = []
    for ending in endings:
        pixels = _pixels(source, f"x{ending}", arrays[f"x{ending}"])
        texts = _texts(source, f"y{ending}", arrays[f"y{ending}"], count=len(pixels), names=names)
        word = ending.strip("_") or "row"
        entries += [
            Entry(f"{word} {number}", text, Row(pixels, number), part=_PARTS[ending])
            for number, text in enumerate(texts)
        ]
    used = {entry.label for entry in entries}
    labels = tuple(name for name in names if name in used) if names else in_order(used)
    return Listing(source, tuple(entries), labels=labels)


def _pixels(source: str, name: str, array: NDArray[Any]) -> NDArray[np.uint8]:
    """uint8 (N, H, W, C) from what is there."""
    if array.dtype != np.uint8:
        raise DataError(f"{source}: {name} is {array.dtype}; expected uint8 in 0..255: multiply by 255 and round if it "
                        "is 0..1.")
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or array.shape[-1] not in (1, 3, 4) or 0 in array.shape:
        raise DataError(f"{source}: {name} has shape {array.shape}; expected (N, H, W) or (N, H, W, C) with 1, 3 or 4 "
                        "channels last.")
    return array


def _texts(
    source: str, name: str, array: NDArray[Any], *, count: int, names: tuple[str, ...] | None
) -> list[str]:
    """The label of each row."""
    if array.shape not in ((count,), (count, 1)):
        raise DataError(f"{source}: {name} has shape {array.shape}; expected ({count},), one class a picture.")
    flat = array.reshape(-1)
    if flat.dtype.kind == "U":
        texts = [tidy(str(text)) for text in flat]
        fault = next((fault for text in sorted(set(texts)) if (fault := label_fault(text))), None)
        if fault:
            raise DataError(f"{source}: a row of {name} {fault}.")
        return texts
    if flat.dtype.kind not in "iub":
        raise DataError(f"{source}: {name} is {flat.dtype}; expected whole numbers or texts.")
    if names is None:
        return [str(int(value)) for value in flat]
    low, high = int(flat.min()), int(flat.max())
    if low < 0 or high >= len(names):
        raise DataError(f"{source}: {name} has values from {low} to {high}; labels has {len(names)} entries.")
    return [names[int(value)] for value in flat]


def _labels(source: str, array: NDArray[Any]) -> tuple[str, ...]:
    names = tuple(tidy(str(value)) for value in array.reshape(-1))
    if array.dtype.kind != "U" or len(set(names)) != len(names) or any(map(label_fault, names)):
        raise DataError(f"{source}: labels is {array.dtype} {names[:5]}; expected texts, each once, none empty.")
    return names
