"""Which class and which official part a picture belongs to, by where it lies: paths enter, entries leave.

    <class>/[...]/picture              no official split
    train/<class>/picture, test/<class>/picture, also validation/
    anything/<one of the above>        a single folder around it is looked through, as archives have one
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath

from models.data.class_names import label_fault, tidy
from models.data.entries import TEST, TRAIN, VALIDATION, Entry, Finds, Listing, Origin

PARTS = {
    "train": TRAIN, "training": TRAIN, "test": TEST, "testing": TEST,
    "val": VALIDATION, "valid": VALIDATION, "validation": VALIDATION,
}
"""Name of a folder, or value of a column, in lower case -> part of the official split."""

_HIDDEN = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db", "__macosx", "@eadir", "$recycle.bin", "icon\r"})
"""What Windows, macOS and network storage leave in folders, in lower case; skipped without a word."""

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".avif"})
"""Endings that tell a picture before it is opened; files without one are opened, too."""

_LISTED = 3  # names shown of files that belong to no class


def names_picture(text: str) -> bool:
    """True for a path or URL that ends as picture files do."""
    return PurePosixPath(text.strip().lower().partition("?")[0]).suffix in PICTURE_SUFFIXES


def is_hidden(name: str) -> bool:
    """True for what systems leave behind: `.DS_Store`, `Thumbs.db`, and all that begins with a dot."""
    return name.startswith(".") or name.lower() in _HIDDEN


def entries_by_folder(source: str, paths: Iterable[str], origin: Callable[[str], Origin]) -> Listing:
    """The entries of files below one root.

    Args:
        source: what the listing is called.
        paths: relative, with `/`, in any order.
        origin: path -> where its bytes come from.
    """
    finds = Finds()
    kept = sorted(path for path in paths if not any(map(is_hidden, path.split("/"))))
    segments = [tuple(path.split("/")) for path in kept]
    skip = _wrapping(segments)
    has_parts = _has_parts([one[skip:] for one in segments])
    stray = []
    for path, one in zip(kept, segments, strict=True):
        inner = one[skip:]
        if len(inner) < 2 + has_parts:
            stray.append(path)
            continue
        part = PARTS[inner[0].lower()] if has_parts else None
        label = tidy(inner[1 if has_parts else 0])
        fault = label_fault(label)
        if fault:
            finds.problem(path, "label", fault)
        else:
            finds.entries.append(Entry(path, label, origin(path), part=part))
    if stray:
        names = [PurePosixPath(path).name for path in stray[:_LISTED]] + ["..."] * (len(stray) > _LISTED)
        finds.problem(source, "skipped", f"files in no class folder are left out: {len(stray):,} ({', '.join(names)})")
    return Listing(source, tuple(finds.entries), tuple(finds.problems))


def _wrapping(segments: Sequence[tuple[str, ...]]) -> int:
    """How many single folders lie around the classes; a class of its own would have pictures in it."""
    skip = 0
    while True:
        folders = {one[skip] for one in segments if len(one) > skip + 1}
        inner = {one[skip + 1] for one in segments if len(one) > skip + 2}
        has_pictures = any(len(one) == skip + 2 and names_picture(one[-1]) for one in segments)
        if len(folders) != 1 or len(inner) < 1 + has_pictures:  # beside pictures, a lone folder is no class folder
            return skip
        skip += 1


def _has_parts(segments: Sequence[tuple[str, ...]]) -> bool:
    """Whether the first folders are parts of an official split: train and another, each with folders in it."""
    folders = {one[0].lower() for one in segments if len(one) > 1}
    if not folders or not folders <= PARTS.keys() or len({PARTS[name] for name in folders}) < 2:
        return False
    deep = {one[0].lower() for one in segments if len(one) > 2}
    return deep == folders and any(PARTS[name] == TRAIN for name in folders)
