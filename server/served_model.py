"""One model version at work: its engine, its answers, and the threads between them.

Tickets enter, answers come back through them. Every version has a pipeline of its own (lanes, decoders, batcher, engine
threads), so versions never mix in a batch and one can be closed without the other noticing.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.activation import class_activation, focus
from models.calibration import calibrate
from models.picture import PictureLimits
from models.reference.reference import read_reference
from models.registry import ModelVersion
from server.admission import Admission
from server.answers import Answers
from server.batching import Batcher, Prepared
from server.decode import DecodeLimits, Decoders
from server.engine import Engine, Outputs
from server.errors import BusyError
from server.found_url import FoundUrl
from server.in_flight import InFlight, Result, Ticket
from server.lanes import Lanes
from server.layers import SeeingEngine
from server.metrics import Metrics
from server.ranking import Rankings
from server.reference_places import ReferencePlaces
from server.settings import Settings
from server.sources import Sources
from server.store import Store

log = logging.getLogger(__name__)

_BATCHES_READY = 3  # prepared batches that may wait for each engine thread: enough to never starve it


NO_REFERENCE = "this model has no reference: map, cluster, nearest label and outlier are null (run.py models reference)"
"""What `image_note` says of every row then."""


class ServedModel:
    """A checked and warm version; `close` stops its threads.

    Raises:
        DamagedModelError: the reference of the version cannot be used.
    """

    def __init__(self, version: ModelVersion, engine: Engine, *, settings: Settings, sources: Sources, store: Store,
                 metrics: Metrics) -> None:
        self.spec = version.spec
        self.labels: Sequence[str] = version.spec.labels
        self.label_array = np.array(self.labels, object)  # made once: of a thousand classes it costs as much as a row
        self.engine = engine
        self.seeing = engine if isinstance(engine, SeeingEngine) else None
        self.kernel = None if self.seeing is None else self.seeing.kernel
        self.sources = sources
        self.answers = Answers(model=version.spec.digest, classes=len(version.spec.labels), store=store,
                               limit_bytes=settings.cache_mb * 500_000, has_focus=self.kernel is not None)
        reference = read_reference(version)
        self.places = None if reference is None else ReferencePlaces(reference, self.answers,
                                                                     limit_bytes=settings.cache_mb * 100_000)
        self.remark = "; ".join(filter(None, (NO_REFERENCE if reference is None else "", self.blindness))) or None
        self.admission = admission = Admission(pressed_at=engine.threads * engine.max_batch, clock=time.monotonic)
        self.in_flight = InFlight(settings.queue_rows, on_begin=lambda tickets: admission.begun(_files(tickets)),
                                  on_end=lambda tickets: admission.finished(_files(tickets)))
        self._lanes, self._url_lanes = Lanes(), Lanes()
        self._batches, self._seconds = metrics.batches.labels(self.name), metrics.engine.labels(self.name)
        self._metrics, self._inferences = metrics, metrics.inferences
        self._batcher = Batcher(batch_size=engine.max_batch, has_upstream=self._has_upstream,
                                capacity=_BATCHES_READY * engine.max_batch * engine.threads)
        limits = DecodeLimits(int(settings.max_image_mb * 1_000_000), PictureLimits(settings.max_image_megapixels),
                              settings.max_decode_s, settings.max_decode_mb)
        make = functools.partial(Decoders, spec=version.spec, limits=limits, sources=sources, answers=self.answers,
                                 in_flight=self.in_flight, batcher=self._batcher, metrics=metrics)
        self._decoders = make(count=settings.decode_threads, lanes=self._lanes)
        # URLs have threads of their own: files never wait for a slow server
        self._fetchers = make(count=settings.fetch_threads if settings.allow_url else 0, lanes=self._url_lanes,
                              role="fetch", read_s=settings.url_timeout_s + settings.max_decode_s)
        metrics.queues.watch(self, self.name, self.in_flight.__len__)
        self._threads = [threading.Thread(target=self._loop, name=f"engine-{self.spec.name}-{number}", daemon=True)
                         for number in range(engine.threads)]
        for thread in self._threads:
            thread.start()

    @property
    def name(self) -> str:
        """name@version."""
        return f"{self.spec.name}@{self.spec.version}"

    def card(self) -> dict[str, Any]:
        """What `/v1/models/<reference>` says of it."""
        spec = self.spec
        return {"name": spec.name, "version": spec.version, "labels": list(spec.labels),
                "input": {"size": spec.input_size, "channels": spec.channels, "resize": spec.resize},
                "outputs": {output: list(shape) for output, shape in spec.outputs.items()},
                "reference": None if self.places is None else self.places.describe(),
                "digest": spec.digest, "engine": self.engine.name, "about": dict(spec.about)}

    @property
    def blindness(self) -> str:
        """Why it cannot tell where it looked, in a sentence; empty where it can."""
        return f"{self.name} {self.seeing.blindness}" if self.seeing and self.kernel is None else ""

    def compute(self, wanted: list[Ticket], *, until: float) -> tuple[dict[str, Result], BusyError | None]:
        """Work on `wanted` and wait for it until `until` (time.monotonic()).

        Returns key -> result of what is done by then, and why none of it was taken, where that is so. What is not done
        goes on behind the requests that still wait; uploads do not, since nobody could ask for them again and their
        bytes would stay in memory.
        """
        has_files = _files(wanted) > 0
        try:
            with self.admission.admit(until - time.monotonic()) if has_files else contextlib.nullcontext():
                return self._compute(wanted, until)
        except BusyError as exc:
            return {}, exc

    def _compute(self, wanted: list[Ticket], until: float) -> tuple[dict[str, Result], BusyError | None]:
        tickets = self.in_flight.join(wanted)
        if not tickets:
            raise BusyError("queue_full", "the queue is full", "ask again in a moment", retry_after_s=5)
        countdown = self.in_flight.watch(tickets)
        lane = self._lanes.add([ticket for ticket in tickets if not isinstance(ticket.found, FoundUrl)])
        url_lane = self._url_lanes.add([ticket for ticket in tickets if isinstance(ticket.found, FoundUrl)])
        is_done = countdown.wait(until - time.monotonic())
        results = {ticket.key: ticket.result for ticket in tickets if ticket.result is not None}
        if not is_done:
            self.in_flight.unwatch(tickets, countdown)
        if not is_done and any(ticket.data is not None for ticket in wanted):
            for ticket in self._lanes.drop(lane):
                self.in_flight.finish(ticket, Result(error="nobody waits for this upload any more"))
        elif not is_done:
            self._lanes.demote(lane)
            self._url_lanes.demote(url_lane)
        return results, None

    def close(self) -> None:
        """Stop the threads; what is under way is dropped. Nothing holds on to the engine afterwards but the caller."""
        self._metrics.queues.leave(self)
        self._lanes.close()
        self._url_lanes.close()
        self._batcher.close()
        self._decoders.close()
        self._fetchers.close()
        for thread in self._threads:
            thread.join()

    def _has_upstream(self) -> bool:
        return self._lanes.has_work or self._decoders.busy > 0

    def _loop(self) -> None:
        while batch := self._batcher.take():
            try:
                self._answer(batch)
            except Exception:
                log.exception("%s could not answer a batch of %d", self.name, len(batch))
                for prepared in batch:
                    error = "the model failed on this picture: see the server's log"
                    self.in_flight.finish_content(prepared.digest, Result(error=error))

    def _answer(self, batch: list[Prepared]) -> None:
        """Run one batch and end its tickets."""
        self._batches.observe(len(batch))
        with self._seconds.time():
            outputs = self.engine.run(np.stack([prepared.pixels for prepared in batch]))
        self._inferences.labels(self.name).inc(len(batch))
        rankings, vectors = self._read(outputs, len(batch))
        digests = [prepared.digest for prepared in batch]
        notes = [prepared.note for prepared in batch]
        self._keep(batch, rankings, vectors, outputs)
        for row, (digest, note) in enumerate(zip(digests, notes, strict=True)):
            ranking = Rankings(rankings.order[row:row + 1], rankings.probabilities[row:row + 1])
            self.in_flight.finish_content(digest, Result(digest, ranking, note))

    def _read(self, outputs: Mapping[str, NDArray[np.float32]], rows: int) -> tuple[Rankings, NDArray[np.float32]]:
        """Rankings and embeddings of a batch; raises ValueError where the model broke its promise."""
        probabilities = _checked(outputs["probabilities"], rows, len(self.labels), self.spec.temperature)
        return Rankings.of(probabilities), outputs["embedding"]

    def _keep(self, batch: list[Prepared], rankings: Rankings, vectors: NDArray[np.float32],
              outputs: Outputs) -> None:
        """Keep what is new of a batch; rows of `rankings` whose answer was known become that answer."""
        new = [row for row, prepared in enumerate(batch) if prepared.ranking is None]
        for row, prepared in enumerate(batch):
            if prepared.ranking is not None:
                rankings.order[row], rankings.probabilities[row] = (prepared.ranking.order[0],
                                                                    prepared.ranking.probabilities[0])
        digests = [prepared.digest for prepared in batch]
        if self.kernel is not None and self.answers.focuses is not None:
            activation = class_activation(outputs["map"], self.kernel, rankings.order[:, 0])
            self.answers.focuses.put(digests, focus(activation))  # before the answers: these say that all is there
        self.answers.put([digests[row] for row in new], Rankings(rankings.order[new], rankings.probabilities[new]),
                         vectors[new], [batch[row].note for row in new])


def _files(tickets: Sequence[Ticket]) -> int:
    """How many of `tickets` are files or uploads, not URLs."""
    return sum(not isinstance(ticket.found, FoundUrl) for ticket in tickets)


def _checked(probabilities: NDArray[np.float32], rows: int, classes: int, temperature: float) -> NDArray[np.float32]:
    """The calibrated probabilities, float32 (rows, classes); raises ValueError where the model broke its promise."""
    if probabilities.shape != (rows, classes):
        raise ValueError(f"expected probabilities ({rows}, {classes}), received {probabilities.shape}")
    if not (np.isfinite(probabilities).all() and (probabilities >= 0).all() and probabilities.max(axis=1).all()):
        raise ValueError("the model answered with values that are no probabilities")
    return calibrate(probabilities, temperature)
