"""Pictures over HTTP: addresses for a column of contents, and the picture behind an address.

Giving an address out notes in the store which content its id means and a path text that had it. Asking for it goes the
way a column goes: the text is resolved anew under the roots, URL prefixes and mappings that hold now, never a path from
the request, and the content must be the very one the id means. So a picture that was removed or put out of reach is
not there any more, and one that was replaced not after the freshness window, whoever has its address.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence

from models.picture import Picture, PictureError
from server.column import Column
from server.decode import GRACE_S, digest_of
from server.errors import BusyError, UnknownError
from server.found_url import Found, FoundUrl
from server.metrics import Metrics
from server.ordinary import is_ordinary
from server.path_error import PathError
from server.picture_address import AddressKey, PictureAddress
from server.picture_cache import FILE, PictureCache
from server.picture_jobs import PictureJobs, Prolong
from server.picture_kinds import PictureKind
from server.quarantine import START_S, Order, Quarantine
from server.settings import Settings
from server.sources import Sources
from server.store import Store, StoredImage

_PLACES = min(8, max(1, (os.cpu_count() or 1) // 2))
"""Pictures drawn at a time: a column's pictures need the other half; each may take 130 MB."""

_GIVEN_KEPT = 500_000  # contents known to be in the store: 100 MB at most, mostly texts that the sources hold anyway
_FAILURES_KEPT = 10_000


