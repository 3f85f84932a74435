"""The columns an analyst can ask for, each computed from the outcome of a classification.

An outcome enters, a list of built-in values of the column's length leaves: None where a row has no answer, never NaN.
Fields carry the names of the functions without `image_`. A field that is not in the table does not exist.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from models.activation import FOCUS_NAMES, focus_values
from server.classify import OK, PENDING, Outcome
from server.errors import TooLargeError, UnknownError
from server.gathering import Gathered
from server.picture_address import VERSION_LETTERS
from server.picture_kinds import KINDS, PictureKind
from server.reference_fields import REFERENCE_FIELDS
from server.served_model import ServedModel

EMBEDDING_ROWS = 1000
"""Rows one request for embeddings may have: 1,000 x 1,280 numbers are 12 MB of text."""

_DIGITS = 6  # float16 keeps 3 to 4 digits; six decimals keep small probabilities apart and the JSON short


Addresses = Callable[[PictureKind, Sequence[str | None], Sequence[str | None], str], list[str | None]]
"""A kind of picture, path texts, contents and the version that sees them ("" for none) -> addresses."""


@dataclass(frozen=True, slots=True)
class Request:
    """What fields are computed from: an outcome, the model that made it, and the arguments by row.

    `texts` are the path texts, none of a picture that came with the request; `addresses` gives out those of a kind of
    picture for texts and contents.
    `gathered` is what some of them need besides.
    """

    outcome: Outcome
    model: ServedModel
    arguments: Mapping[str, Any]
    sign: Callable[[str], str]
    texts: Sequence[str | None] = ()
    addresses: Addresses | None = None
    gathered: Gathered = field(default_factory=Gathered)

    def by_row(self, name: str) -> Sequence[Any]:
        """The argument `name` for every row: a single value is repeated."""
        value = self.arguments.get(name)
        rows = len(self.outcome)
        if not isinstance(value, list):
            return [value] * rows
        return value * rows if len(value) == 1 else value


def check_name(field: str) -> None:
    """Raise UnknownError for a name that is not in the table."""
    if field not in FIELDS:
        raise UnknownError("unknown_field", f"there is no field {field!r}", f"fields are {', '.join(sorted(FIELDS))}")


def column(field: str, request: Request) -> list[Any]:
    """The column `field` for `request`."""
    check_name(field)
    return FIELDS[field](request)


def _spread(outcome: Outcome, values: NDArray[Any]) -> list[Any]:
    """One value an answer -> one a row, None where there is no answer."""
    taken: list[Any] = values[outcome.rows].tolist() if len(values) else [None] * len(outcome)
    for row in (outcome.rows < 0).nonzero()[0].tolist():
        taken[row] = None
    return taken


def _numbers(outcome: Outcome, values: NDArray[np.floating[Any]]) -> list[float | None]:
    return _spread(outcome, values.astype(np.float64).round(_DIGITS))


def _label(request: Request) -> list[str | None]:
    return _spread(request.outcome, request.model.label_array[request.outcome.rankings.order[:, 0]])


def _confidence(request: Request) -> list[float | None]:
    return _numbers(request.outcome, request.outcome.rankings.probabilities[:, 0])


def _margin(request: Request) -> list[float | None]:
    values = request.outcome.rankings.probabilities.astype(np.float64)
    second = values[:, 1] if values.shape[1] > 1 else 0.0
    return _numbers(request.outcome, values[:, 0] - second)


def _entropy(request: Request) -> list[float | None]:
    """Shannon's entropy over log C, 0..1; what is beyond the kept ranks counts as spread evenly."""
    values = request.outcome.rankings.probabilities.astype(np.float64)
    classes, kept = len(request.model.labels), values.shape[1]
    if classes == 1:
        return _numbers(request.outcome, np.zeros(len(values)))
    terms = -np.sum(values * np.log(np.maximum(values, 1e-30)), axis=1)
    rest = _rest(values)
    if classes > kept:
        terms -= rest * np.log(np.maximum(rest / (classes - kept), 1e-30))
    return _numbers(request.outcome, np.clip(terms / math.log(classes), 0.0, 1.0) + 0.0)  # + 0.0: never minus zero


