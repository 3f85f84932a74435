"""What a sheet shows: its table filtered, grouped and aggregated as its shelves say. Tableau does the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from workbooks.authoring.fields import Pill
from workbooks.authoring.sheet import Sheet
from workbooks.content.columns import natural

Mark = Mapping[str, Any]
"""Instance of a pill -> its value in a mark."""


def marks(sheet: Sheet, parameters: Mapping[str, Any]) -> list[Mark]:
    """The marks of a sheet, in the order its headers have, for values of the parameters by caption."""
    rows = [row for row in sheet.source.table.rows if all(one.of(row, parameters) is True for one in sheet.only)]
    keys = [pill for pill in sheet.pills if pill.derivation in ("None", "User")]
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(pill.field.of(row, parameters) for pill in keys), []).append(row)
    found = [dict(zip((pill.instance for pill in keys), key, strict=True))
             | {pill.instance: _aggregated(pill, group, parameters) for pill in sheet.pills if pill not in keys}
             for key, group in groups.items()]
    return _ordered(sheet, found)


def _aggregated(pill: Pill, rows: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any]) -> Any:
    values = [value for row in rows if (value := pill.field.of(row, parameters)) is not None]
    if pill.derivation == "Count":
        return len(values)
    if not values:
        return None
    if pill.derivation == "Avg":
        return sum(values) / len(values)
    aggregate: dict[str, Callable[[list[Any]], Any]] = {"Sum": sum, "Min": min, "Max": max}
    return aggregate[pill.derivation](values)


def _ordered(sheet: Sheet, found: list[dict[str, Any]]) -> list[Mark]:
    """By the headers; by the sort where there is one, nulls first as Tableau has them when ascending."""
    headers = [pill for pill in (*sheet.rows, *sheet.cols) if not pill.is_measure]
    ordered = sorted(found, key=lambda mark: [_key(mark[pill.instance]) for pill in headers])
    if sheet.sort is None:
        return list(ordered)
    _, by, direction = sheet.sort
    return sorted(ordered, key=lambda mark: _key(mark[by.instance]), reverse=direction == "DESC")


def _key(value: Any) -> tuple[int, float, str]:
    """Nulls, then numbers by size, then texts."""
    if value is None:
        return -1, 0.0, ""
    return natural(value) if isinstance(value, str) else (0, float(value), "")


def shown(pill: Pill, value: Any) -> str:
    """A value as its field's format shows it."""
    if value is None:
        return "Null"
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int | float):
        return number(value, pill.field.number_format if pill.derivation != "Count" else "")
    return str(value)


def number(value: float, number_format: str) -> str:
    """A number by one of the formats the fields have: `p0.0%`, `n0.000`, or plain."""
    digits = len(number_format.partition(".")[2].rstrip("%"))
    if number_format.startswith("p"):
        return f"{value:.{digits}%}"
    return f"{value:,.{digits}f}" if number_format else f"{value:,.6g}"
