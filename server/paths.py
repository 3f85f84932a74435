"""From the text an analyst has in a column to a file that may be read, or to the reason why not.

A text enters, a `FoundFile` leaves: the real path, inside an allowed folder after every symbolic link is followed, and
the signature by which a change is noticed. Nothing outside the allowed folders is ever opened.
"""

from __future__ import annotations

import os
import stat
import time
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from server.path_error import ExchangedError, PathError, TooManyBytesError
from server.path_text import PathTexts

_MASK = 0x7FFF_FFFF_FFFF_FFFF
"""SQLite and numpy have int64; Windows has 128-bit file indexes, unsigned volumes, and ext4 times beyond 2262."""
RACY = -1
_IS_FOLDER = "this is a folder, not a picture"
_KERNEL = ("/proc", "/sys", "/dev") if os.name == "posix" else ()  # files there are no files: reading one may act
_AHEAD_NS = 86_400_000_000_000
_RACY_NS = 2_000_000_000  # FAT keeps times to 2 s: a file changed so recently may change again under the same time


class Signature(NamedTuple):
    """What a file looks like from outside; an unchanged signature means unchanged content."""

    device: int
    inode: int
    size: int
    mtime_ns: int


class FoundFile(NamedTuple):
    """A readable file: its absolute path, and the signature of the file it led to when it was found inside the roots.

    Whoever opens the path compares the signature, so that a symbolic link swapped in between loses.
    """

    path: str
    signature: Signature


def signature_of(result: os.stat_result) -> Signature:
    """The signature of a stat result; RACY as the time of a file that changed within the last two seconds.

    So does a time up to a day ahead: the clock was set back, or a share's clock is ahead, and it will come to that time
    again. One further ahead is a wrong clock somewhere; such a file is not to be read again for ever.
    """
    mtime_ns = result.st_mtime_ns
    is_racy = -_RACY_NS < mtime_ns - time.time_ns() < _AHEAD_NS
    return Signature(result.st_dev & _MASK, result.st_ino & _MASK, result.st_size,
                     RACY if is_racy else mtime_ns & _MASK)


@dataclass(frozen=True, slots=True)
class Roots:
    """The allowed folders, as written and as they really are; computed once at the start."""

    folders: tuple[str, ...]
    allowed: tuple[str, ...]

    @classmethod
    def of(cls, folders: Sequence[Path]) -> Roots:
        """The roots for the given folders, made absolute."""
        absolute = tuple(os.path.abspath(folder) for folder in folders)
        spelled = (spelling for folder in absolute for spelling in (folder, os.path.realpath(folder)))
        return cls(absolute, tuple(dict.fromkeys(os.path.normcase(folder).rstrip(os.sep) for folder in spelled)))

    def contains(self, path: str) -> bool:
        """Whether a normalised absolute path lies in an allowed folder, by its text alone."""
        plain = os.path.normcase(path)
        return any(plain == folder or (plain.startswith(folder + os.sep) and (folder or not _is_kernels(plain)))
                   for folder in self.allowed)  # only the root "/", kept as "", is above the kernel's folders


def _is_kernels(path: str) -> bool:
    return any(path == folder or path.startswith(folder + "/") for folder in _KERNEL)


