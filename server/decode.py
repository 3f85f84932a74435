"""The threads that read pictures, from files or URLs, and turn them into the model's input.

A ticket enters; a prepared picture leaves to the batcher, or the ticket ends here: with an answer that is already known
for this content, or with the reason why it cannot be read. What is not ordinary is decoded in quarantine. A thread that
hangs all the same, in a decoder or on a share that does not answer, is given up at the limit: its ticket ends, another
takes its place. What it brings later still goes on: another ticket may have joined its content meanwhile.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from dataclasses import dataclass

from models.picture import Picture, PictureError, PictureLimits
from models.spec import ModelSpec
from server.answers import Answers
from server.batching import Batcher, Prepared
from server.found_url import FoundUrl
from server.in_flight import InFlight, Result, Ticket
from server.lanes import Lanes
from server.metrics import Metrics
from server.ordinary import is_ordinary
from server.path_error import PathError
from server.quarantine import START_S, Order, Quarantine, too_slow
from server.sources import Sources

log = logging.getLogger(__name__)

_LOOK_S = 0.25
MAX_GIVEN_UP = 32  # threads that hang: each holds a picture and a stack; beyond it they are waited for
GRACE_S = 1.0  # the quarantine keeps its own time and says more
_READING, _DECODING = "reading", "decoding"


def digest_of(data: bytes) -> str:
    """The content digest: 128 bits of BLAKE2b, in hexadecimal."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _digest_of(ticket: Ticket) -> str:
    """The digest of the content that a URL's server says it still has."""
    return ticket.found.digest if isinstance(ticket.found, FoundUrl) else ""


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What one picture may take: bytes, what its header may claim, seconds, and memory in quarantine."""

    max_bytes: int
    picture: PictureLimits
    max_s: float = 10.0
    max_mb: int = 2000


class _Worker:
    """A decode thread as its watcher sees it: on which ticket since when, at what, and whether it is given up."""

    def __init__(self) -> None:
        self.thread: threading.Thread | None = None
        self.ticket: Ticket | None = None
        self.step, self.until = _READING, 0.0
        self.is_answered = self.is_given_up = False
        self._lock = threading.Lock()

    def begin(self, ticket: Ticket, seconds: float) -> None:
        """From here on the time runs."""
        with self._lock:
            self.ticket, self.is_answered = ticket, False
            self.step, self.until = _READING, time.monotonic() + seconds

    def go_on(self, step: str, seconds: float) -> None:
        """The time runs anew for the next step."""
        self.step, self.until = step, time.monotonic() + seconds

    def end(self) -> None:
        """The time no longer runs."""
        with self._lock:
            self.ticket = None

    def expire(self, *, may_give_up: bool) -> Ticket | None:
        """The ticket to end because its time is over, once; the thread is given up where it may be."""
        with self._lock:
            if self.ticket is None or self.is_answered or time.monotonic() < self.until:
                return None
            self.is_answered, self.is_given_up = True, may_give_up
            return self.ticket


class Decoders:
    """`count` threads from `lanes` to `batcher`, and one that watches them; `close` stops them.

    `role` says in the threads' names what they read, `read_s` how long reading one picture may take.
    """

    def __init__(self, *, count: int, spec: ModelSpec, limits: DecodeLimits, sources: Sources, answers: Answers,
                 in_flight: InFlight, lanes: Lanes, batcher: Batcher, metrics: Metrics, role: str = "decode",
                 read_s: float | None = None) -> None:
        self._spec, self._limits = spec, limits
        self._sources, self._answers, self._in_flight = sources, answers, in_flight
        self._lanes, self._batcher, self._metrics = lanes, batcher, metrics
        self._role, self._read_s = role, limits.max_s if read_s is None else read_s
        self._quarantine = Quarantine(max_s=limits.max_s, max_mb=limits.max_mb)
        self._order = Order(spec.input_size, spec.channels, spec.resize, limits.picture.max_megapixels)
        self._given_up: list[_Worker] = []
        self._stop = threading.Event()
        self.busy = 0
        self._workers = [self._start(number) for number in range(count)]
        self._watcher = threading.Thread(target=self._watch, name=f"{role}-watch-{spec.name}", daemon=True)
        self._watcher.start()

    def close(self) -> None:
        """Wait for the threads, except those given up; the lanes and the batcher must be closed before."""
        self._quarantine.close()
        for worker in self._workers:
            if worker.thread is not None and not worker.is_answered:
                worker.thread.join(self._limits.max_s)
        self._stop.set()
        self._watcher.join()

    def _start(self, number: int) -> _Worker:
        worker = _Worker()
        worker.thread = threading.Thread(target=self._loop, args=(worker,), daemon=True,
                                         name=f"{self._role}-{self._spec.name}-{number}")
        worker.thread.start()
        return worker

    def _loop(self, worker: _Worker) -> None:
        while not worker.is_given_up and (ticket := self._lanes.take()) is not None:
            self.busy += 1  # a hint for the batcher; a lost update costs at most one short wait
            worker.begin(ticket, self._read_s)
            prepared = None
            try:
                with self._metrics.decode.time():
                    prepared = self._prepare(ticket, worker)
            except Exception:
                log.exception("a picture could not be prepared")
                self._in_flight.finish(ticket, Result(error="this picture could not be prepared: see the server's log"))
            finally:
                worker.end()
                if not worker.is_given_up:  # else its watcher has counted it out
                    self.busy -= 1  # before `put`: the batcher must not wait for what is not coming
                if prepared is not None:
                    self._batcher.put(prepared)

    def _watch(self) -> None:
        """End the tickets whose time is over, and replace their threads."""
        while not self._stop.wait(_LOOK_S):
            self._quarantine.trim()
            self._given_up = [worker for worker in self._given_up if worker.thread and worker.thread.is_alive()]
            for number, worker in enumerate(self._workers):
                may_give_up = len(self._given_up) < MAX_GIVEN_UP
                ticket = worker.expire(may_give_up=may_give_up)
                if ticket is not None:
                    self._end(ticket, worker.step)
                    if may_give_up:
                        self.busy -= 1
                        self._given_up.append(worker)
                        self._workers[number] = self._start(number)

    def _end(self, ticket: Ticket, step: str) -> None:
        log.error("%s a picture took more than %g s (%d threads left behind before)", step, self._limits.max_s,
                  len(self._given_up))
        if step == _DECODING and ticket.digest is not None:
            reason = too_slow(self._limits.max_s)
            self._answers.fail(ticket.digest, reason)
        else:
            reason = f"reading the file takes too long: more than {self._read_s:g} s (--max-decode-s)"
        self._in_flight.finish(ticket, Result(digest=ticket.digest, error=reason))

    def _prepare(self, ticket: Ticket, worker: _Worker) -> Prepared | None:
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
        return self._decode(digest, data, worker)

    def _read(self, ticket: Ticket) -> bytes | None:
        """The bytes; None for a URL that has not changed and whose content has an answer."""
        if ticket.data is not None:
            return ticket.data
        found = ticket.found
        is_known = isinstance(found, FoundUrl) and bool(found.digest) and self._known(found.digest) is not None
        data, ticket.found = self._sources.read(ticket.key, found, is_known=is_known)
        return data

    def _known(self, digest: str) -> Result | None:
        """What is known of the content, looked up after it was claimed: two threads can then never both miss it.

        Nothing where the answer is older than the focus: the model is asked once more.
        """
        reason = self._answers.failure(digest)
        if reason is not None:
            return Result(digest=digest, error=reason)
        found = self._answers.find(digest)
        return None if found is None or self._answers.lacking_focus([digest]) else Result(digest, *found)

    def _decode(self, digest: str, data: bytes, worker: _Worker) -> Prepared | None:
        try:
            picture = self._picture(data, worker)
        except PictureError as exc:
            if exc.is_final:
                self._answers.fail(digest, str(exc))
            self._in_flight.finish_content(digest, Result(digest=digest, error=str(exc)))
            return None
        answered = self._answers.find(digest)
        return Prepared(digest, picture.pixels, picture.note, None if answered is None else answered[0])

    def _picture(self, data: bytes, worker: _Worker) -> Picture:
        """The pixels of `data`: decoded here where its header bounds the work, else in quarantine."""
        if data and not is_ordinary(data):
            worker.go_on(_DECODING, START_S + self._limits.max_s + GRACE_S)
            return self._quarantine.read(data, self._order)
        worker.go_on(_DECODING, self._limits.max_s)
        return self._order.read(data)
