"""A secret key in the state folder: made when it is not there, read again when it changes, replaced as a whole.

A path enters, 32 random bytes leave, which nobody but the file's owner can read.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
from pathlib import Path

from server.errors import SettingsError

log = logging.getLogger(__name__)

_KEY_BYTES = 32
FileSignature = tuple[int, int, int, int]


def signature_of_file(path: Path | None) -> FileSignature | None:
    """What a small file looks like from outside; another one where it was written or replaced. None without a file."""
    try:
        status = path.stat() if path is not None else None
    except OSError:
        return None
    return status and (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def read_key(path: Path, *, loss: str) -> bytes:
    """The key at `path`, made where there is none; `loss` says what a new one changes.

    Raises:
        SettingsError: it cannot be read, made, or is none.
    """
    try:
        if not path.exists():
            replace_key(path)
        key = path.read_bytes()
    except OSError as exc:
        raise SettingsError(f"{path} cannot be written or read ({exc.strerror}): make room on its disk, or name"
                            " another --state folder.") from exc
    if len(key) != _KEY_BYTES:
        raise SettingsError(f"{path} is damaged: delete it, a new key is made ({loss}).")
    return key


def replace_key(path: Path) -> None:
    """Put a new key at `path`, whole or not at all, for the owner of the old one; raises OSError."""
    owner = path.stat() if os.name == "posix" and path.exists() else None
    new = path.with_suffix(f".{os.getpid()}.new")
    try:
        new.touch(mode=0o600)  # never readable for others, not even while it is written
        new.write_bytes(secrets.token_bytes(_KEY_BYTES))
        if owner is not None and owner.st_uid != os.geteuid():  # an administrator's: the server could not read it
            os.chown(new, owner.st_uid, owner.st_gid)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


class KeyFile:
    """A key that may be replaced while the server runs; safe for many threads.

    A file that is gone is made anew, so deleting it revokes, too; one that cannot be read changes nothing, and the log
    says so.

    Raises:
        SettingsError: at the start, as `read_key`.
    """

    def __init__(self, path: Path, *, loss: str) -> None:
        self._path, self._loss = path, loss
        self._lock = threading.Lock()
        self._key = read_key(path, loss=loss)
        self._seen = signature_of_file(path)

    def current(self) -> bytes:
        """The key that holds now."""
        with self._lock:
            if signature_of_file(self._path) != self._seen:
                self._read_again()
            return self._key

    def _read_again(self) -> None:
        try:
            self._key = read_key(self._path, loss=self._loss)
        except SettingsError as exc:
            log.warning("the key of before goes on holding: %s", exc)
        else:
            log.info("%s was read again: another key holds", self._path.name)
        self._seen = signature_of_file(self._path)
