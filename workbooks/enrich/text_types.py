"""Which columns of texts are numbers, dates or booleans, so that no value is lost by making them that.

A leading zero, a sign or a blank that would be lost (007, +1, " 5"), or more digits than a float64 has, keeps a whole
column a text. A number is its value, not how it is written: 1.10 is 1.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from workbooks.enrich.names import key_of

_PATTERNS: dict[pa.DataType, str] = {
    pa.int64(): r"^(0|-?[1-9][0-9]{0,17})$",
    pa.float64(): r"^-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,20})?([eE][-+]?[0-9]{1,2})?$",
    pa.date32(): r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    pa.timestamp("us"): r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?$",
    pa.bool_(): r"^(true|false|True|False|TRUE|FALSE)$",
}
"""Type -> how every value of such a column is written; the first that fits is taken."""

_MANY_DIGITS = r"([0-9]\.?){16}"
"""A float64 has every number of 15 digits, and some of more."""


class Guesses:
    """What the columns may still be, after the parts that were seen."""

    def __init__(self, names: Sequence[str], *, texts: Sequence[str]) -> None:
        self._names = names
        self._possible = [[] if key_of(name) in map(key_of, texts) else list(_PATTERNS) for name in names]
        self._has_values = [False] * len(names)

    def see(self, columns: Sequence[Sequence[str]]) -> None:
        """Look at a part of each column."""
        for place, column in enumerate(columns):
            values = [value for value in column if value]
            if values and self._possible[place]:
                self._has_values[place] = True
                texts = pa.array(values, pa.string())
                self._possible[place] = [kind for kind in self._possible[place] if _fits(texts, kind)]

    def schema(self) -> pa.Schema:
        """The types; a column without any value is a text."""
        kinds = [possible[0] if possible and has_values else pa.string()
                 for possible, has_values in zip(self._possible, self._has_values, strict=True)]
        return pa.schema(list(zip(self._names, kinds, strict=True)))


def converted(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Texts as `kind`, null where a cell is empty."""
    texts = pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
    return texts if pa.types.is_string(kind) else pc.cast(texts, kind)


def _fits(texts: pa.Array, kind: pa.DataType) -> bool:
    if not pc.all(pc.match_substring_regex(texts, _PATTERNS[kind])).as_py():
        return False
    try:
        values = pc.cast(texts, kind)  # 2023-02-30 is written as a date and is none
    except pa.ArrowInvalid:
        return False
    return not pa.types.is_floating(kind) or _is_exact(texts, values)


def _is_exact(texts: pa.Array, values: pa.Array) -> bool:
    """Whether each float64 can be written again: as the shortest number that means it, or with the 17 digits of C."""
    doubtful = pc.and_(pc.match_substring_regex(texts, _MANY_DIGITS), pc.not_equal(pc.cast(values, pa.string()), texts))
    pairs = zip(texts.filter(doubtful).to_pylist(), values.filter(doubtful).to_pylist(), strict=True)
    return all(Decimal(text) in (Decimal(repr(value)), Decimal(f"{value:.17g}")) for text, value in pairs)
