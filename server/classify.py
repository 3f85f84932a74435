"""The sentence that reads as the pipeline: a column of path texts in, what is known of every row out.

Paths become digests (`sources`), digests become answers (`answers`), and what nobody knows yet goes through the model
(`served_model`), until the deadline. Rows stay in the order they came in.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from server.column import Column
from server.errors import BusyError
from server.in_flight import Result, Ticket
from server.ranking import Rankings
from server.served_model import ServedModel

PENDING = "pending"
OK = "ok"


@dataclass(slots=True)
class Outcome:
    """What is known of a column of N rows.

    Row i has the answer `rankings[rows[i]]`, or none where `rows[i]` is -1; then `errors[i]` says why, or it is
    pending. `digests[i]` names the content where it is known; `notes` are remarks by digest; `computed` are the rows
    that needed the model in this request; `busy` says why none of the rows that need it was taken, where that is so.
    """

    rows: NDArray[np.int64]
    rankings: Rankings
    digests: list[str | None]
    errors: dict[int, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    computed: frozenset[int] = frozenset()
    busy: BusyError | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def pending(self) -> int:
        """How many rows have neither an answer nor an error yet."""
        return int(np.count_nonzero(self.rows < 0)) - len(self.errors)


def classify(texts: Sequence[str | None], model: ServedModel, *, until: float, needs_focus: bool = False) -> Outcome:
    """Answer a column of path texts with `model`, waiting no longer than `until` (time.monotonic()).

    With `needs_focus`, an answer without a focus, from before there were any, is no answer yet.
    """
    column = model.sources.resolve(texts, give_up_at=until)
    outcome = _look_up(column, model, needs_focus=needs_focus)
    wanted = _missing(texts, column, outcome)
    if wanted:
        files = column.to_read | model.sources.files([text for text in wanted if text not in column.to_read])
        tickets = [Ticket(text, found=files.get(text)) for text in wanted]
        results, outcome.busy = model.compute(tickets, until=until)
        _write(outcome, results, wanted, model.answers.kept)
    return outcome


def classify_files(files: Sequence[bytes], model: ServedModel, *, until: float) -> Outcome:
    """The same for pictures that came with the request."""
    outcome = Outcome(np.full(len(files), -1), Rankings.empty(model.answers.kept), [None] * len(files))
    upload = secrets.token_hex(8)
    wanted = {f"\0upload {upload} {row}": [row] for row in range(len(files))}  # no path has a NUL
    tickets = [Ticket(key, data=data) for key, data in zip(wanted, files, strict=True)]
    results, outcome.busy = model.compute(tickets, until=until)
    _write(outcome, results, wanted, model.answers.kept)
    return outcome


def _look_up(column: Column, model: ServedModel, *, needs_focus: bool) -> Outcome:
    found = model.answers.lookup(column.digests)
    lacking = model.answers.lacking_focus(column.digests) if needs_focus else set()
    if lacking:
        found.rows[[digest in lacking for digest in column.digests]] = -1
    errors = dict(column.errors)
    for row in (found.rows < 0).nonzero()[0].tolist():
        digest = column.digests[row]
        reason = model.answers.failure(digest) if digest is not None else None
        if reason is not None:
            errors[row] = reason
    return Outcome(found.rows, found.rankings, column.digests, errors, found.notes)


def _missing(texts: Sequence[str | None], column: Column, outcome: Outcome) -> dict[str, list[int]]:
    """Text -> its rows, for every text that has neither an answer nor an error and can be worked on."""
    wanted: dict[str, list[int]] = {}
    for row in (outcome.rows < 0).nonzero()[0].tolist():
        text = texts[row]
        if row not in outcome.errors and text is not None and (text in column.to_read or column.digests[row]):
            wanted.setdefault(text, []).append(row)
    return wanted


def _write(outcome: Outcome, results: dict[str, Result], wanted: dict[str, list[int]], kept: int) -> None:
    """Put the results of tickets into their rows."""
    orders, values = [outcome.rankings.order], [outcome.rankings.probabilities]
    place = len(outcome.rankings)
    notes: dict[str, str] = {}
    computed: set[int] = set()
    for key, result in results.items():
        for row in wanted[key]:
            outcome.digests[row] = result.digest
            if result.error is not None:
                outcome.errors[row] = result.error
            else:
                outcome.rows[row] = place
                computed.add(row)
        if result.ranking is not None:
            orders.append(result.ranking.order)
            values.append(result.ranking.probabilities)
            place += 1
        if result.note and result.digest:
            notes[result.digest] = result.note
    if place == len(orders[-1]):  # nothing but the last one: a single picture, in most requests
        outcome.rankings = Rankings(orders[-1], values[-1])
    else:
        outcome.rankings = Rankings(np.concatenate(orders), np.concatenate(values)) if place else Rankings.empty(kept)
    outcome.notes = outcome.notes | notes
    outcome.computed = frozenset(computed)