class Pictures:
    """The pictures of one server; `close` ends what draws them.

    Args:
        sign: content digest -> public id.
        key: what signs addresses.
    """

    def __init__(self, *, settings: Settings, sources: Sources, store: Store, metrics: Metrics, key: AddressKey,
                 sign: Callable[[str], str]) -> None:
        self._settings, self._sources, self._store, self._metrics = settings, sources, store, metrics
        self._key, self._sign, self._base = key, sign, settings.base_url
        self._cache = PictureCache(settings.state / FILE, limit_bytes=settings.picture_cache_mb * 1_000_000)
        self._jobs = PictureJobs(places=_PLACES)
        self._url_jobs = PictureJobs(places=settings.fetch_threads)  # files never wait for a slow server
        self._quarantine = Quarantine(max_s=settings.max_decode_s, max_mb=settings.max_decode_mb)
        self._lock = threading.Lock()
        self._given: set[str] = set()
        self._failures: dict[str, str] = {}
        self._trimmer = threading.Timer(0, self._quarantine.trim)

    def close(self) -> None:
        """End the child processes and close the cache."""
        self._trimmer.cancel()
        self._quarantine.close()
        self._cache.close()

    # ---- giving out --------------------------------------------------------------------------------------------

    def addresses(self, kind: PictureKind, texts: Sequence[str | None], digests: Sequence[str | None]
                  ) -> list[str | None]:
        """The signed address of each row's picture; None for a row without a content or path text."""
        wanted = {digest: text for digest, text in zip(digests, texts, strict=True) if digest and text is not None}
        known = self._noted(wanted)
        paths = self._key.paths(list(known.values()), kind.path)
        addresses = {digest: self._base + path for digest, path in zip(known, paths, strict=True)}
        return [addresses.get(digest) if digest else None for digest in digests]

    def _noted(self, texts: dict[str, str]) -> dict[str, str]:
        """Digest -> public id of those that the store knows, after it is told of the new ones."""
        sign = self._sign
        ids = {digest: sign(digest) for digest in texts}
        with self._lock:
            new = [digest for digest in texts if digest not in self._given]
        if new:
            kept = self._store.put_images([StoredImage(ids[digest], texts[digest], digest) for digest in new])
            noted = {digest for digest in new if ids[digest] in kept}
            with self._lock:
                if len(self._given) + len(noted) > _GIVEN_KEPT:
                    self._given.clear()
                self._given |= noted
            if len(noted) < len(new):  # such an address would lead nowhere
                for digest in set(new) - noted:
                    del ids[digest]
        return ids

    # ---- the picture behind an address ---------------------------------------------------------------------------

    def png(self, address: PictureAddress, kind: PictureKind) -> bytes:
        """The PNG that `address`, which the doors have let in, means.

        Raises:
            UnknownError: there is no such picture, or not any more.
            BusyError: too many are asked for, or it cannot be read just now.
        """
        image = self._store.image(address.id)
        if image is None:
            if address.signature:  # it was given out, and the store has lost it: every column is to tell it again
                with self._lock:
                    self._given.clear()
            raise UnknownError("no_picture", "there is no such picture", "ask for the column of addresses again")
        name = f"{kind.path} {kind.policy} {image.digest}"
        column = self._looked_at(image)
        is_sure = self._check(image, column.digests[0])
        png = self._cache.get(name)
        if is_sure and png is not None:
            self._metrics.pictures.labels("kept").inc()
            return png
        found = column.to_read.get(image.text) or self._sources.files([image.text]).get(image.text)
        jobs = self._url_jobs if isinstance(found, FoundUrl) else self._jobs
        return jobs.run(name, lambda prolong: self._made(image, kind, name, found, prolong))

    def _looked_at(self, image: StoredImage) -> Column:
        """What is known of its text, once it is sure that it may still be read; a hanging share holds nobody."""
        until = time.monotonic() + self._settings.max_decode_s
        try:  # where it leads, a link as well, is looked at each time, not once a window
            found = self._sources.find(image.text, give_up_at=until)
        except PathError as exc:
            raise self._gone(image) from exc
        column = self._sources.resolve([image.text], give_up_at=until)
        if column.errors:
            raise self._gone(image)
        if found is None or not (column.digests[0] or column.to_read):
            raise BusyError("picture_busy", "the disk of this picture does not answer", "ask again in a moment",
                            retry_after_s=5)
        return column

    def _check(self, image: StoredImage, digest: str | None) -> bool:
        """Whether the content is known to be the image's; raises UnknownError where it is another one."""
        if digest is not None and digest != image.digest:
            raise self._gone(image, "the picture has changed since this address was given out")
        return digest is not None

    def _gone(self, image: StoredImage, message: str = "the picture is not there any more, or not to be read any more"
              ) -> UnknownError:
        with self._lock:
            self._given.discard(image.digest)  # another copy may be noted when a column meets it
        return UnknownError("picture_gone", message, "ask for the column of addresses again")

    def _made(self, image: StoredImage, kind: PictureKind, name: str, found: Found | None, prolong: Prolong) -> bytes:
        """Read the file or URL again, compare, and draw what is not kept."""
        png = self._cache.get(name)
        prolong(self._settings.max_decode_s + (self._settings.url_timeout_s if isinstance(found, FoundUrl) else 0))
        try:
            data, read = self._sources.read(image.text, found, is_known=png is not None)
        except PathError as exc:
            if isinstance(found, FoundUrl):  # for a window it is not asked for again, as of a column
                self._sources.fail(image.text, str(exc))
            raise self._gone(image) from exc
        digest = digest_of(data) if data is not None else read.digest if isinstance(read, FoundUrl) else ""
        self._sources.learn(image.text, read, digest)
        self._check(image, digest)
        if png is None and data is not None:
            png = self._drawn(data, kind, name, prolong)
            self._cache.put(name, png)
        if png is None:
            raise BusyError("picture_lost", "the kept picture was lost", "ask again in a moment")
        return png

    def _drawn(self, data: bytes, kind: PictureKind, name: str, prolong: Prolong) -> bytes:
        if name in self._failures:
            raise UnknownError("picture_unreadable", self._failures[name])
        try:
            png = kind.draw(data, lambda data, side, resize: self._decode(data, side, resize, prolong))
        except PictureError as exc:
            if not exc.is_final:
                raise BusyError("picture_busy", str(exc), "ask again in a moment", retry_after_s=5) from exc
            with self._lock:
                if len(self._failures) >= _FAILURES_KEPT:
                    self._failures.clear()
                self._failures[name] = str(exc)
            raise UnknownError("picture_unreadable", str(exc)) from exc
        self._metrics.pictures.labels("drawn").inc()
        return png

    def _decode(self, data: bytes, side: int, resize: str, prolong: Prolong) -> Picture:
        """As the decode threads do: here where the header bounds the work, else in quarantine."""
        order = Order(side, 3, resize, self._settings.max_image_megapixels)
        if data and not is_ordinary(data):
            prolong(START_S + self._settings.max_decode_s + GRACE_S)
            try:
                return self._quarantine.read(data, order)
            finally:
                self._trim_later()
        prolong(self._settings.max_decode_s)
        return order.read(data)

    def _trim_later(self) -> None:
        """End the child processes a while after the last of them was used."""
        with self._lock:
            self._trimmer.cancel()
            self._trimmer = threading.Timer(self._quarantine.idle_s + 1, self._quarantine.trim)
            self._trimmer.name, self._trimmer.daemon = "picture-trim", True
            self._trimmer.start()
