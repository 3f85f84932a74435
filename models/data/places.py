"""Where a picture lies that a file of labels names, as that file's machine wrote it.

Tables and labelling tools write relative paths, `file:` URLs with percent-encoding, and absolute paths of the machine
they ran on. A path that does not exist here is found beside the file by the end of the path, at last by its name alone.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from models.data.entries import File, Finds
from models.data.layout import is_hidden
from models.names import normal

_DRIVE = re.compile(r"^/?[A-Za-z]:[\\/]")
_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")
_MOST_INDEXED = 1_000_000  # files below the folders that are looked through


def path_in_url(text: str) -> str:
    """The path that a `file:` URL means, such as VoTT's `file:C:/a%20b.jpg`; other texts without blanks around.

    Of the URL of a network, what names the picture: without query and percent-encoding.
    """
    text = text.strip()
    if not text.lower().startswith("file:"):
        return unquote(re.split(r"[?#]", text, maxsplit=1)[0]) if _SCHEME.match(text) else text
    path = unquote(text[5:])
    if path.startswith("//"):
        host, slash, rest = path[2:].partition("/")
        path = slash + rest if host in ("", "localhost") else f"//{host}{slash}{rest}"
    return path[1:] if path.startswith("/") and _DRIVE.match(path) else path


@dataclass(slots=True)
class Places:
    """Finds the pictures of one file of labels, in `folders` and below them; the files are listed at most once."""

    folders: tuple[Path, ...]
    _index: dict[str, list[Path]] | None = None
    _elsewhere: dict[Path, str] = field(default_factory=dict)
    _ambiguous: set[Path] = field(default_factory=set)

    @classmethod
    def of(cls, file: Path, images: Path | None) -> Places:
        """Looks in `images` first where it is given, then beside `file`, then in a folder of the file's name."""
        return cls((*((images,) if images is not None else ()), file.parent, file.with_suffix("")))

    def find(self, text: str, *names: str) -> Path | None:
        """The file that `text` means, or that has one of `names`; None without one, or with several of that name."""
        text = path_in_url(text)
        written = [Path(text)] if Path(text).is_absolute() else [folder / text for folder in self.folders]
        for path in written:
            if _is_file(path):
                return path
        tail = [part for part in re.split(r"[\\/]+", text) if part not in ("", ".", "..") and not part.endswith(":")]
        for start in range(len(tail)):
            for folder in self.folders:
                path = folder.joinpath(*tail[start:])
                if _is_file(path):
                    return path if start == 0 and not _is_absolute(text) else self._claimed(path, text)
        for name in (*tail[-1:], *names):
            matches = self._by_name().get(_key(name), [])
            if len(matches) == 1:
                return self._claimed(matches[0], text)
        return None

    def origin(self, finds: Finds, name: str, text: str, *names: str) -> File | None:
        """The origin of the picture `text`; None, and a problem in `finds`, where there is none."""
        path = self.find(text, *names)
        if path is not None:
            return File(path)
        remedy = "; download it beside this file" if _SCHEME.match(text.strip()) else ""
        text = path_in_url(text)
        finds.problem(name, "missing", f"there is no picture {text}, and not just one of that name here{remedy}")
        return None

    def settle(self, source: str, finds: Finds) -> None:
        """Say that pictures were found by name, and take out those where one file would stand for several paths."""
        for path in sorted(self._ambiguous):
            finds.problem(path.name, "missing", f"several paths of other folders end in this name; {path} may be any "
                          "of them, so none is used")
        finds.entries = [entry for entry in finds.entries
                         if not isinstance(entry.origin, File) or entry.origin.path not in self._ambiguous]
        if self._elsewhere:
            path, text = next(iter(self._elsewhere.items()))
            finds.problem(source, "elsewhere", f"pictures that are not where the file says were found by name: "
                          f"{len(self._elsewhere):,}, such as {text} at {path}")

    def _claimed(self, path: Path, text: str) -> Path:
        if self._elsewhere.setdefault(path, text) != text:
            self._ambiguous.add(path)
        return path

    def _by_name(self) -> dict[str, list[Path]]:
        if self._index is None:
            self._index = _index(self.folders)
        return self._index


def _index(folders: tuple[Path, ...]) -> dict[str, list[Path]]:
    """Every file below `folders` by its name, in composed form and any case."""
    found: dict[str, list[Path]] = defaultdict(list)
    seen: set[Path] = set()
    count = 0
    for root in folders:
        for folder, inner, names in os.walk(root):
            here = Path(folder).resolve()
            inner[:] = [] if here in seen else sorted(name for name in inner if not is_hidden(name))
            for name in () if here in seen else names:
                found[_key(name)].append(Path(folder) / name)
            seen.add(here)
            count += len(names)
            if count > _MOST_INDEXED:
                return found
    return found


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # longer than a system allows, or with a null character
        return False


def _key(name: str) -> str:
    return normal(name).casefold()


def _is_absolute(text: str) -> bool:
    return text.startswith(("/", "\\")) or bool(_DRIVE.match(text) or _SCHEME.match(text))
