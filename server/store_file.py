"""The store's file: opening it, connections to it, and a damaged one set aside for a new one.

A damaged file is never mended and never believed: it is renamed to `<name>.damaged-<time>`, said in the log, and a new
one begun; every picture is computed again. Each value carries a checksum, since SQLite would hand out bytes that were
overwritten in place.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from server.errors import SettingsError

log = logging.getLogger(__name__)

SCHEMA_VERSION = 3
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
SEAL_BYTES = 4
"""Length of the checksum behind each value."""
IDLE_CONNECTIONS = 2
"""Kept for the next caller, a reader's and a writer's. Without a bound there are as many, with two descriptors each, as
callers ever met here at once, which rises for days."""
_TABLES = """
CREATE TABLE IF NOT EXISTS names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS sources (roots INTEGER, text TEXT, path TEXT, device INTEGER, inode INTEGER, size INTEGER,
                                    mtime_ns INTEGER, digest TEXT, PRIMARY KEY (roots, text)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS answers (model INTEGER, digest TEXT, ranking BLOB, note TEXT,
                                    written_day INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (model, digest)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS embeddings (model INTEGER, digest TEXT, vector BLOB, PRIMARY KEY (model, digest))
                                    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS images (id TEXT PRIMARY KEY, text TEXT NOT NULL, digest TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS focuses (model INTEGER, digest TEXT, numbers BLOB, PRIMARY KEY (model, digest))
                                    WITHOUT ROWID;
"""
"""A table more needs no new version: an older Pixfield leaves it alone."""


@dataclass(frozen=True, slots=True)
class Schema:
    """What a file has in it: its tables, their version, and how rows of an older version are brought up to date."""

    version: int
    tables: str
    upgrade: Callable[[sqlite3.Connection, int], None] = lambda _connection, _version: None


def is_damage(exc: sqlite3.Error) -> bool:
    """Whether the file itself is broken; a full disk or a lock is not."""
    return getattr(exc, "sqlite_errorcode", 0) & 0xFF in _DAMAGED


def seal(key: str, value: bytes) -> bytes:
    """The value with a checksum over it and its key."""
    return value + zlib.crc32(value, zlib.crc32(key.encode())).to_bytes(SEAL_BYTES, "little")


def unseal(key: str, sealed: object) -> bytes | None:
    """The value, or None where it is not what was sealed under `key`."""
    if not isinstance(sealed, bytes):
        return None
    value = sealed[:-SEAL_BYTES]
    return value if seal(key, value) == sealed else None


class StoreFile:
    """Connections to one SQLite file, for many threads; a damaged one is swapped for a new one while nobody uses it."""

    def __init__(self, path: Path, schema: Schema | None = None) -> None:
        self.path, self._schema = path, schema or ANSWERS
        self._names: dict[str, int] = {}
        self._idle: list[sqlite3.Connection] = []
        self._in_use, self._generation = 0, 0
        self._free = threading.Condition()
        try:
            try:
                self._create()
            except sqlite3.DatabaseError as exc:
                if not is_damage(exc):
                    raise
                self._set_aside(exc)
                self._create()
        except (sqlite3.Error, OSError) as exc:
            raise SettingsError(f"{path} cannot be used ({exc}): move it away, a new one is made (every picture is read"
                                " again), or start with another --state folder.") from exc

    @contextlib.contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """A connection of the caller's own; a damaged file is replaced when it shows, and the sqlite3.Error goes on."""
        with self._free:
            generation = self._generation
            self._in_use += 1
            connection = self._idle.pop() if self._idle else None
        damage: sqlite3.Error | None = None
        try:
            connection = connection or self._connect()
            yield connection
        except sqlite3.Error as exc:
            damage = exc if is_damage(exc) else None
            raise
        finally:
            self._give_back(connection, is_good=damage is None)
            if damage is not None:
                self._replace(damage, generation)

    def name_id(self, name: str) -> int:
        """The small number that stands for a long name; raises SettingsError when it cannot be written."""
        with self._free:
            if name in self._names:
                return self._names[name]
        storable = name.encode(errors="backslashreplace").decode()  # a folder's name may be no UTF-8
        try:
            with self.connection() as connection, connection:
                row = connection.execute("SELECT id FROM names WHERE name = ?", (storable,)).fetchone()
                if row is None:
                    connection.execute("INSERT OR IGNORE INTO names (name) VALUES (?)", (storable,))
                    row = connection.execute("SELECT id FROM names WHERE name = ?", (storable,)).fetchone()
        except sqlite3.Error as exc:
            raise SettingsError(f"{self.path} cannot be written ({exc}): make room on its disk, or start with another"
                                " --state folder.") from exc
        with self._free:
            return self._names.setdefault(name, int(row[0]))

    def close(self) -> None:
        """Close every idle connection."""
        with self._free:
            while self._idle:
                self._idle.pop().close()

    def _give_back(self, connection: sqlite3.Connection | None, *, is_good: bool) -> None:
        with self._free:
            self._in_use -= 1
            if connection is not None:
                if is_good and len(self._idle) < IDLE_CONNECTIONS:
                    self._idle.append(connection)
                else:
                    connection.close()
            self._free.notify_all()

    def _replace(self, exc: sqlite3.Error, generation: int) -> None:
        """Begin a new file with the same names, once for all threads that met the damage."""
        with self._free:
            self._free.wait_for(lambda: self._in_use == 0)
            if generation != self._generation:
                return
            while self._idle:  # before the renaming: a closing connection removes its journal by name
                self._idle.pop().close()
            try:
                self._set_aside(exc)
                self._create()
            except (sqlite3.Error, OSError):
                log.exception("%s cannot be replaced: answers are kept in memory only", self.path)
                return
            self._generation += 1

    def _set_aside(self, exc: sqlite3.Error) -> None:
        aside = f"{self.path}.damaged-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
        for ending in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{self.path}{ending}").replace(aside + ending)
        log.error("%s is damaged (%s): it is now %s, and a new one is begun; every picture is computed again",
                  self.path, exc, aside)

    def _create(self) -> None:
        self.path.touch(mode=0o600)  # SQLite gives its two companions the rights of the file
        with contextlib.closing(self._connect()) as connection:
            _migrate(connection, self.path, self._schema)
            if self._names:
                with connection:
                    connection.executemany("INSERT INTO names (id, name) VALUES (?, ?)",
                                           [(number, name.encode(errors="backslashreplace").decode())
                                            for name, number in self._names.items()])

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=30, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
        except sqlite3.Error:
            connection.close()
            raise
        return connection


def _migrate(connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > schema.version:
        raise SettingsError(f"{path} was written by a newer Pixfield (schema {version}, this one reads"
                            f" {schema.version}): update Pixfield or start with another --state folder.")
    with connection:
        schema.upgrade(connection, version)
        connection.executescript(schema.tables)
        connection.execute(f"PRAGMA user_version = {schema.version}")


def _upgrade_answers(connection: sqlite3.Connection, version: int) -> None:
    """Version 1 had neither days (0 is the oldest there is) nor checksums; 2 had no `images`, which are made empty."""
    if version == 1:
        connection.create_function("seal", 2, seal)
        connection.execute("ALTER TABLE answers ADD COLUMN written_day INTEGER NOT NULL DEFAULT 0")
        connection.executescript(_TABLES)
        connection.execute("UPDATE answers SET ranking = seal(digest, ranking)")
        connection.execute("UPDATE embeddings SET vector = seal(digest, vector)")


ANSWERS = Schema(SCHEMA_VERSION, _TABLES, _upgrade_answers)
