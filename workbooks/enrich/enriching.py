"""The sentence that reads as the way of a table: read, asked, kept batch by batch, and written as one file."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from workbooks.enrich.answering import ROWS, Asking, Pinned, failures
from workbooks.enrich.errors import EnrichError, InputError, OutputError
from workbooks.enrich.fields import STATUS, Field
from workbooks.enrich.journal import Journal
from workbooks.enrich.names import unique
from workbooks.enrich.outputs import FORMATS
from workbooks.enrich.picture_texts import asked_texts, listed_texts
from workbooks.enrich.progress import Progress
from workbooks.enrich.table import Table

Say = Callable[[str], None]
_NOTE = "note"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done: the column at `image` of `table` is asked for `fields`, and OUT has both.

    `check` raises where INPUT is not any more what `table` was counted from. In a listing the names are files' own.
    """

    table: Table
    image: int
    base: Path | None
    fields: Sequence[Field]
    out: Path
    check: Callable[[], None] = lambda: None
    is_listing: bool = False

    @property
    def names(self) -> list[str]:
        """What the new columns are called, so that none has the name of another."""
        return unique([field.name for field in self.fields], taken=self.table.schema.names)

    @property
    def schema(self) -> pa.Schema:
        """OUT's columns."""
        new = [pa.field(name, field.type) for name, field in zip(self.names, self.fields, strict=True)]
        return pa.schema([*self.table.schema, *new], self.table.schema.metadata)

    def renamed(self) -> list[str]:
        """A sentence for each new column that could not have its field's name."""
        return [f"The column {field.name} of answers is called {name}, for the table has a column of that name."
                for name, field in zip(self.names, self.fields, strict=True) if name != field.name]

    def texts(self, batch: pa.RecordBatch) -> list[str | None]:
        """What the server is asked for the rows of a batch."""
        texts_of = listed_texts if self.is_listing else asked_texts
        return texts_of(pc.cast(batch.column(self.image), pa.string()).to_pylist(), self.base)

    def job(self, source: dict[str, Any], pinned: Pinned, arguments: dict[str, Any]) -> dict[str, Any]:
        """What must be the same for finished batches to be gone on with."""
        return {"version": 1, "source": source, "image": self.image, "base": None if self.base is None else
                str(self.base), "fields": [field.name for field in self.fields], "arguments": arguments,
                "model": list(pinned), "schema": self.schema.to_string(), "rows_a_batch": ROWS}


def enrich(plan: Plan, asking: Asking, journal: Journal, *, done: int, say: Say) -> Counter[str]:
    """Ask for what is not finished and write OUT; returns how many rows have no answer, by reason.

    Raises:
        EnrichError: it stops; what is finished is kept for the next time.
    """
    for remark in (*plan.table.remarks, *plan.renamed()):
        say(remark)
    before = min(done * ROWS, plan.table.rows)
    if done:
        say(f"{before:,} of {plan.table.rows:,} rows are finished: going on behind them.")
    progress = Progress(plan.table.rows, before)
    asking.tell, asking.say = progress.add, say
    count = done
    with contextlib.closing(asking.answered(_read(plan, done), plan.texts)) as answered:
        for batch, columns in answered:
            if count == 0:
                _hint(plan, columns, say)
            journal.add(count, pa.record_batch([*batch.columns, *columns], schema=plan.schema))
            count += 1
    progress.end()
    if plan.table.rows > before:
        say(f"{plan.table.rows - before:,} rows asked, {progress.rate:,.0f} a second.")
    reasons, filled = _write(plan, journal, count)
    if sum(reasons.values()) < plan.table.rows:
        for name in _empty(plan, filled):
            say(f"The column {name} is empty in every row: --fields note may say why.")
    return reasons


def _read(plan: Plan, skip: int) -> Iterator[pa.RecordBatch]:
    """The batches behind the first `skip`; raises InputError where they are not those that were counted."""
    rows = min(skip * ROWS, plan.table.rows)
    try:
        for batch in plan.table.batches(rows=ROWS, skip=skip):
            rows += batch.num_rows
            yield batch
    except (EnrichError, OSError, ValueError, pa.ArrowException):
        plan.check()  # mostly it is no fault of the table, but somebody who writes to it
        raise
    plan.check()
    if rows != plan.table.rows:
        raise InputError(f"INPUT has {rows:,} rows and had {plan.table.rows:,} before, so nothing is written: give the"
                         " same command again when nobody writes to it.")


def _write(plan: Plan, journal: Journal, count: int) -> tuple[Counter[str], Counter[str]]:
    """OUT from the finished batches, at once; returns how many rows a reason has, and how many values a column."""
    reasons: Counter[str] = Counter()
    filled: Counter[str] = Counter()
    finished = journal.finished_file(plan.out.suffix.lower())
    try:
        FORMATS[plan.out.suffix.lower()](finished, plan.schema,
                                         _counted(journal.batches(count), plan, reasons, filled))
    except OSError as exc:
        raise OutputError(f"{plan.out} cannot be written ({exc.strerror or exc}): mend that; the same command goes on."
                          ) from exc
    journal.finish(finished)
    return reasons, filled


def _counted(batches: Iterator[pa.RecordBatch], plan: Plan, reasons: Counter[str], filled: Counter[str]
             ) -> Iterator[pa.RecordBatch]:
    place = plan.names[[field.name for field in plan.fields].index(STATUS)]
    for batch in batches:
        reasons.update(failures(batch.column(place)))
        filled.update({name: batch.num_rows - batch.column(name).null_count for name in plan.names})
        yield batch


def _empty(plan: Plan, filled: Counter[str]) -> list[str]:
    """The columns of answers without any value, but for remarks, of which most pictures have none."""
    return [name for name, field in zip(plan.names, plan.fields, strict=True) if not filled[name]
            and field.name != _NOTE]


def _hint(plan: Plan, columns: Sequence[pa.Array], say: Say) -> None:
    """Say at once where not one of the first pictures is found: mostly it is the folder."""
    status = columns[[field.name for field in plan.fields].index(STATUS)]
    reasons = failures(status)
    if len(status) == 0 or sum(reasons.values()) < len(status):
        return
    where = f"relative paths are taken from {plan.base} (--base)" if plan.base else \
        "paths are sent as they are written (--as-written)"
    say(f"None of the first {len(status):,} pictures has an answer, mostly: {reasons.most_common(1)[0][0]}; {where}.")


def summary(rows: int, reasons: Counter[str], out: Path) -> list[str]:
    """What the user reads at the end."""
    failed = sum(reasons.values())
    lines = [f"{rows - failed:,} of {rows:,} rows have an answer; {out} is written."]
    lines += [f"  {count:,} {'row' if count == 1 else 'rows'}: {reason}" for reason, count in reasons.most_common(5)]
    return lines + ([f"  ... and {len(reasons) - 5:,} further reasons in the column of statuses"]
                    if len(reasons) > 5 else [])
