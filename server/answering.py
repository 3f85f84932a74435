"""A call of a function -> its answer, as `/query` and `/evaluate` give it, and a column of pictures -> that of
`/v1/classify`.

A request error leaves as one; `or_nulls` makes of it what TabPy's functions make of it, so that a view shows nulls and
a reason, not an error in place of everything.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import g

from server import fields
from server.classify import Outcome, classify, classify_files
from server.envelope import place, service
from server.errors import RequestError, TooLargeError, UnprocessableError
from server.functions import Call, Function, argument_column
from server.gathering import Gathered, gather, named_pictures
from server.metrics import Metrics
from server.served_model import ServedModel
from server.service import Service

PLACES = "pixfield_places"
"""The application's places for columns."""

_IGNORED = "refresh"


@dataclass(frozen=True, slots=True)
class Answer:
    """A column, a value or a table, and the version that answered."""

    response: Any
    model: str
    version: str


def answer(call: Call, *, until: float) -> Answer:
    """Ask the model that the call means, waiting no longer than `until`; raises RequestError."""
    check_rows(len(call.paths))
    names = call.function.fields
    with _model_of(call, until) as model:
        with place_of(model):
            named = named_pictures(names, argument_column(call.arguments.get("to"), len(call.paths)), model,
                                   until=until)
            outcome = classify(call.paths, model, until=until, needs_focus=not fields.NEED_FOCUS.isdisjoint(names))
            gathered = gather(names, outcome, model, named=named)
        g.summary = summary_of(outcome, model, service().metrics)
        response = _response(call, _asked(service(), outcome, model, call.arguments, call.paths, gathered))
    return Answer(response, model.spec.name, model.spec.version)


def or_nulls(function: Function, arguments: Mapping[str, Any], exc: RequestError) -> Any:
    """What stands for an answer that there is none of: nulls of the column's length, and in the status the reason."""
    paths = arguments["paths"]
    reason = ". ".join(part.strip().rstrip(".") for part in (exc.message, exc.hint) if part)
    if function.field == "table":
        return {"status": [reason] * (len(paths) if isinstance(paths, list) else 1)}
    missing = reason if function.field == "status" else None
    return [missing] * len(paths) if isinstance(paths, list) else missing


def check_columns(arguments: Mapping[str, Any]) -> None:
    """Raise UnprocessableError unless every argument has one value or one a row, the model included."""
    paths = arguments["paths"]
    rows = len(paths) if isinstance(paths, list) else 1
    for name, value in arguments.items():
        if name not in ("paths", _IGNORED) and isinstance(value, list) and len(value) not in (1, rows):
            raise UnprocessableError("lengths_differ", f"{name} has {len(value)} values for {rows} rows: give one"
                                     " value, or one a row")


def _model_of(call: Call, until: float) -> contextlib.AbstractContextManager[ServedModel]:
    """The model a call means, the keys themselves for theirs, or any one where the function depends on none."""
    if call.function.field == "duplicate_group":
        return contextlib.nullcontext(service().fingerprints())
    return service().using(call.model, until=until) if call.function.has_model else service().using_any(until=until)


def _response(call: Call, request: fields.Request) -> Any:
    if call.function.field == "table":
        return {"path": call.paths} | {field: fields.column(field, request) for field in call.function.fields}
    column = fields.column(call.function.field, request)
    return column[0] if call.is_scalar else column


def _asked(owner: Service, outcome: Outcome, model: ServedModel, arguments: Mapping[str, Any],
           paths: Sequence[str | None], gathered: Gathered) -> fields.Request:
    """What the columns are computed from."""
    return fields.Request(outcome, model, arguments, owner.sign, paths, owner.pictures.addresses, gathered)


# ---- /v1/classify --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wish:
    """What a request to `/v1/classify` asks for: fields by name, arguments of theirs, and until when it waits
    (time.monotonic())."""

    names: Sequence[str]
    arguments: Mapping[str, Any]
    until: float


def classified(pictures: Sequence[Any], wish: Wish, model: ServedModel, owner: Service, *, are_files: bool = False
               ) -> tuple[dict[str, Any], str]:
    """The answer for path texts, or for the bytes of files, and what the log says of it; raises BusyError."""
    names, until = wish.names, wish.until
    named = named_pictures(names, argument_column(wish.arguments.get("to"), len(pictures)), model, until=until)
    again = functools.partial(classify_files if are_files else classify, pictures, until=until)
    needs_focus = not fields.NEED_FOCUS.isdisjoint(names)
    outcome = again(model) if are_files else classify(pictures, model, until=until, needs_focus=needs_focus)
    gathered = gather(names, outcome, model, named=named, classify_with=again,
                      fingerprints=functools.partial(owner.fingerprints, is_under_way=True))
    summary = summary_of(outcome, model, owner.metrics)
    request = _asked(owner, outcome, model, wish.arguments, [] if are_files else pictures, gathered)
    columns = {name: fields.column(name, request) for name in dict.fromkeys((*names, "status"))}
    return {"model": model.spec.name, "version": model.spec.version, "count": len(outcome),
            "pending": outcome.pending + len(gathered.pending), "columns": columns}, summary


# ---- what both need ------------------------------------------------------------------------------------------------


def check_rows(rows: int) -> None:
    """Raise TooLargeError for more rows than one request may have."""
    limit = service().settings.max_rows
    if rows > limit:
        raise TooLargeError("too_many_rows", f"{rows:,} rows in one request; the limit is {limit:,} (--max-rows)",
                            "ask for the column in parts")


def place_of(model: ServedModel) -> contextlib.AbstractContextManager[None]:
    """A place among the requests that may wait for a model."""
    return place(PLACES, retry_after_s=lambda: model.admission.retry_after_s)


def summary_of(outcome: Outcome, model: ServedModel, metrics: Metrics) -> str:
    """What the log line says of a request, counted; raises BusyError where nothing of its column is known or taken."""
    rows, misses, failures, pending = len(outcome), len(outcome.computed), len(outcome.errors), outcome.pending
    if outcome.busy is not None and pending == rows:
        raise outcome.busy
    for status, count in (("ok", rows - failures - pending), ("failed", failures), ("pending", pending)):
        if count:
            metrics.rows_by_status[status].inc(count)
    metrics.hits.inc(rows - misses - failures - pending)
    metrics.misses.inc(misses)
    return f"model={model.name} rows={rows} misses={misses} failures={failures} pending={pending}"
