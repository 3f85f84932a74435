"""The models at work: opened on first use, checked, warm, and shared by every request that means the same version."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from models.errors import ModelError, UnknownModelError
from models.registry import ModelVersion, Registry
from server.engine import Engine, open_engine
from server.errors import BusyError, SettingsError, UnknownError
from server.metrics import Metrics
from server.served_model import ServedModel
from server.settings import Settings
from server.sources import Sources
from server.store import Store

log = logging.getLogger(__name__)

OpenEngine = Callable[[ModelVersion, Settings], Engine]
_UNUSABLE_KEPT_S = 10.0  # until a version that is being copied is looked at again: every look reads all of it
_REFERENCE_KEPT_S = 1.0  # how long a reference means the same version without the folders being looked at again


class ServedModels:
    """References to versions at work; `close` stops them all. `open_engine` makes a version's checked, warm engine."""

    def __init__(self, *, settings: Settings, sources: Sources, store: Store, metrics: Metrics,
                 open_engine: OpenEngine = open_engine) -> None:
        self.registry = Registry((settings.store,))
        self._settings, self._sources, self._store, self._metrics = settings, sources, store, metrics
        self._open_engine = open_engine
        self._opening = threading.Lock()
        self._is_closed = False
        self._by_digest: dict[str, ServedModel] = {}
        self._meant: dict[str | None, tuple[float, ServedModel]] = {}

    def get(self, reference: str | None) -> ServedModel:
        """The model that `reference` means, opened if it is not yet at work.

        Where the version it means now is unusable, such as a newer one half copied, the one it meant before goes on.

        Raises:
            UnknownError: there is no such model.
            BusyError: it cannot be opened now; says why.
        """
        meant = self._meant.get(reference)
        if meant is not None:
            now = time.monotonic()
            if now < meant[0]:
                return meant[1]
            self._meant[reference] = (now + _REFERENCE_KEPT_S, meant[1])  # one looks again, not all that come meanwhile
        try:
            model = self._open(self.registry.resolve(reference, self._settings.model))
        except UnknownModelError as exc:
            raise UnknownError("unknown_model", str(exc), "see GET /v1/models") from exc
        except (ModelError, SettingsError) as exc:
            if meant is None:
                raise BusyError("model_unusable", str(exc), retry_after_s=30) from exc
            log.error("%s goes on answering: %s", meant[1].name, exc)
            model = meant[1]
            self._meant[reference] = (time.monotonic() + _UNUSABLE_KEPT_S, model)
            return model
        self._meant[reference] = (time.monotonic() + _REFERENCE_KEPT_S, model)
        return model

    def fill(self) -> int:
        """Load the stored answers of every open model into memory; returns how many."""
        return sum(model.answers.fill() for model in list(self._by_digest.values()))

    def stop_waiting(self) -> None:
        """Let every request go on with the rows that are done."""
        for model in list(self._by_digest.values()):
            model.in_flight.stop_waiting()

    def close(self) -> None:
        """Stop every model."""
        with self._opening:
            self._is_closed = True
            for model in self._by_digest.values():
                model.close()
            self._by_digest.clear()
            self._meant.clear()

    def _open(self, version: ModelVersion) -> ServedModel:
        with self._opening:
            if self._is_closed:
                raise BusyError("stopping", "the server is stopping")
            served = self._by_digest.get(version.spec.digest)
            if served is None:
                served = self._start(version)
                self._by_digest[version.spec.digest] = served
            return served

    def _start(self, version: ModelVersion) -> ServedModel:
        """Check the files, decoding and the engine apart, so that the message names the culprit."""
        from models.golden import check_decode

        started = time.monotonic()
        version.verify()
        check_decode(version)
        engine = self._open_engine(version, self._settings)
        log.info("%s is ready on %s after %.1f s", version.reference, engine.name, time.monotonic() - started)
        return ServedModel(version, engine, settings=self._settings, sources=self._sources, store=self._store,
                           metrics=self._metrics)
