"""Looks at the model folders every second: new versions, moved aliases, half copied and removed folders.

A reference that means another version now is switched to it when that version is open; until then, and where it cannot
be opened, it goes on as before and the log says why. Models that nobody needs any more are closed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from models.errors import ModelError, UnknownModelError
from models.registry import ModelVersion
from server.errors import BusyError
from server.meanings import Key
from server.served_models import ServedModels, close
from server.settings import Settings

log = logging.getLogger(__name__)

GRACE_S = 30.0  # a replaced model stays open that long after its last request, for whoever rolls back at once
_LOOK_S = 1.0
_DEFAULT = "the default model"


class ModelWatch:
    """A thread that calls `look`; `close` ends it."""

    def __init__(self, models: ServedModels, settings: Settings, *,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self.problem: str | None = None
        """Why there is no default model, as of the last look."""

        self._models, self._settings, self._clock = models, settings, clock
        self._broken: set[str] = set()
        self._told: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="model-watch", daemon=True)

    def start(self) -> None:
        """Look from now on."""
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._stop.set()
        self._models.opened.set()
        if self._thread.ident is not None:
            self._thread.join()

    def look(self) -> None:
        """Switch references to versions that are ready, begin to open what is new, close what nobody needs."""
        self._models.opened.clear()
        for key in self._models.meanings.references():
            self._look_at(key)
        self._tell_of_broken_folders()
        now, idle_s = self._clock(), self._settings.model_idle_s
        self._models.meanings.forget(asked_before=now - idle_s)
        close(self._models.meanings.replaced(used_before=now - min(GRACE_S, idle_s)))

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.look()
            except Exception:
                log.exception("the model folders could not be looked at")
            self._models.opened.wait(_LOOK_S)

    def _look_at(self, key: Key) -> None:
        try:
            version = self._models.resolve(key)
        except ModelError as exc:
            if isinstance(exc, UnknownModelError) and self._is_removed(key):
                self._drop(key)
            self._go_on(key, str(exc))
            return
        if key is not None and self._models.meanings.find(key) is None:  # forgotten or evicted meanwhile
            return
        reason = None if self._switch(key, version) else self._begin(key, version)
        if reason is not None:
            self._go_on(key, reason)

    def _switch(self, key: Key, version: ModelVersion) -> bool:
        """Let `key` mean `version` from now on; False where that is not open."""
        switched = self._models.meanings.switch(key, version.spec.digest)
        if switched is None:
            return False
        before, now = switched
        if before is not now:
            was = "" if before is None else f"; it was {before.model.name}"
            log.info("%s is %s now%s", key or _DEFAULT, version.reference, was)
        self.problem = self.problem if key else None
        return True

    def _begin(self, key: Key, version: ModelVersion) -> str | None:
        """Begin to open `version`; why not, where it is known to be unusable or there is no room."""
        reason = self._models.openings.fault(version, is_patient=True)
        if reason is None:
            try:
                self._models.begin(version, self._settings.max_models + 1, keeping=key)
            except BusyError as exc:
                reason = f"{version.reference} cannot be opened: {exc.message}"
        return reason

    def _go_on(self, key: Key, reason: str) -> None:
        """Nothing changes, and the log says once why."""
        at_work = self._models.meanings.go_on(key, reason)
        if at_work is not None:
            log.error("%s goes on answering for %s: %s", at_work.model.name, key or _DEFAULT, reason)
        if key is None:
            self.problem = reason if self._models.meanings.find(None) is None else None

    def _is_removed(self, key: Key) -> bool:
        """Whether the version at work is gone while others are seen: else the whole store may be away for a moment."""
        at_work = self._models.meanings.find(key)
        return at_work is not None and not at_work.version.folder.exists() and bool(self._models.registry.names())

    def _drop(self, key: Key) -> None:
        at_work = self._models.meanings.drop(key)
        if at_work is not None:
            log.warning("%s is no longer served: %s was removed", key or _DEFAULT, at_work.model.name)

    def _tell_of_broken_folders(self) -> None:
        """One line for each folder that is no version: at the second look, since copying takes a moment."""
        broken = set(self._models.registry.problems())
        for problem in sorted(broken & self._broken - self._told):
            log.warning("not served: %s", problem)
        self._told = broken & (self._told | self._broken)
        self._broken = broken