@dataclass(slots=True)
class PathResolver:
    """Resolves texts against `roots`; one resolver serves one request, so its folder memory is never stale.

    Relative paths are looked up under every root; a name found under two is an error that names both.
    """

    roots: Roots
    max_bytes: int
    texts: PathTexts = field(default_factory=PathTexts)
    _real_folders: dict[str, str | None] = field(default_factory=dict)

    def resolve(self, text: str) -> FoundFile:
        """The file that `text` means.

        Raises:
            PathError: the text, outside the allowed folders, missing, a folder, empty or too large: said in one line.
        """
        cleaned = text.strip()
        if not cleaned or "\0" in cleaned:
            raise PathError("no path given" if not cleaned else "the path has a character no file name can have")
        if not self.roots.folders:
            raise PathError("no folder is allowed: start the server with --images DIR")
        candidates = list(dict.fromkeys(self._candidates(cleaned)))
        inside = [path for path in map(os.path.normpath, candidates) if self.roots.contains(os.path.dirname(path))]
        if not inside:
            is_root = any(self.roots.contains(os.path.normpath(path)) for path in candidates)
            raise PathError(_IS_FOLDER if is_root else "outside the allowed folders (--images)")
        found = {path: result for path, result in map(self._look, inside) if result is not None}
        if not found:
            raise PathError("file not found")
        if len({(result.st_dev, result.st_ino) for result in found.values()}) > 1:
            raise PathError("ambiguous: found as " + " and as ".join(sorted(found)))
        path, result = found.popitem()
        self._check_kind(result)
        return FoundFile(path, signature_of(result))

    def paths_of(self, text: str) -> list[str]:
        """The paths inside the roots that `resolve` will look at; none for a text that is refused unseen."""
        try:
            paths = [os.path.normpath(path) for path in self._candidates(text.strip())]
        except PathError:
            return []
        return [path for path in paths if self.roots.contains(path)]

    def _candidates(self, text: str) -> Iterator[str]:
        """Every spelling to try: under each root when relative; the Unicode form as written, composed, decomposed."""
        meanings = self.texts.meanings(text)
        if not text.isascii() or "%" in text:
            meanings += tuple(unicodedata.normalize(form, path) for path in meanings for form in ("NFC", "NFD"))
        for form in meanings:
            if os.path.isabs(form):
                yield form
            else:
                yield from (os.path.join(folder, form) for folder in self.roots.folders)

    def _look(self, candidate: str) -> tuple[str, os.stat_result | None]:
        """The real path and stat of `candidate`, or None where nothing is there.

        Raises:
            PathError: a symbolic link leads outside the allowed folders.
        """
        folder, name = os.path.split(candidate)
        try:
            real_folder = self._real_folder(folder)
            if real_folder is None:
                return candidate, None
            real = os.path.join(real_folder, name)
            result = os.lstat(real)
            if stat.S_ISLNK(result.st_mode):
                result = os.lstat(self._inside(os.path.realpath(real)))
        except PathError:
            raise
        except (OSError, ValueError):  # ValueError: a character that no file name can have
            return candidate, None
        return candidate, result

    def _real_folder(self, folder: str) -> str | None:
        """The real path of `folder`, remembered; None where it does not exist."""
        if folder not in self._real_folders:
            real = self._inside(os.path.realpath(folder))
            self._real_folders[folder] = real if os.path.isdir(real) else None
        return self._real_folders[folder]

    def _inside(self, path: str) -> str:
        if not self.roots.contains(path):
            raise PathError("outside the allowed folders (--images)")
        return path

    def _check_kind(self, result: os.stat_result) -> None:
        if stat.S_ISDIR(result.st_mode):
            raise PathError(_IS_FOLDER)
        if not stat.S_ISREG(result.st_mode):
            raise PathError("not a regular file")
        if result.st_size == 0:
            raise PathError("the file is empty")
        if result.st_size > self.max_bytes:
            raise TooManyBytesError(result.st_size, self.max_bytes)


def look_again(found: FoundFile) -> bool:
    """Whether the path still leads to the very file that was found, unchanged, by one stat.

    The hottest line of a column that is asked again after the window, so it compares without building a signature; a
    RACY time equals no real one.
    """
    device, inode, size, mtime_ns = found.signature
    try:
        now = os.stat(found.path)
    except (OSError, ValueError):
        return False
    return (now.st_mtime_ns & _MASK == mtime_ns and now.st_size == size and now.st_ino & _MASK == inode
            and now.st_dev & _MASK == device)


def read_file(found: FoundFile, *, max_bytes: int) -> tuple[bytes, FoundFile]:
    """The bytes of the very file that was found, and its signature as read.

    Raises:
        ExchangedError: another file than the one that was checked stands there.
        PathError: it is gone or cannot be read.
    """
    try:
        descriptor = os.open(found.path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
        try:
            before = os.fstat(descriptor)
            _check_opened(before, found, max_bytes)
            with open(descriptor, "rb", closefd=False) as file:
                data = file.read(before.st_size + 1)  # not max_bytes: Python would reserve that much first
            if len(data) != before.st_size:
                raise PathError("the file changed while it was read: ask again")
            return data, FoundFile(found.path, signature_of(before))
        finally:
            os.close(descriptor)
    except FileNotFoundError as exc:
        raise PathError("file not found") from exc
    except OSError as exc:
        raise PathError(f"the file cannot be read: {exc.strerror}") from exc


def _check_opened(opened: os.stat_result, found: FoundFile, max_bytes: int) -> None:
    """Raise ExchangedError unless this is the file that was found; a new pipe can have an old file's inode number."""
    if (opened.st_dev & _MASK, opened.st_ino & _MASK) != found.signature[:2] or not stat.S_ISREG(opened.st_mode):
        raise ExchangedError
    if opened.st_size > max_bytes:
        raise TooManyBytesError(opened.st_size, max_bytes)
