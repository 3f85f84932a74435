"""A calculation as Tableau writes it becomes tokens: strings, fields, comments, names, numbers, signs.

Tableau's rules: strings stand in either quote and double their own quote; a backslash means nothing; `//` and `/* */`
are comments, but not inside strings; a field stands in brackets and doubles a closing one; dates stand between `#`.
Whatever is left open runs to the end and is marked: no text makes this fail.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["string", "field", "name", "number", "date", "sign"]

_PATTERN = re.compile(
    r"""(?P<space>\s+|//[^\r\n]*|/\*.*?\*/)
      | (?P<string>"(?:[^"]|"")*"|'(?:[^']|'')*')
      | (?P<field>\[(?:[^\]]|\]\])*\])
      | (?P<date>\#[^\#\r\n]{1,40}\#)
      | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<name>[^\W\d]\w*)
      | (?P<sign><>|<=|>=|==|!=|.)
      """, re.VERBOSE | re.DOTALL)
_OPENING = {'"': "a text", "'": "a text", "[": "a field name", "/*": "a comment"}


@dataclass(frozen=True, slots=True)
class Token:
    """One word of a calculation; `value` is what it means: the text without quotes, the field without brackets."""

    kind: Kind
    value: str
    text: str

    def is_sign(self, sign: str) -> bool:
        """This very sign."""
        return self.kind == "sign" and self.value == sign

    def is_word(self, *words: str) -> bool:
        """One of these names, in any case."""
        return self.kind == "name" and self.value.upper() in words


@dataclass(frozen=True, slots=True)
class Tokens:
    """A calculation in tokens; `unclosed` names what has no end, such as "a text"."""

    items: tuple[Token, ...]
    unclosed: str = ""


@functools.lru_cache(2048)  # a calculation is looked at once for each pill that reaches it
def tokens(formula: str) -> Tokens:
    """The formula in tokens, comments left out."""
    found: list[Token] = []
    position = 0
    while position < len(formula):
        opening = formula[position:position + 2] if formula.startswith("/*", position) else formula[position]
        match = _PATTERN.match(formula, position)
        if match is None:  # cannot be: `.` matches anything
            break
        kind = match.lastgroup
        if kind == "sign" and opening in _OPENING:
            return Tokens(tuple(found), _OPENING[opening])
        if kind != "space":
            found.append(_token(kind, match.group()))
        position = match.end()
    return Tokens(tuple(found))


def _token(kind: str | None, text: str) -> Token:
    if kind == "string":
        quote = text[0]
        return Token("string", text[1:-1].replace(quote * 2, quote), text)
    if kind == "field":
        return Token("field", text[1:-1].replace("]]", "]"), text)
    if kind == "date":
        return Token("date", text[1:-1], text)
    if kind in ("number", "name"):
        return Token("number" if kind == "number" else "name", text, text)
    return Token("sign", text, text)
