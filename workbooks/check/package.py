"""A file on disk becomes the workbook's bytes and what is packed beside them, or a sentence why not.

A `.twbx` is a zip that somebody else made: nothing is unpacked under a name of its own, sizes are counted while
reading, and a package that would write outside its folder or unpack to far more than it is is refused as a whole.
"""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from workbooks.check.errors import ExtractError, UnreadableError

MEGABYTE = 1_000_000
MAX_MEMBERS = 20_000  # a workbook with thousands of custom shapes has a few thousand
MAX_RATIO = 200       # XML packs 10 to 40 times smaller, a Hyper file 2 to 20 times
MIN_BOMB_MB = 20      # below that size even an extreme ratio harms nobody
HYPER_START = b"Hyper"  # of every Hyper file

_DAMAGE = (OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
"""What a zip raises whose members cannot be unpacked."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is read at most, in megabytes."""

    workbook_mb: int = 100
    package_mb: int = 4_000


@dataclass(frozen=True, slots=True)
class Package:
    """A workbook that was opened: its XML, and the names beside it in the zip (none for a bare `.twb`)."""

    path: Path
    workbook_name: str
    xml: bytes
    members: tuple[str, ...]
    archive: zipfile.ZipFile | None

    @property
    def is_packaged(self) -> bool:
        """A `.twbx`."""
        return self.archive is not None

    def find(self, wanted: str) -> str | None:
        """The member a workbook means by a path; Tableau writes either slash and any case."""
        key = _key(wanted)
        return next((name for name in self.members if _key(name) == key), None)

    def start(self, member: str, length: int) -> bytes:
        """The first bytes of a member; none where it cannot be unpacked."""
        assert self.archive is not None  # noqa: S101 - members exist only in an archive
        try:
            with self.archive.open(member) as source:
                return source.read(length)
        except _DAMAGE:
            return b""

    def copy(self, member: str, target: Path) -> None:
        """Writes one member to `target`; raises ExtractError."""
        assert self.archive is not None  # noqa: S101 - members exist only in an archive
        try:
            with self.archive.open(member) as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
        except _DAMAGE as exc:
            raise ExtractError(f"{member} cannot be unpacked ({exc}).") from exc


@contextmanager
def opened(path: Path, limits: Limits) -> Iterator[Package]:
    """The workbook in a file; raises UnreadableError."""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():  # a pipe is waited for without end
            raise UnreadableError(f"{path} is no file: name a .twb or .twbx file.")
        with path.open("rb") as file:
            start = file.read(4)
    except (OSError, ValueError) as exc:
        why = getattr(exc, "strerror", None) or str(exc)
        raise UnreadableError(f"{path} cannot be read ({why}): name a .twb or .twbx file.") from exc
    if not start.startswith(b"PK"):
        yield Package(path, path.name, _bare(path, limits), (), None)
        return
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as exc:
        raise UnreadableError(f"{path.name} is a damaged zip ({exc}): save the workbook again.") from exc
    with archive:
        yield _packed(path, archive, limits)


def _bare(path: Path, limits: Limits) -> bytes:
    size = path.stat().st_size
    if size > limits.workbook_mb * MEGABYTE:
        raise _too_large(path.name, size, limits.workbook_mb)
    return path.read_bytes()


def _too_large(name: str, size: int, limit_mb: int) -> UnreadableError:
    return UnreadableError(f"{name} has {size / MEGABYTE:,.0f} MB of XML; the limit is {limit_mb} MB (--max-mb).")


def _packed(path: Path, archive: zipfile.ZipFile, limits: Limits) -> Package:
    entries = archive.infolist()
    _refuse(path.name, entries, limits)
    names = tuple(entry.filename for entry in entries if not entry.is_dir())
    workbooks = sorted((name for name in names if name.lower().endswith(".twb")), key=lambda name: name.count("/"))
    if not workbooks:
        raise UnreadableError(f"{path.name} is a zip without a .twb in it: name a packaged workbook.")
    return Package(path, workbooks[0], _member(archive, workbooks[0], limits), names, archive)


def _refuse(name: str, entries: list[zipfile.ZipInfo], limits: Limits) -> None:
    if len(entries) > MAX_MEMBERS:
        raise UnreadableError(f"{name} has {len(entries):,} files inside; the limit is {MAX_MEMBERS:,}.")
    seen: set[str] = set()
    for entry in entries:
        fault = _fault(entry, seen)
        if fault:
            raise UnreadableError(f"{name} is refused: {entry.filename!r} inside it {fault}.")
    total = sum(entry.file_size for entry in entries)
    if total > limits.package_mb * MEGABYTE:
        raise UnreadableError(f"{name} unpacks to {total / MEGABYTE:,.0f} MB; the limit is {limits.package_mb:,} MB "
                              "(--max-package-mb).")


def _fault(entry: zipfile.ZipInfo, seen: set[str]) -> str:
    """Why this member makes the package unacceptable; nothing if it does not."""
    name = entry.filename.replace("\\", "/")
    parts = PurePosixPath(name).parts
    key = _key(name)
    if ".." in parts or name.startswith("/") or name[1:2] == ":" or not parts:
        return "points outside the package"
    if key in seen:
        return "is there twice"
    seen.add(key)
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "is a link"
    if entry.flag_bits & 1:
        return "is encrypted: save the workbook without a password"
    if entry.file_size > MIN_BOMB_MB * MEGABYTE and entry.file_size > MAX_RATIO * max(entry.compress_size, 1):
        return f"unpacks to {entry.file_size // max(entry.compress_size, 1):,} times its size"
    return ""


def _member(archive: zipfile.ZipFile, name: str, limits: Limits) -> bytes:
    """The XML, counted while it is read: the size a zip declares may be a lie."""
    bound = limits.workbook_mb * MEGABYTE
    try:
        with archive.open(name) as file:
            data = file.read(bound + 1)
    except _DAMAGE as exc:
        raise UnreadableError(f"{name} cannot be unpacked ({exc}): save the workbook again.") from exc
    if len(data) > bound:
        raise _too_large(name, max(len(data), archive.getinfo(name).file_size), limits.workbook_mb)
    return data


def _key(name: str) -> str:
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    return "/".join(parts).casefold()
