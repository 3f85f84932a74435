"""Pictures in object storage: one plain request for one object, bounded in bytes and time.

What speaks to a storage is fsspec's library for it, opened once, at the first picture, with the credentials and the
endpoint of the server's own environment. It is given a bucket and a key, never a URL: nothing is listed or matched.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from server.found_url import Fetched, FoundUrl, lifetime_s, validator
from server.path_error import PathError, TooManyBytesError
from server.storage_url import StorageUrl
from server.url_scheme import AnyUrl

log = logging.getLogger(__name__)

_KEPT_S = 30.0  # a storage that did not answer is not asked again for so long: a column has it in every row
_GRACE_S = 2.0  # the library ends its request itself; if it cannot, its thread is not waited for


class SilentError(PathError):
    """The storage cannot be reached: the next object would have no better luck."""


class StrangerError(SilentError):
    """The environment does not say who we are, or not now: the storage is opened anew before it is asked again."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """The head of an object, and its bytes as they come; `size` is None where it was not announced."""

    size: int | None
    version: str
    cache_control: str | None
    encoding: str | None
    chunks: AsyncIterator[bytes]


class ObjectStore(Protocol):
    """One storage: what the fetcher needs of its library."""

    errors: tuple[type[Exception], ...]
    """What its library raises."""

    loop: asyncio.AbstractEventLoop
    """Where its coroutines run."""

    def get(self, bucket: str, key: str, version: str) -> AbstractAsyncContextManager[StoredObject | None]:
        """One object by its whole name; None where it still has that `version`. Raises PathError or `errors`."""

    def reason(self, exc: Exception) -> PathError:
        """Why there is no object, in one line."""


class StorageFetcher:
    """Fetches objects of one storage; safe for many threads.

    Args:
        allow: the URL that a text means, if it is allowed; raises PathError.
        open_store: connects to the storage; called at the first picture, never before.
        timeout_s: seconds for one picture.
        now: the clock (time.time).
    """

    def __init__(self, allow: Callable[[str], AnyUrl], open_store: Callable[[float], ObjectStore], *, timeout_s: float,
                 now: Callable[[], float] = time.time) -> None:
        self._allow, self._open, self._timeout_s, self._now = allow, open_store, timeout_s, now
        self._lock = threading.Lock()
        self._store: ObjectStore | None = None
        self._silent: tuple[float, str] = (0.0, "")

    def fetch(self, found: FoundUrl, *, max_bytes: int) -> Fetched:
        """As `Fetcher` has it."""
        url = self._allow(found.url)
        if not isinstance(url, StorageUrl):
            raise PathError("outside the allowed URLs (--allow-url)")
        until, reason = self._silent
        if time.monotonic() < until:
            raise PathError(reason)
        try:
            return self._fetched(self._opened(), url, found, max_bytes)
        except SilentError as exc:
            self._silent = (time.monotonic() + _KEPT_S, str(exc))
            if isinstance(exc, StrangerError):
                self._store = None
            raise

    def _opened(self) -> ObjectStore:
        with self._lock:
            if self._store is None:
                self._store = self._open(self._timeout_s)
            return self._store

    def _fetched(self, store: ObjectStore, url: StorageUrl, found: FoundUrl, max_bytes: int) -> Fetched:
        future = asyncio.run_coroutine_threadsafe(self._read(store, url, found, max_bytes), store.loop)
        try:
            return future.result(self._timeout_s + _GRACE_S)
        except PathError:
            raise
        except TimeoutError as exc:
            future.cancel()
            raise PathError(f"the URL took longer than {self._timeout_s:g} s (--url-timeout-s)") from exc
        except store.errors as exc:
            raise store.reason(exc) from exc

    async def _read(self, store: ObjectStore, url: StorageUrl, found: FoundUrl, max_bytes: int) -> Fetched:
        async with asyncio.timeout(self._timeout_s), store.get(url.bucket, url.key, found.etag) as stored:
            if stored is None:
                return Fetched(None, found._replace(expires_at=self._now() + lifetime_s(None)))
            data = await _body(stored, max_bytes)
            expires_at = self._now() + lifetime_s(stored.cache_control)
            return Fetched(data, FoundUrl(found.url, validator(stored.version), expires_at=expires_at))


async def _body(stored: StoredObject, max_bytes: int) -> bytes:
    """The bytes of an object; raises PathError where they are too many, none, or fewer than announced."""
    if (stored.encoding or "identity").lower() not in ("identity", "aws-chunked"):  # the latter is how it was sent
        raise PathError("the object is stored compressed (Content-Encoding)")
    if stored.size is not None and stored.size > max_bytes:
        raise TooManyBytesError(stored.size, max_bytes)
    chunks: list[bytes] = []
    size = 0
    async for chunk in stored.chunks:
        chunks.append(chunk)
        size += len(chunk)
        if size > max_bytes:
            raise TooManyBytesError(size, max_bytes)
    if stored.size is not None and size < stored.size:
        raise PathError(CUT_OFF)
    if size == 0:
        raise PathError("the object is empty")
    return b"".join(chunks)


CUT_OFF = "the storage broke off before the object was complete: ask again"