def _rest(values: NDArray[np.float64]) -> NDArray[np.float64]:
    rest: NDArray[np.float64] = np.clip(1.0 - values.sum(axis=1), 0.0, 1.0)
    return rest


def _label_at(request: Request) -> list[str | None]:
    labels, order = request.model.labels, request.outcome.rankings.order
    return _at_rank(request, lambda place, rank: labels[int(order[place, rank])])


def _confidence_at(request: Request) -> list[float | None]:
    values = request.outcome.rankings.probabilities
    return _at_rank(request, lambda place, rank: round(float(values[place, rank]), _DIGITS))


def _at_rank(request: Request, value: Callable[[int, int], Any]) -> list[Any]:
    """`value(place, rank)` by row for 1-based ranks; None for a rank outside the kept ones or no whole number."""
    kept = request.model.answers.kept
    ranks = [_whole(rank) for rank in request.by_row("rank")]
    return [value(place, rank - 1) if place >= 0 and rank is not None and 1 <= rank <= kept else None
            for place, rank in zip(request.outcome.rows.tolist(), ranks, strict=True)]


def _whole(value: object) -> int | None:
    """A whole number from what Tableau sends (2, 2.0, "2"), else None."""
    number = _number(value)
    return int(number) if number is not None and number.is_integer() else None


