"""Columns of answers for batches of pictures: asked until no row is pending, several batches at a time, in order."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pyarrow as pa

from workbooks.enrich.errors import StalledError
from workbooks.enrich.fields import STATUS, Field
from workbooks.enrich.server_http import ServerHttp

ROWS = 1000
"""Rows of a request: as many as one for embeddings may have."""

_AT_A_TIME = 4  # so that the model has work while one answer is on its way and the next batch is read
_DEADLINE_S = 10.0
_GRACE_S = 120.0
_PENDING = "pending"
_PAUSE_S = 0.5
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
    """

    server: ServerHttp
    fields: Sequence[Field]
    model: str | None
    arguments: Mapping[str, Any]
    tell: Callable[[int], None] = lambda _: None
    clock: Callable[[], float] = time.monotonic
    patience_s: float = PATIENCE_S
    stopped: threading.Event = field(default_factory=threading.Event)

    def pin(self) -> Pinned:
        """Ask for no picture: the server says which version answers, or why the request cannot be."""
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
        last = self.clock()
        while waiting:
            columns = self._ask([texts[row] for row in waiting])["columns"]
            for column, asked in zip(values, self.fields, strict=True):
                for row, value in zip(waiting, columns[asked.name], strict=True):
                    column[row] = value
            left = [row for row, status in zip(waiting, columns[STATUS], strict=True) if status == _PENDING]
            if len(left) < len(waiting):
                last = self.clock()
                self.tell(len(waiting) - len(left))
            elif self.clock() - last > self.patience_s:
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
                        first, answer = under_way.popleft()
                        yield first, answer.result()
                while under_way:
                    first, answer = under_way.popleft()
                    yield first, answer.result()
            finally:
                self.stopped.set()
                for _, answer in under_way:
                    answer.cancel()

    def _ask(self, texts: Sequence[str | None]) -> Any:
        if self.stopped.is_set():
            raise StalledError("Stopped; the same command goes on.")
        body = {"paths": list(texts), "fields": [one.name for one in self.fields], "deadline_s": _DEADLINE_S,
                "arguments": {name: value for name, value in self.arguments.items() if value is not None}}
        if self.model is not None:
            body["model"] = self.model
        return self.server.post("/v1/classify", body, timeout_s=_DEADLINE_S + _GRACE_S)


def failures(status: pa.Array) -> Counter[str]:
    """Reason -> rows, for the rows without an answer."""
    return Counter({str(one["values"]): one["counts"] for one in status.value_counts().to_pylist()
                    if one["values"] != "ok"})
