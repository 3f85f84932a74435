"""Pictures that were drawn once: a bounded SQLite file in the state folder that may go at any time.

A name enters (kind, content, what drew it), the bytes of a PNG leave or nothing. What cannot be read or written is
drawn again: a full disk, a damaged file or a missing one stops nothing.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
import time
from pathlib import Path

from server.errors import SettingsError
from server.store_file import Schema, StoreFile, seal, unseal

log = logging.getLogger(__name__)

FILE = "pictures.sqlite"
SCHEMA = Schema(1, """
CREATE TABLE IF NOT EXISTS pictures (name TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, used_day INTEGER NOT NULL,
                                     png BLOB NOT NULL);
""")
_KEPT = 0.9  # of the limit, when it is passed: not every picture after it costs a look at all the others
_DAY_S = 86_400


class PictureCache:
    """The drawn pictures of one server, for many threads; what was used longest ago, by days, goes at the limit."""

    def __init__(self, path: Path, *, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._fault: str | None = None
        self._file: StoreFile | None = None
        self._bytes = 0
        try:
            self._file = StoreFile(path, SCHEMA)
            with self._file.connection() as connection:
                self._bytes = _total(connection)
        except (SettingsError, sqlite3.Error) as exc:
            self._say(str(exc))

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def get(self, name: str) -> bytes | None:
        """The picture of that name, if it is there and sound."""
        if self._file is None:
            return None
        try:
            with self._file.connection() as connection, connection:
                row = connection.execute("SELECT png, used_day FROM pictures WHERE name = ?", (name,)).fetchone()
                if row is not None and row[1] != _today():
                    connection.execute("UPDATE pictures SET used_day = ? WHERE name = ?", (_today(), name))
        except sqlite3.Error as exc:
            self._say(str(exc))
            return None
        return None if row is None else unseal(name, row[0])

    def put(self, name: str, png: bytes) -> None:
        """Keep a picture, if there is room on the disk."""
        if self._file is None:
            return
        try:
            with self._lock, self._file.connection() as connection, connection:
                connection.execute("INSERT OR REPLACE INTO pictures VALUES (?, ?, ?, ?)",
                                   (name, len(png), _today(), seal(name, png)))
                self._bytes += len(png)
                if self._bytes > self._limit_bytes:
                    self._bytes = _drop_oldest(connection, int(_KEPT * self._limit_bytes))
        except sqlite3.Error as exc:
            self._say(str(exc))
        else:
            self._fault = None

    def _say(self, fault: str) -> None:
        """Once for each fault: it is met again and again."""
        if fault != self._fault:
            self._fault = fault
            log.warning("drawn pictures are not kept, each is drawn when it is asked for: %s", fault)


def prune_drawn(path: Path, kept: frozenset[str], versions: frozenset[str] = frozenset()) -> None:
    """Remove pictures of contents (the last word of a name) that are not in `kept`, and those that a model version
    sees (a word v and the begin of its digest) that is not in `versions`; give the room back to the disk.

    The server must not run.
    """
    if not path.exists():
        return
    with contextlib.closing(StoreFile(path, SCHEMA)) as file, file.connection() as connection:
        with connection:
            names = [name for (name,) in connection.execute("SELECT name FROM pictures")]
            connection.executemany("DELETE FROM pictures WHERE name = ?",
                                   [(name,) for name in names if not _is_of(name.split(" "), kept, versions)])
        connection.execute("VACUUM")


def _is_of(words: list[str], kept: frozenset[str], versions: frozenset[str]) -> bool:
    seen_by = [word[1:] for word in words[2:-1]]  # behind the picture and its policy
    return words[-1] in kept and all(any(version.startswith(one) for version in versions) for one in seen_by)


def _drop_oldest(connection: sqlite3.Connection, limit_bytes: int) -> int:
    """Remove what was used longest ago until `limit_bytes` are left; returns how many are."""
    left, gone = _total(connection), []
    for row, size in connection.execute("SELECT rowid, size FROM pictures ORDER BY used_day, rowid"):
        if left <= limit_bytes:
            break
        gone.append((row,))
        left -= size
    connection.executemany("DELETE FROM pictures WHERE rowid = ?", gone)
    return left


def _total(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT total(size) FROM pictures").fetchone()[0])


def _today() -> int:
    return int(time.time() // _DAY_S)
