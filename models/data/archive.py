"""A `.zip` of class folders as a listing; nothing is unpacked to disk."""

from __future__ import annotations

import threading
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from models.data.entries import MAX_FILE_MB, Listing
from models.data.layout import entries_by_folder
from models.errors import DataError
from models.names import normal
from models.picture import PictureError

_UTF8_FLAG = 0x800  # the general purpose bit that says that a name is in UTF-8 (APPNOTE 4.4.4)
_ENCRYPTED_FLAG = 0x1


class Archive:
    """An archive that is opened when a member is read and shared by all members; `zipfile` lets threads take turns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open: zipfile.ZipFile | None = None
        self._lock = threading.Lock()

    def read(self, member: zipfile.ZipInfo) -> bytes:
        """The bytes of a member; raises `PictureError`."""
        if member.file_size > MAX_FILE_MB * 1_000_000:
            raise PictureError(f"the file is larger than {MAX_FILE_MB} MB")
        try:
            with self._lock:
                if self._open is None:
                    self._open = zipfile.ZipFile(self.path)
            return self._open.read(member)
        except (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as exc:
            raise PictureError(f"the archive does not give it ({exc})") from exc

    def close(self) -> None:
        """Close the file; the next `read` opens it again."""
        with self._lock:
            if self._open is not None:
                self._open.close()
            self._open = None


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One file in an archive."""

    archive: Archive
    info: zipfile.ZipInfo

    def stamp(self) -> str:
        """Its name, size and checksum in the archive."""
        return f"{self.info.filename} {self.info.file_size} {self.info.CRC:08x}"

    def read(self) -> bytes:
        """Its bytes; raises `PictureError`."""
        return self.archive.read(self.info)


def list_zip(path: Path) -> Listing:
    """Every file in the archive, by the folder it lies in; raises `DataError` when it is no readable archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {_name(info): info for info in archive.infolist() if not info.is_dir()}
    except (OSError, zipfile.BadZipFile, NotImplementedError) as exc:
        raise DataError(f"{path}: cannot be read as .zip ({exc}).") from exc
    if any(info.flag_bits & _ENCRYPTED_FLAG for info in members.values()):
        raise DataError(f"{path}: is protected by a password; unpack it and name the folder.")
    shared = Archive(path)
    return entries_by_folder(str(path), members, lambda name: Member(shared, members[name]))


def _name(info: zipfile.ZipInfo) -> str:
    """A member's path as its maker meant it: Windows in Japan writes code page 932 without saying so."""
    name = info.filename
    if not info.flag_bits & _UTF8_FLAG:
        raw = name.encode("cp437")  # how zipfile read it
        for encoding in ("utf-8", "cp932"):
            try:
                name = raw.decode(encoding)
                break
            except UnicodeDecodeError:
                continue
    return normal(name.replace("\\", "/"))
