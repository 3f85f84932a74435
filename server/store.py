"""Answers that outlive the process: SQLite in WAL mode, one file in the state folder.

Digests enter, answers leave, ten thousand in one statement. Five tables: which content a path had (`sources`), what a
model said of a content (`answers`), its embedding and where the model looked (`focuses`) in tables of their own,
because columns of labels never need them, and which content a public id means, where addresses of its pictures were
given out (`images`).
Writes are queued and committed by one thread, so a request never waits for the disk; what is queued is readable.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from server.store_file import SCHEMA_VERSION, StoreFile, seal, unseal
from server.stored_source import StoredSource, cells_of, is_storable, source_of

K = TypeVar("K")
V = TypeVar("V")
log = logging.getLogger(__name__)

__all__ = ["SCHEMA_VERSION", "Store", "StoredAnswer", "StoredImage", "StoredSource"]

_COMMIT_EVERY_S = 0.25  # after power loss at most this much is missing; `kill -9` loses what was not yet committed
_AGAIN_S = 5.0  # a disk that was full a moment ago is still full
_KEYS_A_STATEMENT = 10_000
_DAY_S = 86_400  # `store prune` removes the oldest first; a day is as near as it needs to know
_SOURCES_QUEUED, _ANSWERS_QUEUED = 200_000, 20_000
"""Rows that may wait while the disk does not take them, about 50 MB each; what comes on top is not stored."""


class StoredAnswer(NamedTuple):
    """What a model said of a content: `ranking` as packed by `server.ranking`, a remark or None."""

    digest: str
    ranking: bytes
    note: str | None


class StoredImage(NamedTuple):
    """Which content a public id means, and a path text that had it when an address was given out."""

    id: str
    text: str
    digest: str


class Store:
    """One SQLite file; safe for many threads. `close` writes what is queued."""

    def __init__(self, path: Path) -> None:
        self._file = StoreFile(path)
        self._lock = threading.Lock()
        self._sources: dict[tuple[int, str], StoredSource] = {}
        self._answers: dict[tuple[int, str], StoredAnswer] = {}
        self._vectors: dict[tuple[int, str], bytes] = {}
        self._images: dict[str, StoredImage] = {}
        self._focuses: dict[tuple[int, str], bytes] = {}
        self._wake = threading.Event()
        self._is_closing = False
        self._fault: str | None = None
        self._not_queued = 0
        self._writer = threading.Thread(target=self._write_loop, name="store-writer", daemon=True)
        self._writer.start()

    def close(self) -> None:
        """Write what is queued, stop the writer and close every connection."""
        self._is_closing = True
        self._wake.set()
        self._writer.join()
        self._file.close()

    @property
    def queued(self) -> int:
        """Rows that wait to be written."""
        return len(self._sources) + len(self._answers) + len(self._focuses) + len(self._images)

    def name_id(self, name: str) -> int:
        """The small number that stands for a long name (a model digest, a set of roots) in every table."""
        return self._file.name_id(name)

    # ---- reading: the queue first, then the file, since the writer forgets only after it has committed ----------

    def sources(self, roots: int, texts: Sequence[str]) -> list[StoredSource]:
        """The stored sources among `texts`, in no order."""
        with self._lock:
            queued = {text: self._sources.get((roots, text)) for text in texts} if self._sources else {}
        found = {row[0]: source_of(row) for row in self._select(_SOURCES, roots, texts)}
        return list((found | {text: source for text, source in queued.items() if source}).values())

    def answers(self, model: int, digests: Sequence[str]) -> list[StoredAnswer]:
        """The stored answers among `digests`, in no order."""
        with self._lock:
            queued = {digest: self._answers.get((model, digest)) for digest in digests} if self._answers else {}
        found = {row.digest: row for row in _sound(self._select(_ANSWERS, model, digests))}
        return list((found | {digest: answer for digest, answer in queued.items() if answer}).values())

    def vectors(self, model: int, digests: Sequence[str]) -> dict[str, bytes]:
        """Digest -> embedding bytes (float16) for those that have one."""
        return self._values(_VECTORS, self._vectors, model, digests)

    def focuses(self, model: int, digests: Sequence[str]) -> dict[str, bytes]:
        """Digest -> where the model looked, for those that have it."""
        return self._values(_FOCUSES, self._focuses, model, digests)

    def _values(self, statement: str, queue: dict[tuple[int, str], bytes], model: int, digests: Sequence[str]
                ) -> dict[str, bytes]:
        with self._lock:
            queued = {digest: queue.get((model, digest)) for digest in digests} if queue else {}
        unsealed = {digest: unseal(digest, value) for digest, value in self._select(statement, model, digests)}
        found = {digest: value for digest, value in unsealed.items() if value is not None}
        return found | {digest: value for digest, value in queued.items() if value is not None}

    def image(self, public_id: str) -> StoredImage | None:
        """What `public_id` means, where an address of it was given out."""
        with self._lock:
            queued = self._images.get(public_id)
        found = [] if queued else self._select(_IMAGES, 0, [public_id])
        return queued or (StoredImage(*found[0]) if found else None)

    def every_source(self, roots: int) -> Iterator[list[StoredSource]]:
        """All sources under `roots` in pages, for filling the memory at the start."""
        for page in self._pages("SELECT text, path, device, inode, size, mtime_ns, digest FROM sources"
                                " WHERE roots = ? AND text > ? ORDER BY text LIMIT 10000", roots):
            yield [source_of(row) for row in page]

    def every_answer(self, model: int) -> Iterator[list[StoredAnswer]]:
        """All answers of `model` in pages."""
        for page in self._pages("SELECT digest, ranking, note FROM answers"
                                " WHERE model = ? AND digest > ? ORDER BY digest LIMIT 10000", model):
            yield _sound(page)

    # ---- writing -----------------------------------------------------------------------------------------------

    def put_source(self, roots: int, source: StoredSource) -> None:
        """Queue a source; one whose name is no UTF-8 (Linux allows any bytes) is left out: SQLite cannot hold it."""
        if not is_storable(source.text) or not is_storable(source.found[0]):
            return
        with self._lock:
            if len(self._sources) < _SOURCES_QUEUED:
                self._sources[roots, source.text] = source
            else:
                self._not_queued += 1

    def put_answer(self, model: int, answer: StoredAnswer, vector: bytes) -> None:
        """Queue an answer and its embedding."""
        with self._lock:
            if len(self._answers) < _ANSWERS_QUEUED:
                self._answers[model, answer.digest] = answer
                self._vectors[model, answer.digest] = vector
            else:
                self._not_queued += 1

    def put_focus(self, model: int, digest: str, numbers: bytes) -> None:
        """Queue where the model looked."""
        with self._lock:
            if len(self._focuses) < _ANSWERS_QUEUED:
                self._focuses[model, digest] = numbers
            else:
                self._not_queued += 1

    def put_images(self, images: Iterable[StoredImage]) -> set[str]:
        """Queue what public ids mean; returns the ids of those that are kept: not of a name that is no UTF-8."""
        storable = {image.id: image for image in images if is_storable(image.text)}
        with self._lock:
            if len(self._images) + len(storable) > _SOURCES_QUEUED:
                self._not_queued += len(storable)
                return set()
            self._images |= storable
        return set(storable)

    def flush(self) -> None:
        """Write what is queued now."""
        with self._lock:
            sources, answers, vectors = dict(self._sources), dict(self._answers), dict(self._vectors)
            focuses, images = dict(self._focuses), dict(self._images)
        if not (sources or answers or focuses or images):
            return
        today = int(time.time() // _DAY_S)
        with self._file.connection() as connection, connection:
            connection.executemany("INSERT OR REPLACE INTO sources VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                                   [(roots, s.text, *cells_of(s.found), s.digest)
                                    for (roots, _), s in sources.items()])
            connection.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)",
                                   [(model, a.digest, seal(a.digest, a.ranking), a.note, today)
                                    for (model, _), a in answers.items()])
            for table, values in (("embeddings", vectors), ("focuses", focuses)):
                connection.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?)",  # noqa: S608 - our own names
                                       [(model, digest, seal(digest, value))
                                        for (model, digest), value in values.items()])
            connection.executemany("INSERT OR REPLACE INTO images VALUES (?, ?, ?)", images.values())
        with self._lock:  # only what was written: the same key may have been queued again meanwhile
            _forget(self._sources, sources)
            _forget(self._answers, answers)
            _forget(self._vectors, vectors)
            _forget(self._images, images)
            _forget(self._focuses, focuses)

    def _write_loop(self) -> None:
        while not self._is_closing:
            self._wake.wait(_COMMIT_EVERY_S)
            self._write()
        self._write()  # what was queued while the last one ran

    def _write(self) -> None:
        try:
            self.flush()
        except sqlite3.Error as exc:
            self._say(str(exc))
            self._wake.wait(_AGAIN_S)
        else:
            if self._fault is not None and self.queued == 0:
                log.warning("the store is written again; %s rows were not kept", f"{self._not_queued:,}")
                self._fault, self._not_queued = None, 0

    def _say(self, fault: str) -> None:
        """Once for each fault: it is met again and again."""
        if fault != self._fault:
            self._fault = fault
            log.error("the store cannot be used (%s): answers are kept in memory, writing is tried again", fault)

    def _select(self, statement: str, owner: int, keys: Sequence[str]) -> list[tuple[Any, ...]]:
        """The rows for `keys`; none where the file cannot be read: then it is as if nothing had been stored."""
        rows: list[tuple[Any, ...]] = []
        try:
            with self._file.connection() as connection:
                for start in range(0, len(keys), _KEYS_A_STATEMENT):
                    chunk = json.dumps(keys[start:start + _KEYS_A_STATEMENT])
                    rows += connection.execute(statement, (chunk, owner))
        except sqlite3.Error as exc:
            self._say(str(exc))
        return rows

    def _pages(self, statement: str, owner: int) -> Iterator[list[tuple[Any, ...]]]:
        last = ""
        while not self._is_closing:
            try:
                with self._file.connection() as connection:
                    page = connection.execute(statement, (owner, last)).fetchall()
            except sqlite3.Error as exc:
                self._say(str(exc))
                return
            if not page:
                return
            last = page[-1][0]
            yield page


_SOURCES = ("SELECT s.text, s.path, s.device, s.inode, s.size, s.mtime_ns, s.digest FROM json_each(?1) AS k"
            " CROSS JOIN sources AS s ON s.roots = ?2 AND s.text = k.value")
_ANSWERS = ("SELECT a.digest, a.ranking, a.note FROM json_each(?1) AS k"
            " CROSS JOIN answers AS a ON a.model = ?2 AND a.digest = k.value")
_VECTORS = ("SELECT e.digest, e.vector FROM json_each(?1) AS k"
            " CROSS JOIN embeddings AS e ON e.model = ?2 AND e.digest = k.value")
_FOCUSES = ("SELECT f.digest, f.numbers FROM json_each(?1) AS k"
            " CROSS JOIN focuses AS f ON f.model = ?2 AND f.digest = k.value")
_IMAGES = ("SELECT i.id, i.text, i.digest FROM json_each(?1) AS k CROSS JOIN images AS i ON i.id = k.value"
           " WHERE ?2 = 0")  # images have no owner


def _forget(queued: dict[K, V], written: dict[K, V]) -> None:
    for key, value in written.items():
        if queued.get(key) is value:
            del queued[key]


def _sound(rows: Sequence[tuple[Any, ...]]) -> list[StoredAnswer]:
    """The answers whose checksum holds; the others are said and computed again."""
    unsealed = [(digest, unseal(digest, ranking), note) for digest, ranking, note in rows]
    sound = [StoredAnswer(digest, ranking, note) for digest, ranking, note in unsealed if ranking is not None]
    if len(sound) < len(rows):
        log.error("%d stored answers are damaged: they are computed again", len(rows) - len(sound))
    return sound
