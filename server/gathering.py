"""What some columns need besides the answers: looked up once, while the request has its place among those that wait.

An outcome and the names of the fields enter; places, similarities and keys by row leave. Fields that need none of it
cost nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from models.reference.grid import cosines
from models.reference.placing import Placed
from server.classify import PENDING, Outcome, classify
from server.fingerprints import Fingerprints, keys_of
from server.reference_fields import PLACED_FIELDS
from server.served_model import ServedModel

_DECIMALS = 6
_BLOCK = 4096  # rows whose embeddings are in memory at once

Classify = Callable[[ServedModel], Outcome]
"""Answers the request's own pictures with another model."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """By row: places among the reference, similarities, and keys; None for what was not asked.

    `pending` are rows for which something of it is not known yet.
    """

    placed: Placed | None = None
    similarities: list[float | None] | None = None
    keys: list[str | None] | None = None
    pending: frozenset[int] = field(default_factory=frozenset)


def named_pictures(fields: Collection[str], values: Sequence[str | None], model: ServedModel, *, until: float
                   ) -> Outcome | None:
    """The outcome of the pictures that `to` names, one a row; None when no field needs it.

    They come before the column: most columns are compared with one picture, and without it no row has a value.
    """
    return classify(values, model, until=until) if "similarity" in fields else None


def gather(fields: Collection[str], outcome: Outcome, model: ServedModel, *, named: Outcome | None = None,
           classify_with: Classify | None = None, fingerprints: Callable[[], Fingerprints] | None = None) -> Gathered:
    """What `fields` need; `classify_with` answers the same pictures for `fingerprints`, where the model is another."""
    placed = None
    if model.places is not None and not PLACED_FIELDS.keys().isdisjoint(fields):
        placed = model.places.of(_answered(outcome))
    similarities = None if named is None else _similarities(outcome, named, model)
    pending = _pending(outcome, named) if named is not None else frozenset[int]()
    keys = None
    if "duplicate_group" in fields:
        other = outcome
        if not isinstance(model, Fingerprints) and classify_with is not None and fingerprints is not None:
            other = classify_with(fingerprints())
        keys = keys_of(other)
        pending |= _pending(outcome, other)
    return Gathered(placed, similarities, keys, pending)


def _answered(outcome: Outcome) -> list[str | None]:
    """The digests of the rows that have an answer."""
    return [digest if place >= 0 else None
            for digest, place in zip(outcome.digests, outcome.rows.tolist(), strict=True)]


def _pending(outcome: Outcome, other: Outcome) -> frozenset[int]:
    """Rows that have an answer, while the other outcome's row is still on its way."""
    waiting = np.flatnonzero((outcome.rows >= 0) & (other.rows < 0)).tolist()
    return frozenset(row for row in waiting if other.errors.get(row, PENDING) == PENDING)


def _similarities(outcome: Outcome, named: Outcome, model: ServedModel) -> list[float | None]:
    """The cosine of each row's embedding with that of the picture named in the row."""
    column: list[float | None] = [None] * len(outcome)
    both = zip(_answered(outcome), _answered(named), strict=True)
    pairs = [(row, one, other) for row, (one, other) in enumerate(both) if one is not None and other is not None]
    for start in range(0, len(pairs), _BLOCK):
        block = pairs[start:start + _BLOCK]
        vectors = model.answers.vectors([digest for _, *digests in block for digest in digests])
        known = [pair for pair in block if pair[1] in vectors and pair[2] in vectors]
        if known:
            values = cosines(np.stack([vectors[one] for _, one, _ in known]),
                             np.stack([vectors[other] for _, _, other in known]))
            for (row, _, _), value in zip(known, np.round(values, _DECIMALS).tolist(), strict=True):
                column[row] = value + 0.0  # never minus zero
    return column