def _number(value: object) -> float | None:
    """A number from what Tableau sends (0.5, "0.5"), else None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _probability(request: Request) -> list[float | None]:
    """The probability of the named class; None for a name the model does not have."""
    numbers = {label: number for number, label in enumerate(request.model.labels)}
    rankings = request.outcome.rankings
    values = rankings.probabilities.astype(np.float64)
    beyond = _rest(values) / max(1, len(numbers) - values.shape[1])
    answer: list[float | None] = []
    for place, label in zip(request.outcome.rows.tolist(), request.by_row("label"), strict=True):
        number = numbers.get(label) if isinstance(label, str) else None
        if place < 0 or number is None:
            answer.append(None)
            continue
        rank = np.flatnonzero(rankings.order[place] == number)
        answer.append(round(float(values[place, rank[0]] if rank.size else beyond[place]), _DIGITS))
    return answer


def _needs_review(request: Request) -> list[bool | None]:
    """True below the threshold or without an answer; None where the threshold is no number."""
    limits = [_number(limit) for limit in request.by_row("threshold")]
    return [None if limit is None else value is None or value < limit
            for value, limit in zip(_confidence(request), limits, strict=True)]


def _embedding(request: Request) -> list[str | None]:
    outcome = request.outcome
    if len(outcome) > EMBEDDING_ROWS:
        raise TooLargeError("too_many_rows", f"{len(outcome):,} rows of embeddings, the limit is {EMBEDDING_ROWS:,}",
                            "filter the view, or ask for the column in parts")
    digests = [digest if place >= 0 else None for digest, place in zip(outcome.digests, outcome.rows, strict=True)]
    vectors = request.model.answers.vectors([digest for digest in digests if digest])
    texts = {digest: orjson.dumps(vector, option=orjson.OPT_SERIALIZE_NUMPY).decode()
             for digest, vector in vectors.items()}
    return [texts.get(digest) if digest else None for digest in digests]


def _status(request: Request) -> list[str]:
    outcome = request.outcome
    statuses = [OK] * len(outcome)
    for row in (outcome.rows < 0).nonzero()[0].tolist():
        statuses[row] = outcome.errors.get(row, PENDING)
    for row in request.gathered.pending:
        statuses[row] = PENDING
    return statuses


def _note(request: Request) -> list[str | None]:
    """The remark on a picture, and what its model cannot say of it: why columns of that are null."""
    notes, outcome, remark = request.outcome.notes, request.outcome, request.model.remark
    if not notes and remark is None:
        return [None] * len(outcome)
    column = [notes.get(digest) if digest else None for digest in outcome.digests]
    if remark is None:
        return column
    return [note if place < 0 else f"{note}; {remark}" if note else remark
            for note, place in zip(column, outcome.rows.tolist(), strict=True)]


def _focus(number: int) -> Callable[[Request], list[float | None]]:
    """One of FOCUS_NAMES; None also where no place of the picture speaks for the class."""

    def column(request: Request) -> list[float | None]:
        outcome, focuses = request.outcome, request.model.answers.focuses
        if focuses is None:
            return [None] * len(outcome)
        asked = [digest if place >= 0 else None for digest, place in zip(outcome.digests, outcome.rows, strict=True)]
        values = focus_values(focuses.numbers(asked)[:, number])
        return [None if math.isnan(value) else value for value in np.round(values, _DIGITS).tolist()]

    return column


def _top(request: Request) -> list[list[dict[str, Any]] | None]:
    """The first `top_k` classes with their probabilities."""
    count = min(int(request.arguments.get("top_k") or 3), request.model.answers.kept)
    labels, rankings = request.model.labels, request.outcome.rankings
    tops = [[{"label": labels[number], "probability": round(float(value), _DIGITS)}
             for number, value in zip(numbers, values, strict=True)]
            for numbers, values in zip(rankings.order[:, :count].tolist(), rankings.probabilities[:, :count].tolist(),
                                       strict=True)]
    return [tops[place] if place >= 0 else None for place in request.outcome.rows.tolist()]


def _id(request: Request) -> list[str | None]:
    return [request.sign(digest) if digest else None for digest in request.outcome.digests]


def _thumbnail_url(request: Request) -> list[str | None]:
    return _url(request, KINDS["thumbnail.png"])


def _explanation_url(request: Request) -> list[str | None]:
    """None in every row of a model that cannot tell where it looked: `note` says why."""
    if request.model.kernel is None:
        return [None] * len(request.outcome)
    return _url(request, KINDS["explanation.png"], request.model.spec.digest[:VERSION_LETTERS])


def _url(request: Request, kind: PictureKind, version: str = "") -> list[str | None]:
    """The address of each row's picture; None where it came with the request, is not known yet or cannot be read."""
    outcome = request.outcome
    if request.addresses is None or not request.texts:
        return [None] * len(outcome)
    digests = [None if row in outcome.errors else digest for row, digest in enumerate(outcome.digests)] \
        if outcome.errors else outcome.digests
    return request.addresses(kind, request.texts, digests, version)


def _cached(request: Request) -> list[bool]:
    """Whether the row was answered without the model in this request."""
    computed = request.outcome.computed
    return [place >= 0 and row not in computed for row, place in enumerate(request.outcome.rows.tolist())]


def _model(request: Request) -> list[str | None]:
    return [request.model.name if place >= 0 else None for place in request.outcome.rows.tolist()]


FIELDS: dict[str, Callable[[Request], list[Any]]] = {
    "label": _label, "confidence": _confidence, "label_at": _label_at, "confidence_at": _confidence_at,
    "probability": _probability, "margin": _margin, "entropy": _entropy, "needs_review": _needs_review,
    "embedding": _embedding, "status": _status, "note": _note, "top": _top, "id": _id, "cached": _cached,
    "model": _model, "thumbnail_url": _thumbnail_url, "explanation_url": _explanation_url, **REFERENCE_FIELDS,
    **{name: _focus(number) for number, name in enumerate(FOCUS_NAMES)},
}
"""Field name -> how its column is computed."""

NEED_FOCUS = frozenset(FOCUS_NAMES)
"""Fields that need to know where the model looked."""
