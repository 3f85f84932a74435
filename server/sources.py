"""From path texts to content digests, remembered by text and looked at again once per freshness window.

A column of texts enters; out comes, for each row, the digest of the picture's bytes, a reason, or a file or URL that
has yet to be read. A warm column costs one dictionary look-up a row: the rest is array arithmetic over the slots.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import numpy as np

from server.column import Column, Known
from server.filesystems import Places
from server.found_url import Found, FoundUrl
from server.looks import Looks
from server.path_error import ExchangedError, PathError
from server.path_text import PathTexts
from server.paths import FoundFile, PathResolver, Roots, look_again, read_file
from server.store import Store, StoredSource
from server.url_fetch import UrlFetcher
from server.url_prefix import IS_URL

log = logging.getLogger(__name__)

_ABSENT, _NO_PATH, _STAR = 0, 1, 2  # slots that are always there
_BYTES_A_ROW = 560  # objects, dictionary entry and array cells of a row without its text: measured, 1,000,000 rows
_BYTES_A_LETTER = 2  # the text may be kept twice: as written, and as the path it led to
_NEVER = -np.inf


class Sources:
    """The memory of path texts; safe for many threads.

    Args:
        roots: the allowed folders.
        texts: how texts are read: the mappings.
        urls: what fetches URLs, and says which are allowed.
        max_bytes: size a picture file may have.
        recheck_s: seconds until a remembered file is looked at again.
        limit_bytes: memory it may take; the oldest half goes when it is reached.
        store: where sources outlive the process.
        clock: seconds that never go back.
        places: the file systems the roots are on, for tests.
    """

    def __init__(self, *, roots: Roots, max_bytes: int, recheck_s: float, limit_bytes: int, store: Store,
                 clock: Callable[[], float], texts: PathTexts | None = None,
                 urls: UrlFetcher | None = None, places: Callable[[], Places] | None = None) -> None:
        self._texts, self._urls = texts or PathTexts(), urls or UrlFetcher()
        self._roots, self._max_bytes, self._recheck_s = roots, max_bytes, recheck_s
        self._limit_bytes = max(1_000_000, limit_bytes)
        self._store, self._clock = store, clock
        spelled = [(folder, os.path.realpath(folder)) for folder in roots.folders]
        self._looks = Looks(places or partial(Places.of, spelled), clock=clock)
        meaning = "".join(f"\n{' '.join(key)} = {folder}" for key, folder in sorted(self._texts.folders.items()))
        meaning += "".join(f"\n{prefix}" for prefix in sorted(self._urls.prefixes))
        self._owner = store.name_id("roots " + "\n".join(roots.allowed) + meaning)
        self._lock = threading.Lock()
        self._generation, self._bytes = 0, 0
        self._is_complete = False  # whether memory has all that the store has: then a miss need not ask it
        self._has_dropped = False
        self._clear()

    def __len__(self) -> int:
        return len(self._known)

    def close(self) -> None:
        """End the threads that look at slow file systems."""
        self._looks.close()

    def stop_waiting(self) -> None:
        """Let every request go on with the files that were looked at so far."""
        self._looks.stop_waiting()

    def resolve(self, texts: Sequence[str | None], *, give_up_at: float = np.inf) -> Column:
        """What is known of each row of `texts`, after looking again at what is older than the window.

        Rows that are not looked at by `give_up_at` (on this object's clock) have neither digest nor error.
        """
        with self._lock:
            slots = list(map(self._slots.get, texts, [_ABSENT] * len(texts)))
            taken = np.array(slots, np.int64)
            is_stale = self._checked_at[taken] <= self._clock() - self._recheck_s
            known, generation = self._known, self._generation
            column = Column([known[slot].digest for slot in slots])
            if self._has_error[taken].any():
                rows = np.flatnonzero(self._has_error[taken]).tolist()
                column.errors = {row: known[slots[row]].error or "" for row in rows}
        if is_stale.any():
            stale = is_stale.nonzero()[0].tolist()
            changed = self._touch({slots[row] for row in stale}, known, generation, give_up_at)
            self._refresh(texts, [row for row in stale if slots[row] in changed], column, give_up_at)
        return column

    def learn(self, text: str, found: Found, digest: str) -> None:
        """Remember that `text` meant `found` with the content `digest`, here and in the store."""
        if isinstance(found, FoundUrl):
            found = found._replace(digest=digest)
        self._remember([(text, Known(found, digest, None))], self._clock())
        self._store.put_source(self._owner, StoredSource(text, found, digest))

    def fail(self, text: str, error: str) -> None:
        """Remember for a window that the URL `text` could not be read, so that it is not asked for by every request."""
        self._remember([(text, Known(None, None, error))], self._clock())

    def read(self, text: str, found: Found | None, *, is_known: bool) -> tuple[bytes | None, Found]:
        """The bytes of what `text` was last found to mean, and what was read; raises PathError.

        Where the URL's content `is_known`, it is sent again only if it has changed, else the bytes are None.
        """
        found = found or self.find(text)
        if isinstance(found, FoundUrl):
            return self._urls.fetch(found if is_known else FoundUrl(found.url), max_bytes=self._max_bytes)
        try:
            return read_file(found, max_bytes=self._max_bytes)
        except ExchangedError:  # replaced since it was found, which may be a window ago
            found = PathResolver(self._roots, self._max_bytes, self._texts).resolve(text)
            return read_file(found, max_bytes=self._max_bytes)

    def find(self, text: str) -> Found:
        """The file or URL that `text` means now, whatever is remembered; raises PathError."""
        if "://" in text and IS_URL.match(text.lstrip()) and not self._texts.maps(text.strip()):
            return self._urls.admit(text.strip())
        return PathResolver(self._roots, self._max_bytes, self._texts).resolve(text)

    def find_in_time(self, text: str, *, give_up_at: float) -> Found | None:
        """As `find`; None where its file system has not answered by `give_up_at` (on this object's clock)."""
        resolver = PathResolver(self._roots, self._max_bytes, self._texts)
        found = self._looks.do([text], lambda texts: list(map(self.find, texts)), give_up_at=give_up_at,
                               paths_of=partial(self._paths_of, resolver))
        return found[0] if found else None

    def files(self, texts: list[str]) -> dict[str, Found]:
        """The files and URLs that `texts` were last seen to mean, for contents that another model has answered."""
        return {text: known.found for text, known in self._recall(texts).items() if known.found is not None}

    def fill(self) -> int:
        """Load stored sources, to be looked at on first use, until the memory limit; returns how many."""
        count = 0
        for page in self._store.every_source(self._owner):
            if self._bytes + sum(map(_bytes_of, (row.text for row in page))) > self._limit_bytes:
                return count
            self._remember([(row.text, Known.of(row)) for row in page], _NEVER, keep=True)
            count += len(page)
        with self._lock:
            self._is_complete = not self._has_dropped
        return count

    # ---- the window --------------------------------------------------------------------------------------------

    def _touch(self, slots: set[int], known: list[Known], generation: int, give_up_at: float) -> set[int]:
        """Look once at the file of each slot; those that are as they were count as fresh, the others are returned."""
        if all(known[slot].found is None for slot in slots):  # new texts, in most requests
            return slots
        now = self._clock()

        def work(block: Sequence[int]) -> list[int]:
            unchanged = [slot for slot in block
                         if (found := known[slot].found) is not None and self._is_unchanged(found)]
            with self._lock:
                if generation == self._generation:  # else the slots have been given out anew: look again next time
                    self._checked_at[unchanged] = now
            return unchanged

        def paths_of(slot: int) -> Sequence[str]:
            found = known[slot].found
            return (found.path,) if isinstance(found, FoundFile) else ()

        unchanged = self._looks.do(list(slots), work, paths_of=paths_of, give_up_at=give_up_at)
        return slots.difference(unchanged)

    def _refresh(self, texts: Sequence[str | None], rows: Sequence[int], column: Column, give_up_at: float) -> None:
        """Resolve the rows that are new or changed; each distinct text once."""
        rows_of: dict[str, list[int]] = {}
        for row in rows:
            text = texts[row]
            column.digests[row] = None  # what was known is out of date until it is looked at
            column.errors.pop(row, None)
            if text is not None:
                rows_of.setdefault(text, []).append(row)
        known = self._stored(list(rows_of))
        resolver = PathResolver(self._roots, self._max_bytes, self._texts)
        now = self._clock()

        def work(block: Sequence[str]) -> list[tuple[str, Known]]:
            found = [(text, self._look(text, known.get(text), resolver)) for text in block]
            self._remember([(text, result) for text, result in found
                            if result.digest is not None or result.error is not None], now)
            return found

        for text, result in self._looks.do(list(rows_of), work, paths_of=partial(self._paths_of, resolver),
                                           give_up_at=give_up_at):
            column.note(text, rows_of[text], result)

    def _paths_of(self, resolver: PathResolver, text: str) -> Sequence[str]:
        """The paths that resolving `text` looks at; none of a URL."""
        return () if IS_URL.match(text.lstrip()) and not self._texts.folders else resolver.paths_of(text)

    def _stored(self, texts: list[str]) -> dict[str, Known]:
        """What the store says of those `texts` that memory does not have: memory's were looked at already."""
        if self._is_complete:
            return {}
        with self._lock:
            absent = [text for text in texts if text not in self._slots]
        stored = self._store.sources(self._owner, absent) if absent else []
        return {source.text: Known.of(source) for source in stored}

    def _recall(self, texts: list[str]) -> dict[str, Known]:
        """What memory, else the store, says of `texts`."""
        with self._lock:
            known = {text: self._known[self._slots[text]] for text in texts if text in self._slots}
        return known | self._stored([text for text in texts if text not in known])

    def _look(self, text: str, known: Known | None, resolver: PathResolver) -> Known:
        """The file or URL as it is now: the digest stays when the signature does, or until the URL expires."""
        if known is not None and known.found is not None and self._is_unchanged(known.found):
            return known
        try:
            if "://" in text and IS_URL.match(text.lstrip()) and not self._texts.maps(text.strip()):
                return Known(self._expired(text, known), None, None)
            return Known(resolver.resolve(text), None, None)
        except PathError as exc:
            return Known(None, None, str(exc))

    def _expired(self, text: str, known: Known | None) -> FoundUrl:
        """The URL to be asked for, with what was known of it, so that it is sent again only if it has changed."""
        found = self._urls.admit(text.strip())
        previous = known or self._recall([text]).get(text)
        if previous is not None and isinstance(previous.found, FoundUrl) and previous.found.url == found.url:
            return previous.found
        return found

    def _is_unchanged(self, found: Found) -> bool:
        return found.is_fresh(self._urls.now()) if isinstance(found, FoundUrl) else look_again(found)

    # ---- memory ------------------------------------------------------------------------------------------------

    def _remember(self, rows: Iterable[tuple[str, Known]], checked_at: float, *, keep: bool = False) -> None:
        """Write rows into their slots; `keep` leaves what is there already."""
        with self._lock:
            for text, known in rows:
                slot = self._slots.get(text, _ABSENT)
                if slot == _ABSENT:
                    slot = self._slots[text] = len(self._known)
                    self._known.append(known)
                    self._bytes += _bytes_of(text)
                    if slot >= len(self._checked_at):
                        self._grow()
                elif keep:
                    continue
                self._known[slot] = known
                self._checked_at[slot] = checked_at
                self._has_error[slot] = known.error is not None
            while self._bytes > self._limit_bytes:
                self._drop_oldest_half()

    def _clear(self) -> None:
        self._generation += 1
        self._bytes = 0
        no_path = Known(None, None, "no path given")
        star = Known(None, None, "several paths in one mark (ATTR gave *): put the path field on Detail")
        self._known = [Known(None, None, None), no_path, star]
        self._slots: dict[str | None, int] = {None: _NO_PATH, "": _NO_PATH, "*": _STAR}
        self._checked_at = np.full(1024, _NEVER)
        self._checked_at[[_NO_PATH, _STAR]] = np.inf
        self._has_error = np.zeros(1024, bool)
        self._has_error[[_NO_PATH, _STAR]] = True

    def _grow(self) -> None:
        size = len(self._checked_at)
        self._checked_at = np.concatenate([self._checked_at, np.full(size, _NEVER)])
        self._has_error = np.concatenate([self._has_error, np.zeros(size, bool)])

    def _drop_oldest_half(self) -> None:
        self._is_complete, self._has_dropped = False, True
        texts = list(self._slots)[3 + (len(self._slots) - 3 + 1) // 2:]  # rounded up: one giant text must go too
        kept = [(text, self._known[self._slots[text]], self._checked_at[self._slots[text]]) for text in texts]
        self._clear()
        while len(self._checked_at) < len(kept) + 3:
            self._grow()
        for text, known, checked_at in kept:
            slot = self._slots[text] = len(self._known)
            self._known.append(known)
            self._bytes += _bytes_of(text or "")
            self._checked_at[slot] = checked_at
            self._has_error[slot] = known.error is not None


def _bytes_of(text: str) -> int:
    return _BYTES_A_ROW + _BYTES_A_LETTER * len(text)
