"""The models at work: what requests take, and how a version comes to be one of them.

References enter, open models leave for as long as a request uses them. A version is opened by threads of its own
(`openings`) and takes requests only when it is checked and warm; until then the version that the reference meant before
goes on. `model_watch` decides when a reference means another version.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import TimeoutError as FutureTimeoutError
from functools import partial
from pathlib import Path

from models.errors import ModelError, UnknownModelError
from models.names import normal
from models.registry import ModelVersion, Registry
from models.spec_memory import SpecMemory
from models.version import open_version
from server.engine import Engine, open_engine
from server.errors import BusyError, SettingsError, UnknownError
from server.meanings import AtWork, Key, Meanings
from server.metrics import Metrics
from server.openings import Openings
from server.served_model import ServedModel
from server.settings import Settings
from server.sources import Sources
from server.store import Store

log = logging.getLogger(__name__)

OpenEngine = Callable[[ModelVersion, Settings], Engine]
_WAIT_S = 20.0
_WAIT_AT_LEAST_S = 5.0  # also with a shorter deadline: a first opening takes a second, and without it no row is pending
_WAITERS = 16  # requests that may wait for a first opening; the other threads stay free


class ServedModels:
    """References to versions at work; `close` stops them all. `open_engine` makes a version's checked, warm engine."""

    def __init__(self, *, settings: Settings, sources: Sources, store: Store, metrics: Metrics,
                 open_engine: OpenEngine = open_engine, clock: Callable[[], float] = time.monotonic) -> None:
        self.registry = Registry((settings.store,), open_version=partial(open_version, read=SpecMemory()))
        self.opened = threading.Event()  # set when an opening has ended: worth a look
        self.meanings = Meanings(clock)
        self.openings = Openings(self._start, on_end=self.opened.set, clock=clock)
        self._settings, self._sources, self._store, self._metrics = settings, sources, store, metrics
        self._open_engine = open_engine
        self._found: dict[str, Path] = {}
        self._room = threading.Lock()
        self._waiters = threading.BoundedSemaphore(_WAITERS)
        self._is_closed = False

    @contextlib.contextmanager
    def use(self, reference: str | None, *, until: float | None = None) -> Iterator[ServedModel]:
        """The model that `reference` means, open until the end of the block.

        Where it is asked for the first time and not open, this waits for it until `until` (time.monotonic()), and five
        seconds at the least.

        Raises:
            UnknownError: there is no such model.
            BusyError: it cannot be opened, or is not yet; says why.
        """
        key, now = key_of(reference), time.monotonic()
        wait_until = now + _WAIT_S if until is None else max(until, now + _WAIT_AT_LEAST_S)
        at_work = self.meanings.take(key) or self._first(key, wait_until)
        try:
            yield at_work.model
        finally:
            self.meanings.give_back(at_work)

    def get(self, reference: str | None) -> ServedModel:
        """The same without a hold on it: it stays open for the grace period at least."""
        with self.use(reference) as model:
            return model

    def resolve(self, key: Key) -> ModelVersion:
        """The version that `key` should mean, as the folders say now; raises ModelError."""
        return self.registry.resolve(key, self._settings.model)

    def version(self, digest: str) -> ModelVersion:
        """The usable version whose digest begins with `digest`, as the folders say now; UnknownError without one.

        A picture's request asks this, so the folder where it was found last is looked at before all the others.
        """
        known = self._found.get(digest)
        with contextlib.suppress(ModelError):
            if known is not None and (version := self.registry.open_version(known)).spec.digest.startswith(digest):
                return version
        for name in self.registry.all_names():
            for version in self.registry.usable(name):
                if version.spec.digest.startswith(digest):
                    self._found[digest] = version.folder
                    return version
        raise UnknownError("version_gone", "the model version of this address is not there any more",
                           "ask for the column of addresses again")

    def begin(self, version: ModelVersion, limit: int, *, keeping: Key = None) -> Callable[[float], ServedModel]:
        """Begin to open `version`; where `limit` are open, the longest unused one is closed first. Returns its waiting.

        It is closed by the thread that opens: its own threads may take seconds to end, and a request must not wait.

        Raises:
            BusyError: all that are open are in use.
        """
        with self._room:
            leaving: list[AtWork] = []
            if version.spec.digest not in self.openings and len(self.meanings) + len(self.openings) >= limit:
                leaving.append(self.meanings.longest_unused(keeping=keeping))
            return self.openings.begin(version, first=partial(close, leaving)).result

    def states(self, name: str) -> dict[str, dict[str, str]]:
        """Version -> its state (serving, opening, leaving, idle or unusable, with its reason), the highest last."""
        open_now = self.meanings.is_meant()
        return {version: self._state(outcome, open_now) for version, outcome in self.registry.outcomes(name).items()}

    def fill(self) -> int:
        """Load the stored answers of every open model into memory; returns how many."""
        return sum(model.answers.fill() for model in self.meanings.models())

    def stop_waiting(self) -> None:
        """Let every request go on with the rows that are done."""
        for model in self.meanings.models():
            model.in_flight.stop_waiting()

    def close(self) -> None:
        """Stop every model, once what is being opened is."""
        self._is_closed = True
        self.openings.close()
        close(self.meanings.close())

    def _first(self, key: Key, until: float) -> AtWork:
        """The first time that `key` is asked for: nothing could go on instead, so its opening is waited for."""
        try:
            version = self.resolve(key)
        except UnknownModelError as exc:
            raise UnknownError("unknown_model", str(exc), "see GET /v1/models") from exc
        except ModelError as exc:
            raise _unusable(str(exc)) from exc
        if version.spec.digest not in self.meanings:
            self._wait_for(version, until)
        at_work = self.meanings.take(key, version.spec.digest)
        if at_work is None:
            raise BusyError("stopping", "the server is stopping") if self._is_closed else _opening(version)
        return at_work

    def _wait_for(self, version: ModelVersion, until: float) -> None:
        reason = self.openings.fault(version)
        if reason is not None:
            raise _unusable(reason)
        if not self._waiters.acquire(blocking=False):
            raise _opening(version)
        try:
            wait = self.begin(version, self._settings.max_models)
            wait(min(max(0.0, until - time.monotonic()), threading.TIMEOUT_MAX))
        except FutureTimeoutError as exc:
            raise _opening(version) from exc
        except (ModelError, SettingsError) as exc:
            raise _unusable(str(exc)) from exc
        finally:
            self._waiters.release()

    def _start(self, version: ModelVersion) -> ServedModel:
        """Check the files, decoding and the engine apart, so that the message names the culprit; then it may answer."""
        from models.golden import check_decode

        there = self.meanings.model(version.spec.digest)
        if there is not None:  # whoever asked for it looked a moment before it was there
            return there
        started = time.monotonic()
        version.verify()
        check_decode(version)
        engine = self._open_engine(version, self._settings)
        with contextlib.ExitStack() as unless_added:
            model = ServedModel(version, engine, settings=self._settings, sources=self._sources, store=self._store,
                                metrics=self._metrics)
            unless_added.callback(model.close)
            if len(self.meanings):  # others answer meanwhile: what is stored may come into memory first
                model.answers.fill()
            if not self.meanings.add(version, model):
                raise BusyError("stopping", "the server is stopping")
            unless_added.pop_all()
        log.info("%s is ready on %s after %.1f s", version.reference, engine.name, time.monotonic() - started)
        return model

    def _state(self, outcome: ModelVersion | str, open_now: dict[str, bool]) -> dict[str, str]:
        if isinstance(outcome, str):
            return {"state": "unusable", "reason": outcome}
        digest = outcome.spec.digest
        if digest in open_now:
            return {"state": "serving" if open_now[digest] else "leaving"}
        if digest in self.openings:
            return {"state": "opening"}
        reason = self.openings.reason(digest)
        return {"state": "idle"} if reason is None else {"state": "unusable", "reason": reason}


def key_of(reference: str | None) -> Key:
    """One spelling for each reference; None for none."""
    return normal(reference.strip()) or None if reference else None


def close(models: Iterable[AtWork]) -> None:
    """Stop the threads of models that nobody uses."""
    for at_work in models:
        at_work.model.close()
        log.info("%s is closed", at_work.model.name)


def _unusable(reason: str) -> BusyError:
    return BusyError("model_unusable", reason, retry_after_s=30)


def _opening(version: ModelVersion) -> BusyError:
    return BusyError("opening", f"{version.reference} is being opened", "ask again in a moment", retry_after_s=2)
