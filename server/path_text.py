r"""From what an analyst wrote to the paths it may mean on this machine.

A text enters: a path, a Windows path, a `file:` URL, or anything below a `--map FROM=TO`. Paths leave, absolute or
relative to the roots, and nothing about them is checked yet but what no file of an analyst is called: Windows devices
(`NUL.png`), alternate streams (`a.png:stream`), device paths (`\\.\PhysicalDrive0`).
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Self
from urllib.parse import unquote

from server.errors import SettingsError
from server.path_error import PathError
from server.url_prefix import IS_URL, Url
from server.url_scheme import parse_place

Kind = Literal["unc", "drive", "url", "posix"]
_IS_FILE_URL = re.compile(r"file:[\\/]", re.IGNORECASE)
_DRIVE = re.compile(r"([A-Za-z]:)(?:[\\/]|$)")
_UNUSUAL = re.compile(r"[:\\]|^//")  # without one of these a text is a path of this system
_SLASHES = re.compile(r"[\\/]")
_DEVICE = re.compile(r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|CLOCK\$|(?:COM|LPT)[0-9¹²³])[ ]*(?:[.:].*)?",
                     re.IGNORECASE | re.DOTALL)
_ENCODED_SLASH = re.compile(r"%(?:2f|5c|00)", re.IGNORECASE)
_EXPECTED = r"expected FROM=TO, where FROM is \\server\share, a drive (P:), a URL of a folder or an absolute path"


class _Place(NamedTuple):
    """An absolute text in parts: `segments` begin with the server, the drive, or a URL's scheme and host."""

    kind: Kind
    segments: tuple[str, ...]

    @property
    def key(self) -> tuple[str, ...]:
        """What is compared: Windows names in any case, every name in one Unicode form."""
        segments = (unicodedata.normalize("NFC", segment) for segment in self.segments)
        is_windows = self.kind in ("unc", "drive")
        return (self.kind, *(segment.lower() if is_windows else segment for segment in segments))


@dataclass(frozen=True, slots=True)
class PathTexts:
    """Reads texts with the mappings `folders` (key of a place -> folder here); `is_windows` says whose names hold."""

    folders: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    is_windows: bool = os.name == "nt"

    @classmethod
    def of(cls, maps: Sequence[str], *, is_windows: bool = os.name == "nt") -> Self:
        r"""Mappings as written on the command line: `\\nas\photos=/mnt/photos`.

        Raises:
            SettingsError: one cannot be read, or is there twice.
        """
        folders: dict[tuple[str, ...], str] = {}
        for text in maps:
            written, equals, folder = (part.strip() for part in text.partition("="))
            try:
                place = _place_of(_without_file_url(written)) if equals and folder else None
            except PathError as exc:
                raise SettingsError(f"--map {text}: {exc}; {_EXPECTED}.") from exc
            if place is None or not (place.segments or place.kind == "posix"):
                raise SettingsError(f"--map {text}: {_EXPECTED}.")
            if place.key in folders:
                raise SettingsError(f"--map {text}: {written} is mapped already; name it once.")
            folders[place.key] = os.path.abspath(folder)
        return cls(folders, is_windows)

    def maps(self, text: str) -> bool:
        """Whether a mapping says what `text` means; raises PathError as `meanings` does."""
        return bool(self.folders) and self._mapped(_place_of(text)) is not None

    def meanings(self, text: str) -> tuple[str, ...]:
        """The paths that `text` may mean: each absolute, or relative to a root.

        Raises:
            PathError: a device, a stream, or a place that no mapping names.
        """
        if not (self.is_windows or _UNUSUAL.search(text) or (self.folders and text.startswith("/"))):
            return (text,)  # nearly all texts
        written = _without_file_url(text)
        if "\0" in written:
            raise PathError("the path has a character no file name can have")
        place = _place_of(written)
        if self.is_windows or (place is not None and place.kind in ("unc", "drive")):
            _check_windows_names(written, place)
        mapped = self._mapped(place)
        if mapped is not None:
            return (mapped,)
        if place is not None and place.kind == "url":
            raise PathError("this is a URL that no --map names")
        if not self.is_windows and place is not None and place.kind != "posix":
            raise PathError("this is a Windows or network path that no --map names")
        return tuple(dict.fromkeys((written, written.replace("\\", "/"))))

    def _mapped(self, place: _Place | None) -> str | None:
        """The path below the folder of the longest mapping of whole segments."""
        if place is None or not self.folders:
            return None
        key = place.key
        for length in range(len(key), 0, -1):
            folder = self.folders.get(key[:length])
            if folder is not None:
                return os.path.join(folder, *place.segments[length - 1:])
        return None


def _place_of(text: str) -> _Place | None:
    """Where an absolute text points; None for a relative one. Dots are followed, never above the start."""
    if IS_URL.match(text):
        url = parse_place(text)
        if isinstance(url, Url) and url.query is not None:  # one name with many queries is many pictures
            return _Place("url", ())
        return _Place("url", (url.place, *_followed(url.segments, floor=0)))
    segments = tuple(_SLASHES.split(text))
    if _DRIVE.match(text):
        return _Place("drive", _followed(segments, floor=1))
    if segments[:2] == ("", "") and any(segments[2:3]):  # three slashes are one, as this system has it
        return _Place("unc", _followed(segments, floor=2, is_device=segments[2] in ("?", ".")))
    return _Place("posix", _followed(tuple(text.split("/")), floor=0)) if text.startswith("/") else None


def _followed(segments: tuple[str, ...], *, floor: int, is_device: bool = False) -> tuple[str, ...]:
    if is_device:
        raise PathError("this is a Windows device path: write a drive or a server")
    result: list[str] = []
    for segment in segments:
        if segment == "..":
            del result[max(floor, len(result) - 1):]
        elif segment not in ("", "."):
            result.append(segment)
    return tuple(result)


def _without_file_url(text: str) -> str:
    """The path that a `file:` URL writes, decoded once; any other text as it is."""
    if not _IS_FILE_URL.match(text):
        return text
    if "?" in text or "#" in text:
        raise PathError("the file URL has a ? or a #: write %3F or %23")
    if _ENCODED_SLASH.search(text):
        raise PathError("the file URL has an encoded slash")
    rest = text[len("file:"):].replace("\\", "/")
    host, slash, path = rest[2:].partition("/") if rest.startswith("//") else ("", "/", rest[1:])
    decoded = unquote(slash + path, errors="surrogateescape")
    if host.lower() not in ("", "localhost", "127.0.0.1"):
        return f"//{unquote(host)}{decoded}"
    return decoded[1:] if _DRIVE.match(decoded[1:]) else decoded


def _check_windows_names(text: str, place: _Place | None) -> None:
    """Raise PathError for what Windows does not take for a file's name."""
    names = place.segments[1:] if place is not None and place.kind != "posix" else tuple(_SLASHES.split(text))
    for name in names:
        if _DEVICE.fullmatch(name):
            raise PathError("this is the name of a Windows device")
        if ":" in name:
            raise PathError("the path names a stream inside a file, or a drive where there is none")
