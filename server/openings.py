"""Versions on their way to work: checked, opened and warmed by threads of their own, each once at a time.

A version enters, a future of the open model leaves; no request opens anything itself. What could not be opened is
remembered with its reason, and tried again when its files have changed, or after a minute.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from models.errors import ModelError
from models.registry import ModelVersion
from models.spec import SPEC_FILE
from models.spec_memory import Mark, mark_of
from server.errors import BusyError, SettingsError
from server.served_model import ServedModel

log = logging.getLogger(__name__)

AT_ONCE = 2  # more would take the cores from the requests; one alone would let a slow network block a small one
RETRY_S = 60.0  # for reasons that lie not in the files, such as memory: every try reads all of them

Opening = Future[ServedModel]


@dataclass(slots=True)
class _Fault:
    """Why a version could not be opened, its files at that time, and when they were last seen to be others."""

    reason: str
    marks: tuple[Mark, ...]
    at: float
    seen: tuple[Mark, ...]


class Openings:
    """Starts versions with `start`, at most `AT_ONCE` at a time; `on_end` is called after each, in its thread."""

    def __init__(self, start: Callable[[ModelVersion], ServedModel], *, on_end: Callable[[], None],
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._start, self._on_end, self._clock = start, on_end, clock
        self._lock = threading.Lock()
        self._slots = threading.Semaphore(AT_ONCE)
        self._is_closed = False
        self._futures: dict[str, Opening] = {}
        self._threads: set[threading.Thread] = set()
        self._faults: dict[str, _Fault] = {}

    def __len__(self) -> int:
        return len(self._futures)

    def __contains__(self, digest: str) -> bool:
        return digest in self._futures

    def begin(self, version: ModelVersion, *, first: Callable[[], None] = lambda: None) -> Opening:
        """The future of `version`, being opened from now on unless it is already; `first` is called before, there."""
        with self._lock:
            future = self._futures.get(version.spec.digest)
            if future is not None:
                return future
            if not self._is_closed:
                future = self._futures[version.spec.digest] = Future()
                thread = threading.Thread(target=self._run, args=(version, future, first), daemon=True,
                                          name=f"open-{version.reference}")
                self._threads = {one for one in self._threads if one.is_alive()} | {thread}
                thread.start()  # inside, so that `close` joins no thread that is not started
                return future
        first()
        raise BusyError("stopping", "the server is stopping")

    def fault(self, version: ModelVersion, *, is_patient: bool = False) -> str | None:
        """Why it is not worth opening `version` now; None where it is.

        Who is patient, and looks again soon, waits until files that have changed stay as they are.
        """
        known = self._faults.get(version.spec.digest)
        if known is None or self._clock() - known.at >= RETRY_S:
            return None
        marks = _marks(version)
        is_settled = marks == known.seen or not is_patient
        known.seen = marks
        return None if marks != known.marks and is_settled else known.reason

    def reason(self, digest: str) -> str | None:
        """Why the version could not be opened when that was last tried; None where it was not, or could."""
        known = self._faults.get(digest)
        return None if known is None else known.reason

    def close(self) -> None:
        """Begin nothing more and wait for what is being opened."""
        with self._lock:
            self._is_closed = True
            threads = list(self._threads)
        for thread in threads:
            thread.join()

    def _run(self, version: ModelVersion, future: Opening, first: Callable[[], None]) -> None:
        digest = version.spec.digest
        marks = _marks(version)
        try:
            first()
            with self._slots:
                if self._is_closed:
                    raise BusyError("stopping", "the server is stopping")
                model = self._start(version)
        except BaseException as exc:  # noqa: BLE001 - the edge: whoever waits for the future gets it
            self._fail(version, marks, exc)
            self._futures.pop(digest, None)
            future.set_exception(exc)
        else:
            self._faults.pop(digest, None)
            self._futures.pop(digest, None)
            future.set_result(model)
        self._on_end()

    def _fail(self, version: ModelVersion, marks: tuple[Mark, ...], exc: BaseException) -> None:
        if isinstance(exc, BusyError):  # the server's state, not the version's fault
            return
        is_known = isinstance(exc, ModelError | SettingsError)
        reason = str(exc) if is_known else f"{type(exc).__name__}: {exc}"
        self._faults[version.spec.digest] = _Fault(reason, marks, self._clock(), marks)
        log.error("%s is not served: %s", version.reference, reason, exc_info=None if is_known else exc)


def _marks(version: ModelVersion) -> tuple[Mark, ...]:
    """What changes when one of its files does."""
    return tuple(mark_of(version.folder / name) for name in (SPEC_FILE, *sorted(version.spec.files)))
