"""The threads that read pictures, from files or URLs, and turn them into the model's input.

A ticket enters; a prepared picture leaves to the batcher, or the ticket ends here: with an answer that is already known
for this content, or with the reason why it cannot be read.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from dataclasses import dataclass

from models.picture import PictureError, PictureLimits, read_picture
from models.spec import ModelSpec
from server.answers import Answers
from server.batching import Batcher, Prepared
from server.found_url import FoundUrl
from server.in_flight import InFlight, Result, Ticket
from server.lanes import Lanes
from server.metrics import Metrics
from server.path_error import ExchangedError, PathError
from server.paths import read_file
from server.sources import Sources

log = logging.getLogger(__name__)


def digest_of(data: bytes) -> str:
    """The content digest: 128 bits of BLAKE2b, in hexadecimal."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _digest_of(ticket: Ticket) -> str:
    """The digest of the content that a URL's server says it still has."""
    return ticket.found.digest if isinstance(ticket.found, FoundUrl) else ""


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What one picture may take."""

    max_bytes: int
    picture: PictureLimits


class Decoders:
    """`count` threads from `lanes` to `batcher`; `close` stops them. `role` says in their names what they read."""

    def __init__(self, *, count: int, spec: ModelSpec, limits: DecodeLimits, sources: Sources, answers: Answers,
                 in_flight: InFlight, lanes: Lanes, batcher: Batcher, metrics: Metrics, role: str = "decode") -> None:
        self._spec, self._limits = spec, limits
        self._sources, self._answers, self._in_flight = sources, answers, in_flight
        self._lanes, self._batcher, self._metrics = lanes, batcher, metrics
        self._threads = [threading.Thread(target=self._loop, name=f"{role}-{spec.name}-{number}", daemon=True)
                         for number in range(count)]
        self.busy = 0
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Wait for the threads; the lanes and the batcher must be closed before."""
        for thread in self._threads:
            thread.join()

    def _loop(self) -> None:
        while (ticket := self._lanes.take()) is not None:
            self.busy += 1  # a hint for the batcher; a lost update costs at most one short wait
            try:
                with self._metrics.decode.time():
                    prepared = self._prepare(ticket)
                if prepared is not None:
                    self._batcher.put(prepared)
            except Exception:
                log.exception("a picture could not be prepared")
                self._in_flight.finish(ticket, Result(error="this picture could not be prepared: see the server's log"))
            finally:
                self.busy -= 1

    def _prepare(self, ticket: Ticket) -> Prepared | None:
        """Read, look up, decode; None when the ticket is done or joined to another with the same content."""
        try:
            data = self._read(ticket)
        except PathError as exc:
            if isinstance(ticket.found, FoundUrl):
                self._sources.fail(ticket.key, str(exc))
            self._in_flight.finish(ticket, Result(error=str(exc)))
            return None
        digest = digest_of(data) if data is not None else _digest_of(ticket)
        if ticket.found is not None:
            self._sources.learn(ticket.key, ticket.found, digest)
        if not self._in_flight.claim(digest, ticket):
            return None
        known = self._known(digest)
        if known is not None:
            self._in_flight.finish_content(digest, known)
            return None
        if data is None:  # its answer was there a moment ago
            self._in_flight.finish_content(digest, Result(error="the answer to this picture was lost: ask again"))
            return None
        return self._decode(digest, data)

    def _read(self, ticket: Ticket) -> bytes | None:
        """The bytes; None for a URL that has not changed and whose content has an answer."""
        if ticket.data is not None:
            return ticket.data
        if ticket.found is None:  # forgotten since the request looked it up
            ticket.found = self._sources.find(ticket.key)
        if isinstance(ticket.found, FoundUrl):
            is_known = ticket.found.digest and self._known(ticket.found.digest) is not None
            fetched = self._sources.fetch(ticket.found if is_known else FoundUrl(ticket.found.url))
            ticket.found = fetched.found
            return fetched.data
        try:
            data, ticket.found = read_file(ticket.found, max_bytes=self._limits.max_bytes)
        except ExchangedError:  # replaced since it was found, which may be a window ago
            data, ticket.found = read_file(self._sources.find(ticket.key), max_bytes=self._limits.max_bytes)
        return data

    def _known(self, digest: str) -> Result | None:
        """What is known of the content, looked up after it was claimed: two threads can then never both miss it."""
        reason = self._answers.failure(digest)
        if reason is not None:
            return Result(digest=digest, error=reason)
        found = self._answers.find(digest)
        return None if found is None else Result(digest, *found)

    def _decode(self, digest: str, data: bytes) -> Prepared | None:
        spec = self._spec
        try:
            picture = read_picture(data, size=spec.input_size, channels=spec.channels, resize=spec.resize,
                                   limits=self._limits.picture)
        except PictureError as exc:
            self._answers.fail(digest, str(exc))
            self._in_flight.finish_content(digest, Result(digest=digest, error=str(exc)))
            return None
        return Prepared(digest, picture.pixels, picture.note)
