"""The file of stored answers while no server uses it: what is in it, what may go, and whether it is sound."""

from __future__ import annotations

import contextlib
import datetime as dt
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server.errors import SettingsError
from server.ranking import FULL_UP_TO, kept_ranks
from server.store import Store
from server.store_file import SEAL_BYTES, unseal

_ROOTS = "roots "  # the names of root sets start so, the others are digests of model versions
_BYTES_A_RANK = 4


@dataclass(frozen=True, slots=True)
class Owner:
    """A model version (by its digest) or a set of image folders, and how many rows and bytes it has."""

    name: str
    rows: int
    payload_bytes: int
    first_day: dt.date | None
    last_day: dt.date | None

    @property
    def is_roots(self) -> bool:
        """Whether it is a set of image folders."""
        return self.name.startswith(_ROOTS)


class StoredFile:
    """An opened answers.sqlite; a context manager. The caller holds the lock of the state folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        Store(path).close()  # refuses a damaged or a newer file in its own words, and brings an older one up to date
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.create_function("is_sound", 2, lambda key, value: unseal(key, value) is not None)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @property
    def size_bytes(self) -> int:
        """The file and SQLite's two companions of it; not the damaged ones that were set aside."""
        parts = (Path(f"{self.path}{ending}") for ending in ("", "-wal", "-shm"))
        return sum(path.stat().st_size for path in parts if path.exists())

    def set_aside(self) -> list[Path]:
        """Damaged files of before, which nothing reads any more."""
        return sorted(self.path.parent.glob(f"{self.path.name}.damaged-*"))

    def owners(self) -> list[Owner]:
        """Every model version and root set that has a name, in the order they came."""
        rows = self._rows("SELECT n.name, count(a.digest), total(length(a.ranking) + length(a.digest)),"
                          " min(nullif(a.written_day, 0)), max(nullif(a.written_day, 0))"
                          " FROM names n LEFT JOIN answers a ON a.model = n.id WHERE n.name NOT LIKE 'roots %'"
                          " GROUP BY n.id")
        rows += self._rows("SELECT n.name, count(s.text), total(length(s.text) + length(s.path) + length(s.digest)),"
                           " NULL, NULL FROM names n LEFT JOIN sources s ON s.roots = n.id"
                           " WHERE n.name LIKE 'roots %' GROUP BY n.id")
        return [Owner(name, count, int(size), _date(first), _date(last)) for name, count, size, first, last in rows]

    def images(self) -> tuple[int, int]:
        """How many contents have addresses that were given out, and their bytes."""
        ((count, size),) = self._rows("SELECT count(*), total(length(id) + length(text) + length(digest)) FROM images")
        return count, int(size)

    def digests_of_images(self) -> frozenset[str]:
        """The contents that addresses were given out for."""
        return frozenset(digest for (digest,) in self._rows("SELECT digest FROM images"))

    def prune_versions(self, kept: frozenset[str]) -> int:
        """Remove the answers of every version whose digest is not in `kept`; returns how many."""
        gone = [number for number, name in self._rows("SELECT id, name FROM names")
                if not name.startswith(_ROOTS) and name not in kept]
        removed = 0
        with self._transaction():
            for number in gone:
                removed += self._change("DELETE FROM answers WHERE model = ?", number)
                self._change("DELETE FROM embeddings WHERE model = ?", number)
                self._change("DELETE FROM focuses WHERE model = ?", number)
                self._change("DELETE FROM names WHERE id = ?", number)
            if removed:
                self._drop_sources_without_answer()
        self._shrink()
        return removed

    def prune_to(self, limit_bytes: int) -> int:
        """Remove the answers written longest ago until the file has at most `limit_bytes`; returns how many."""
        removed = 0
        self._shrink()
        while (size := self.size_bytes) > limit_bytes and (count := self._rows("SELECT count(*) FROM answers")[0][0]):
            part = min(count, max(1, round(count * 1.05 * (size - limit_bytes) / size)))
            with self._transaction():
                self._change("CREATE TEMP TABLE oldest AS SELECT model, digest FROM answers"
                             " ORDER BY written_day LIMIT ?", part)
                for table in ("embeddings", "focuses", "answers"):
                    self._change(f"DELETE FROM {table} WHERE (model, digest) IN (SELECT model, digest FROM oldest)")  # noqa: S608 - our own names
                self._change("DROP TABLE oldest")
                self._drop_sources_without_answer()
                self._change("DELETE FROM images WHERE digest NOT IN (SELECT digest FROM answers)")
            removed += part
            self._shrink()
        return removed

    def faults(self, classes: Mapping[str, int]) -> Iterator[str]:
        """What is wrong with the file; `classes` says for the digests of known versions how many classes they have."""
        for (said,) in self._rows("PRAGMA integrity_check"):
            if said != "ok":
                yield f"SQLite: {said}"
        for name, length, count in self._rows("SELECT n.name, length(a.ranking), count(*) FROM answers a LEFT JOIN"
                                              " names n ON n.id = a.model GROUP BY a.model, length(a.ranking)"):
            length -= SEAL_BYTES  # noqa: PLW2901 - what the model said is in front of the checksum
            if name is None:
                yield f"{count:,} answers belong to no model version"
            elif not _is_plausible(length, classes.get(name)):
                yield f"{count:,} answers of {name[:12]} have {length} bytes, which no ranking of that model has"
        yield from self._faults_of_values()
        ((count,),) = self._rows("SELECT count(*) FROM images WHERE length(id) <> 32 OR length(digest) <> 32")
        if count:
            yield f"{count:,} picture addresses mean no content: they answer 404 until a column gives them out again"

    def _faults_of_values(self) -> Iterator[str]:
        """Checksums, lengths and owners."""
        for table, column in (("answers", "ranking"), ("embeddings", "vector"), ("focuses", "numbers")):
            ((count,),) = self._rows(f"SELECT count(*) FROM {table} WHERE NOT is_sound(digest, {column})")  # noqa: S608 - our own names
            if count:
                yield f"{count:,} {table} have another checksum than when they were written: they are computed again"
        for table, is_wrong in (("embeddings", "length(t.vector) % 2"), ("focuses", "length(t.numbers) <> 12")):
            for name, count in self._rows(f"SELECT n.name, count(*) FROM {table} t LEFT JOIN names n ON n.id = t.model"  # noqa: S608 - our own names
                                          f" WHERE {is_wrong} OR n.name IS NULL GROUP BY t.model"):
                yield f"{count:,} {table} of {(name or 'no model')[:12]} have a length that none has"

    def _drop_sources_without_answer(self) -> None:
        self._change("DELETE FROM sources WHERE digest NOT IN (SELECT digest FROM answers)")
        self._change("DELETE FROM names WHERE name LIKE 'roots %' AND id NOT IN (SELECT roots FROM sources)")

    def _shrink(self) -> None:
        self._connection.execute("VACUUM")
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def _rows(self, statement: str) -> list[Any]:
        return self._connection.execute(statement).fetchall()

    def _change(self, statement: str, *values: object) -> int:
        return self._connection.execute(statement, values).rowcount


@contextlib.contextmanager
def opened(path: Path) -> Iterator[StoredFile]:
    """The file at `path`, closed afterwards.

    Raises:
        SettingsError: there is none, or SQLite cannot use it.
    """
    if not path.is_file():
        raise SettingsError(f"{path} is not there: nothing is stored yet, or --state names another folder.")
    try:
        with contextlib.closing(StoredFile(path)) as file:
            yield file
    except sqlite3.Error as exc:
        raise SettingsError(f"{path} cannot be used ({exc}): move it away, a new one is made (every picture is read"
                            " again).") from exc


def _is_plausible(length: int, classes: int | None) -> bool:
    """Whether a ranking can have so many bytes; of an unknown version only the bounds are known."""
    if classes is not None:
        return length == _BYTES_A_RANK * kept_ranks(classes)
    return length % _BYTES_A_RANK == 0 and 0 < length <= _BYTES_A_RANK * FULL_UP_TO


def _date(day: int | None) -> dt.date | None:
    return None if day is None else dt.date(1970, 1, 1) + dt.timedelta(days=day)
