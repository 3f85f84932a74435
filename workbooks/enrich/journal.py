"""What is finished of an enrichment, in a folder beside OUT: one file a batch, each complete or not there.

An enrichment that was broken off at any moment goes on behind the last of them; one that asks for something else, or
whose table has changed meanwhile, begins afresh. The folder goes when OUT is written.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
from filelock import FileLock, Timeout

from workbooks.enrich.errors import OutputError

_JOB, _LOCK, LISTING, FINISHED = "job.json", "lock", "pictures.csv", "finished"
_LASTS_S = 86_400.0
"""Older beginnings are begun afresh: pictures may have changed since they were asked for."""


class Journal:
    """The folder beside OUT, held by one process; a context manager."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.folder = out.with_name(out.name + ".pixfield")
        self.listing = self.folder / LISTING
        self._lock = FileLock(self.folder / _LOCK)

    def __enter__(self) -> Self:
        """Take the folder; raises OutputError where another process has it, or it cannot be written."""
        try:
            self.folder.mkdir(exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout as exc:
            raise OutputError(f"Another classify is writing {self.out}: wait for it, or name another --out.") from exc
        except OSError as exc:
            raise OutputError(f"{self.folder} cannot be written ({exc.strerror}): name an --out in a folder where you"
                              " may write.") from exc
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the folder where there is something to go on with, else remove it."""
        is_needed = (self.folder / _JOB).exists()
        if not is_needed:
            with contextlib.suppress(OutputError):  # what led here is told, not this
                self._clear()
        self._lock.release()
        if not is_needed:
            with contextlib.suppress(OSError):  # somebody else has just taken it
                (self.folder / _LOCK).unlink(missing_ok=True)
                self.folder.rmdir()

    def finished_file(self, suffix: str) -> Path:
        """Where OUT is made before it is exchanged; nothing is there yet."""
        path = self.folder / f"{FINISHED}{suffix}"
        try:
            path.unlink(missing_ok=True)
        except OSError as exc:
            raise not_written(path, exc) from exc
        return path

    def prepare(self, source: Mapping[str, Any], *, is_afresh: bool, say: Callable[[str], None]) -> None:
        """Remove what is of another table, too old, or not wanted any more, the listing of a folder with it."""
        known = self._known()
        if known is None or is_afresh:
            self._clear()
        elif known["job"].get("source") != source:
            say("What was begun before was of another table, or the table has changed: beginning afresh.")
            self._clear()
        elif time.time() - known["began"] > _LASTS_S:
            say("What was begun before is older than a day: beginning afresh.")
            self._clear()

    def begin(self, job: Mapping[str, Any], *, say: Callable[[str], None]) -> int:
        """How many batches are finished of this very job; those of one with other options are removed."""
        known = self._known()
        if known is None or known["job"] != job:
            if known is not None:
                say("What was begun before had other options or another version of the model: beginning afresh.")
            self._clear(keep=LISTING)
            self._write_job(json.dumps({"began": time.time(), "job": job}))
            return 0
        done = 0
        while self._is_sound(done, rows=int(job["rows_a_batch"])):
            done += 1
        return done

    def add(self, number: int, batch: pa.RecordBatch) -> None:
        """Keep a finished batch."""
        path = self._part(number)
        partial = path.with_suffix(".partial")
        try:
            with pa.OSFile(str(partial), "wb") as file, \
                    pa.ipc.new_file(file, batch.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
                writer.write_batch(batch)
            partial.replace(path)
        except OSError as exc:
            raise not_written(path, exc) from exc

    def batches(self, count: int) -> Iterator[pa.RecordBatch]:
        """The finished batches in order."""
        return map(self._read, range(count))

    def finish(self, finished: Path) -> None:
        """Put the finished file in OUT's place and remove the folder."""
        try:
            finished.replace(self.out)
        except OSError as exc:
            raise OutputError(f"{self.out} cannot be replaced ({exc.strerror}): close the program that has it open, and"
                              " give the same command again; the answers are kept.") from exc
        with contextlib.suppress(OutputError):  # OUT is there; what is left says so the next time
            self._clear()

    def _write_job(self, text: str) -> None:
        partial = self.folder / f"{_JOB}.partial"
        try:
            partial.write_text(text, encoding="utf-8")
            partial.replace(self.folder / _JOB)
        except OSError as exc:
            raise not_written(self.folder / _JOB, exc) from exc

    def _known(self) -> dict[str, Any] | None:
        try:
            found = json.loads((self.folder / _JOB).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if isinstance(found, dict) and isinstance(found.get("job"), dict) and isinstance(found.get("began"), float):
            return found
        return None

    def _clear(self, *, keep: str = "") -> None:
        path = self.folder / _JOB
        try:
            path.unlink(missing_ok=True)  # first: without it nothing in the folder counts
            for path in self.folder.iterdir():
                if path.name not in (_LOCK, keep):
                    path.unlink()
        except OSError as exc:
            raise OutputError(f"{path} cannot be removed ({exc.strerror}): remove {self.folder} yourself, or name"
                              " another --out.") from exc

    def _part(self, number: int) -> Path:
        return self.folder / f"part-{number:07d}.arrow"

    def _read(self, number: int) -> pa.RecordBatch:
        with pa.OSFile(str(self._part(number)), "rb") as file, pa.ipc.open_file(file) as reader:
            return reader.get_batch(0)

    def _is_sound(self, number: int, *, rows: int) -> bool:
        """Whether the batch is there and whole; after a power failure a file may be short."""
        try:
            return bool(0 < self._read(number).num_rows <= rows)
        except (OSError, pa.ArrowException):
            return False


def not_written(path: Path, exc: OSError) -> OutputError:
    """The error of a file in the folder, mostly for want of room."""
    return OutputError(f"{path} cannot be written ({exc.strerror or exc}): make room; the same command goes on.")
