"""The SCRIPT_ and MODEL_EXTENSION_ calls in a calculation, with their arguments."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from workbooks.check.tokens import Token

_NAME = re.compile(r"(SCRIPT|MODEL_EXTENSION)_(STR|REAL|INT|BOOL)", re.IGNORECASE)
MAX_CALLS = 200  # in one calculation; nested ones share their arguments' tokens
_OPEN, _CLOSE = {"(", "{"}, {")", "}"}


@dataclass(frozen=True, slots=True)
class Call:
    """One call: `family` SCRIPT or MODEL_EXTENSION, `returns` STR, REAL, INT or BOOL, the arguments as tokens."""

    family: str
    returns: str
    arguments: tuple[tuple[Token, ...], ...]
    is_closed: bool

    @property
    def name(self) -> str:
        """As it is written in Tableau, such as `SCRIPT_STR`."""
        return f"{self.family}_{self.returns}"


def calls(items: Sequence[Token]) -> Iterator[Call]:
    """Every call, also one inside another's arguments; the first 200 of them."""
    count = 0
    for position, token in enumerate(items):
        match = _NAME.fullmatch(token.value) if token.kind == "name" else None
        if match and position + 1 < len(items) and items[position + 1].is_sign("("):
            count += 1
            if count > MAX_CALLS:
                return
            arguments, end = split(items, position + 2)
            yield Call(match.group(1).upper(), match.group(2).upper(), arguments, end < len(items))


def split(items: Sequence[Token], start: int) -> tuple[tuple[tuple[Token, ...], ...], int]:
    """The arguments from behind an opening parenthesis, and the place of the closing one (the length if none)."""
    arguments: list[tuple[Token, ...]] = []
    depth, begin, position = 0, start, start
    while position < len(items):
        token = items[position]
        if token.kind == "sign" and token.value in _OPEN:
            depth += 1
        elif token.kind == "sign" and token.value in _CLOSE:
            depth -= 1
            if depth < 0:
                break
        elif token.is_sign(",") and depth == 0:
            arguments.append(tuple(items[begin:position]))
            begin = position + 1
        position += 1
    last = tuple(items[begin:position])
    if last or arguments:
        arguments.append(last)
    return tuple(arguments), position


def written(items: Sequence[Token]) -> str:
    """Tokens as a reader would write them, shortened."""
    text = ""
    for token in items:
        is_tight = token.value in (")", ",", ".", "(") or text.endswith(("(", ".", "{")) or not text
        text += token.text if is_tight or (token.kind == "sign" and token.value == "}") else f" {token.text}"
        if len(text) > 80:
            return text[:77] + "..."
    return text
