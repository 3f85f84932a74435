"""What the server counts and times, in Prometheus's form."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

_SECONDS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0)


class Queues(Collector):
    """The gauge of pictures on their way, by model: looked at when asked for, gone with its model."""

    def __init__(self) -> None:
        self._lengths: dict[object, tuple[str, Callable[[], int]]] = {}

    def watch(self, owner: object, model: str, length: Callable[[], int]) -> None:
        """Count `length()` under `model` until `leave(owner)`; owners of one name are added up."""
        self._lengths[owner] = (model, length)

    def leave(self, owner: object) -> None:
        """Count it no longer, and hold on to nothing of it."""
        self._lengths.pop(owner, None)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """What Prometheus gets."""
        rows: dict[str, int] = {}
        for model, length in list(self._lengths.values()):
            rows[model] = rows.get(model, 0) + length()
        family = GaugeMetricFamily("pixfield_queue_rows", "pictures on their way", labels=["model"])
        for model, count in rows.items():
            family.add_metric([model], count)
        yield family


class Metrics:
    """One registry of the server's own, so that two servers in one process (tests) do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("pixfield_requests", "requests by endpoint and HTTP status", ["endpoint", "status"],
                                registry=self.registry)
        self.latency = Histogram("pixfield_request_seconds", "time from arrival to answer", ["endpoint"],
                                 buckets=_SECONDS, registry=self.registry)
        self.rows = Counter("pixfield_rows", "rows answered, by status", ["status"], registry=self.registry)
        self.rows_by_status = {status: self.rows.labels(status) for status in ("ok", "failed", "pending")}
        self.hits = Counter("pixfield_hits", "rows answered from memory or the store", registry=self.registry)
        self.misses = Counter("pixfield_misses", "rows that had to wait for a picture", registry=self.registry)
        self.queues = Queues()
        self.registry.register(self.queues)
        self.batches = Histogram("pixfield_batch_size", "pictures the model saw at once", ["model"],
                                 buckets=(1, 2, 4, 8, 16, 32, 64, 128), registry=self.registry)
        self.decode = Histogram("pixfield_decode_seconds", "time to read and decode one picture", buckets=_SECONDS,
                                registry=self.registry)
        self.engine = Histogram("pixfield_engine_seconds", "time of one batch in the model", ["model"],
                                buckets=_SECONDS, registry=self.registry)
        self.inferences = Counter("pixfield_inferences", "pictures the model was asked for", ["model"],
                                  registry=self.registry)
        self.pictures = Counter("pixfield_pictures", "pictures sent, by whether they were kept or drawn", ["how"],
                                registry=self.registry)

    def count_unread(self, status: int) -> None:
        """Count a request that was refused before its body was read; which endpoint it meant is not known."""
        self.requests.labels("unread", str(status)).inc()

    def render(self) -> bytes:
        """The text of `/metrics`."""
        return bytes(generate_latest(self.registry))
