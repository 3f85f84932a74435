"""What a field passes: whether each argument is an aggregate, and which is the same in every row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from workbooks.check.tokens import Token, tokens
from workbooks.check.workbook import PARAMETERS, Column, Workbook

AGGREGATES = frozenset(
    ["SUM", "AVG", "MIN", "MAX", "ATTR", "COUNT", "COUNTD", "MEDIAN", "STDEV", "STDEVP", "VAR", "VARP", "PERCENTILE",
     "CORR", "COVAR", "COVARP", "COLLECT", "TOTAL",
     *(f"RAWSQLAGG_{kind}" for kind in ("BOOL", "DATE", "DATETIME", "INT", "REAL", "STR"))])
MAX_DEPTH = 100  # calculations inside calculations: each is a level of recursion


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a formula stands: names mean the columns of this data source."""

    workbook: Workbook
    datasource: str


@dataclass(frozen=True, slots=True)
class Reference:
    """A field named in a formula; `column` is None where there is no such field."""

    shown: str
    source: str
    column: Column | None
    is_aggregated: bool


def references(items: Sequence[Token], scope: Scope) -> Iterator[Reference]:
    """Every field in the tokens, and whether an aggregation stands around it."""
    places = _commas(items)
    around: list[bool] = []
    position = 0
    while position < len(items):
        token = items[position]
        if token.value in ("(", "{") and token.kind == "sign":
            is_inside = bool(around) and around[-1]
            around.append(is_inside or token.value == "{" or _aggregates(items, position, places))
        elif token.value in (")", "}") and token.kind == "sign" and around:
            around.pop()
        elif token.kind == "field":
            reference, position = _reference(items, position, scope, bool(around) and around[-1])
            yield reference
        position += 1


def _commas(items: Sequence[Token]) -> set[int]:
    """The places of the parentheses that have a comma of their own."""
    found: set[int] = set()
    around: list[int] = []
    for position, token in enumerate(items):
        if token.kind == "sign" and token.value in ("(", "{"):
            around.append(position)
        elif token.kind == "sign" and token.value in (")", "}") and around:
            around.pop()
        elif token.is_sign(",") and around:
            found.add(around[-1])
    return found


def _aggregates(items: Sequence[Token], position: int, commas: set[int]) -> bool:
    """The parenthesis at that place belongs to an aggregation; MIN and MAX of two values are none."""
    before = items[position - 1] if position else None
    if before is None or before.kind != "name" or before.value.upper() not in AGGREGATES:
        return False
    return before.value.upper() not in ("MIN", "MAX") or position not in commas


def _reference(items: Sequence[Token], position: int, scope: Scope, is_aggregated: bool) -> tuple[Reference, int]:
    """The field, with the place of its last token: `[name]` or `[data source].[name]`."""
    qualifier, last = "", position
    if position + 2 < len(items) and items[position + 1].is_sign(".") and items[position + 2].kind == "field":
        qualifier, last = items[position].value, position + 2
    shown = "".join(token.text for token in items[position:last + 1])
    found = scope.workbook.resolve(scope.datasource, items[last].value, qualifier)
    source, column = found or (qualifier or scope.datasource, None)
    return Reference(shown, source, column, is_aggregated), last


def unwrapped(items: Sequence[Token], scope: Scope, known: dict[tuple[str, str], bool] | None = None) -> list[str]:
    """Fields that stand there as they are in each row, where Tableau wants an aggregate; `[]` if all is well."""
    known = {} if known is None else known
    found = ["{...}"] * _has_bare_level(items)
    for reference in references(items, scope):
        column = reference.column
        if reference.is_aggregated or column is None or reference.source == PARAMETERS or column.name.startswith(":"):
            continue
        if column.formula is None or _is_of_rows(column.formula, (reference.source, column.name), scope, known):
            found.append(shown(column))
    return list(dict.fromkeys(found))


def _is_of_rows(formula: str, key: tuple[str, str], scope: Scope, known: dict[tuple[str, str], bool]) -> bool:
    """The calculation has another value in each row; looked at once, so that circles end. Too deep counts as not."""
    if key not in known:
        known[key] = False
        if len(known) < MAX_DEPTH:
            known[key] = bool(unwrapped(tokens(formula).items, Scope(scope.workbook, key[0]), known))
    return known[key]


def shown(column: Column) -> str:
    """As an analyst writes it."""
    return f"[{column.shown.replace(']', ']]')}]"


def _has_bare_level(items: Sequence[Token]) -> bool:
    """A level-of-detail expression without an aggregation around it: its value belongs to rows."""
    places = _commas(items)
    around: list[bool] = []
    for position, token in enumerate(items):
        if token.kind == "sign" and token.value in ("(", "{"):
            is_inside = bool(around) and around[-1]
            if token.value == "{" and not is_inside:
                return True
            around.append(is_inside or _aggregates(items, position, places))
        elif token.kind == "sign" and token.value in (")", "}") and around:
            around.pop()
    return False


def constant(items: Sequence[Token], scope: Scope) -> object:
    """The value of an argument that is the same in every row: a literal or a parameter; None for everything else."""
    if len(items) == 1 and items[0].kind == "string":
        return items[0].value
    if len(items) == 1 and items[0].kind == "number":
        return literal(items[0].value, "real" if any(sign in items[0].value for sign in ".eE") else "integer")
    found = list(references(items, scope))
    is_alone = len(items) in (1, 3) or (len(items) in (4, 6) and items[0].is_word("ATTR", "MIN", "MAX"))
    if len(found) == 1 and is_alone and found[0].source == PARAMETERS and found[0].column is not None:
        column = found[0].column
        return literal(column.value or column.formula or "", column.datatype)
    return None


def literal(text: str, datatype: str) -> object:
    """A parameter's value as the file has it: texts stand in quotes."""
    words = tokens(text).items
    if datatype == "string":
        return words[0].value if len(words) == 1 and words[0].kind == "string" else text
    if datatype == "boolean":
        return text.strip().lower() == "true"
    try:
        return int(text) if datatype == "integer" else float(text) if datatype == "real" else None
    except ValueError:
        return None


def text_of(items: Sequence[Token], scope: Scope) -> str | None:
    """The text that an argument is: one literal, several joined by `+`, a parameter's; None if only the run tells."""
    parts: list[str] = []
    pending: list[Token] = []
    for token in (*items, Token("sign", "+", "+")):
        if not token.is_sign("+"):
            pending.append(token)
            continue
        value = constant(pending, scope)
        if not isinstance(value, str):
            return None
        parts.append(value)
        pending = []
    return "".join(parts)
