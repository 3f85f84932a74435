"""Columns of answers for batches of pictures: asked until no row is pending, several batches at a time, in order."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pyarrow as pa

from workbooks.enrich.errors import ServerAwayError, StalledError
from workbooks.enrich.fields import STATUS, Field
from workbooks.enrich.server_http import ServerHttp

ROWS = 1000
"""Rows of a request: as many as one for embeddings may have."""

_AT_A_TIME = 4  # so that the model has work while one answer is on its way and the next batch is read
_DEADLINE_S = 10.0
_GRACE_S = 120.0
_PENDING = "pending"
_PAUSE_S = 0.5
_LOOK_S = 0.2
_TELL_S = 10.0  # for so long a server may be full before that is said
PATIENCE_S = 900.0
"""Without one more answer for so long, it is given up."""


class Pinned(NamedTuple):
    """The version that answers every row of a run."""

    model: str
    version: str


@dataclass(slots=True)
class Asking:
    """How the server is asked.

    Args:
        server: whom.
        fields: what for.
        model: which, as the user named it; `pin` makes it one version.
        stopped: set when nothing is to be asked any more.
        arguments: of the fields.
        tell: told how many rows got an answer, from any thread.
        say: told once, from any thread, that the server is full.
    """

    server: ServerHttp
    fields: Sequence[Field]
    model: str | None
    arguments: Mapping[str, Any]
    tell: Callable[[int], None] = lambda _: None
    say: Callable[[str], None] = lambda _: None
    clock: Callable[[], float] = time.monotonic
    patience_s: float = PATIENCE_S
    stopped: threading.Event = field(default_factory=threading.Event)
    _last: float = field(init=False, default=0.0)
    _is_said: bool = field(init=False, default=False)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def pin(self) -> Pinned:
        """Ask for no picture: the server says which version answers, or why the request cannot be."""
        self._last = self.clock()
        answer = self._ask([])
        found = Pinned(str(answer["model"]), str(answer["version"]))
        self.model = f"{found.model}@{found.version}"
        return found

    def columns(self, texts: Sequence[str | None]) -> list[pa.Array]:
        """A column a field for `texts`, none of whose rows is pending.

        Raises:
            ServerAwayError: the server refuses or stays away.
            StalledError: no row was answered for a long time.
        """
        values: list[list[Any]] = [[None] * len(texts) for _ in self.fields]
        waiting = list(range(len(texts)))
        self._last = self.clock()
        while waiting:
            columns = self._ask([texts[row] for row in waiting])["columns"]
            for column, asked in zip(values, self.fields, strict=True):
                for row, value in zip(waiting, columns[asked.name], strict=True):
                    column[row] = value
            left = [row for row, status in zip(waiting, columns[STATUS], strict=True) if status == _PENDING]
            if len(left) < len(waiting):
                self._last = self.clock()
                self.tell(len(waiting) - len(left))
            elif self.clock() - self._last > self.patience_s:
                raise StalledError(f"{len(left):,} pictures stay pending, such as {texts[left[0]]}: look whether their"
                                   " disk or web server answers; the same command goes on.")
            else:
                self.stopped.wait(_PAUSE_S)
            waiting = left
        return [asked.array(column) for column, asked in zip(values, self.fields, strict=True)]

    def answered(self, batches: Iterable[pa.RecordBatch], texts_of: Callable[[pa.RecordBatch], list[str | None]]
                 ) -> Generator[tuple[pa.RecordBatch, list[pa.Array]]]:
        """Each batch with its answers, in order; a few batches are read and asked ahead. For one use."""
        under_way: deque[tuple[pa.RecordBatch, Future[list[pa.Array]]]] = deque()
        with ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="ask") as pool:
            try:
                for batch in batches:
                    under_way.append((batch, pool.submit(self.columns, texts_of(batch))))
                    if len(under_way) > _AT_A_TIME:
                        yield _first(under_way)
                while under_way:
                    yield _first(under_way)
            finally:
                self._stop([answer for _, answer in under_way])

    def _stop(self, unwanted: Sequence[Future[list[pa.Array]]]) -> None:
        """Ask for nothing more, and wait for no answer that nobody wants."""
        self.stopped.set()
        running = {answer for answer in unwanted if not answer.cancel()}
        while wait(running, timeout=0).not_done:
            self.server.interrupt()
            wait(running, timeout=_LOOK_S)

    def _ask(self, texts: Sequence[str | None]) -> Any:
        names = [one.name for one in self.fields]
        body = {"paths": list(texts), "fields": names, "deadline_s": _DEADLINE_S,
                "arguments": {name: value for name, value in self.arguments.items() if value is not None}}
        if self.model is not None:
            body["model"] = self.model
        answer = self.server.post("/v1/classify", body, timeout_s=_DEADLINE_S + _GRACE_S, stopped=self.stopped,
                                  full=self._be_patient)
        if not _is_answer(answer, names, len(texts)):
            raise ServerAwayError(f"What answers at {self.server.url} gives no answers of Pixfield's: name the address"
                                  " of a Pixfield server with --server.")
        return answer

    def _be_patient(self, why: str) -> None:
        """Say that the server is full, and raise where it has been for too long while no row got an answer."""
        full_s = self.clock() - self._last
        if full_s > self.patience_s:
            raise StalledError(f"The server at {self.server.url} has been full for {self.patience_s / 60:.0f} minutes"
                               f" ({why.rstrip('.')}): look at what it does, or give the same command later; it goes"
                               " on.")
        with self._lock:
            if full_s < _TELL_S or self._is_said:
                return
            self._is_said = True
        self.say(f"The server is full ({why.rstrip('.')}): waiting until it has room.")


def _first(under_way: deque[tuple[pa.RecordBatch, Future[list[pa.Array]]]]) -> tuple[pa.RecordBatch, list[pa.Array]]:
    """The first batch with its answers; it is under way until they are there."""
    batch, answer = under_way[0]
    columns = answer.result()
    under_way.popleft()
    return batch, columns


def _is_answer(answer: object, names: Sequence[str], rows: int) -> bool:
    """Whether it says who answers and has a value a row for each field."""
    if not isinstance(answer, dict) or not {"model", "version"} <= answer.keys() or not isinstance(
            answer.get("columns"), dict):
        return False
    columns = [answer["columns"].get(name) for name in names]
    return all(isinstance(column, list) and len(column) == rows for column in columns)


def failures(status: pa.Array) -> Counter[str]:
    """Reason -> rows, for the rows without an answer."""
    return Counter({str(one["values"]): one["counts"] for one in status.value_counts().to_pylist()
                    if one["values"] != "ok"})
