"""A column as Python values. What Python cannot hold (a day outside the years 1 to 9999, a time zone it does not know)
becomes a text, so that no row is lost by it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_DAY_S = 86_400
_CYCLE_DAYS = 146_097
"""Days of 400 years, after which the calendar is the same."""

_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
_REFUSALS = (ArithmeticError, ValueError, LookupError)
"""What pyarrow raises for them: OverflowError, ArrowInvalid, ZoneInfoNotFoundError."""


def python_values(column: pa.Array) -> list[Any]:
    """The values; one at a time only where there is one that Python cannot hold."""
    try:
        return list(column.to_pylist())
    except _REFUSALS:
        return [_value(one) for one in column]


def _value(scalar: pa.Scalar) -> Any:
    try:
        return scalar.as_py()
    except _REFUSALS:
        return _otherwise(scalar)


def _otherwise(scalar: pa.Scalar) -> Any:
    kind = scalar.type
    if pa.types.is_dictionary(kind):
        return _value(scalar.value)
    if pa.types.is_map(kind):
        return [(_value(entry["key"]), _value(entry["value"])) for entry in scalar.values]
    if pa.types.is_nested(kind):
        is_struct = pa.types.is_struct(kind)
        return {name: _value(one) for name, one in scalar.items()} if is_struct else list(map(_value, scalar.values))
    if pa.types.is_date(kind):
        return _day(scalar.value if pa.types.is_date32(kind) else scalar.value // (_DAY_S * 1000))
    if pa.types.is_timestamp(kind):
        return _instant(scalar.value, kind)
    if pa.types.is_duration(kind):
        return f"{scalar.value} {kind.unit}"
    return scalar.as_buffer().to_pybytes().decode(errors="backslashreplace")  # a text whose bytes are no UTF-8


def _instant(value: int, kind: pa.DataType) -> str:
    """As datetime.isoformat(" ") writes it, in UTC where it has a zone."""
    digits = _DIGITS[kind.unit]
    seconds, part = divmod(value, 10**digits)
    days, second = divmod(seconds, _DAY_S)
    time = f"{_EPOCH + dt.timedelta(seconds=second):%H:%M:%S}"
    return f"{_day(days)} {time}{f'.{part:0{digits}d}' if part else ''}{'+00:00' if kind.tz else ''}"


def _day(days: int) -> str:
    """The ISO date, `days` after 1970-01-01; years below 0 have a sign and above 9999 five digits or more."""
    cycles, rest = divmod(days, _CYCLE_DAYS)
    day = _EPOCH + dt.timedelta(rest)
    year = day.year + 400 * cycles
    return f"{year:0{5 if year < 0 else 4}d}-{day:%m-%d}"
