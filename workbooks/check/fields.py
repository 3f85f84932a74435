"""Every field of a workbook that asks TabPy, with what it asks, ready to be judged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from workbooks.check import script as scripts
from workbooks.check.arguments import Scope, constant, text_of
from workbooks.check.calls import Call, calls
from workbooks.check.script import Query, Script
from workbooks.check.tokens import Token, Tokens, tokens
from workbooks.check.workbook import Column, Workbook

SCRIPT, MODEL = "SCRIPT", "MODEL_EXTENSION"


@dataclass(frozen=True, slots=True)
class Field:
    """One call in one calculation. `text` is the script or the model's name, None where only the run can tell."""

    column: Column
    scope: Scope
    call: Call
    tokens: Tokens
    text: str | None
    values: tuple[tuple[Token, ...], ...]
    names: tuple[str, ...] = ()
    script: Script | None = None
    number: int = 1
    of: int = 1

    @property
    def key(self) -> tuple[str, str]:
        """Which calculation it stands in."""
        return self.scope.datasource, self.column.name

    @property
    def label(self) -> str:
        """How reports call it."""
        return f"[{self.column.shown}]" + (f" ({self.number} of {self.of})" if self.of > 1 else "")

    @property
    def queries(self) -> tuple[Query, ...]:
        """What it asks TabPy's endpoints."""
        if self.call.family == MODEL:
            return (Query(self.text, 0, self.names, "tabpy"),)
        return tuple(self.script.queries) if self.script else ()

    @property
    def is_well_formed(self) -> bool:
        """It can be sent."""
        return self.text is not None and self.call.is_closed and len(self.names) in (0, len(self.values))


def fields(workbook: Workbook) -> Iterator[Field]:
    """In the order of the file; a calculation with several calls gives several."""
    for source in workbook.datasources.values():
        for column in source.columns.values():
            if column.formula:
                scope = Scope(workbook, source.name)
                words = tokens(column.formula)
                found = list(calls(words.items))
                for number, call in enumerate(found, 1):
                    yield _field(column, scope, call, words, number, len(found))


def _field(column: Column, scope: Scope, call: Call, words: Tokens, number: int, of: int) -> Field:
    text = text_of(call.arguments[0], scope) if call.arguments else None
    values = call.arguments[1:]
    if call.family == MODEL:
        half = (len(values) + 1) // 2
        names = [text_of(argument, scope) for argument in values[:half]]
        good = tuple(name for name in names if name is not None)
        return Field(column, scope, call, words, text, values[half:] if len(good) == half else values, good,
                     None, number, of)
    known = {place: value for place, argument in enumerate(values, 1)
             if (value := constant(argument, scope)) is not None}
    script = scripts.read(text, values=known) if text is not None else None
    return Field(column, scope, call, words, text, values, (), script, number, of)
